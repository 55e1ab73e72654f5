"""Mutants of the tasks of language, their verifiers, and the models pretrained on them."""

from mutation import Mutant

TASK_TESTS = "test_language_tasks.py"

ARITHMETIC = [
    Mutant(
        "language.tasks.arithmetic",
        "if has_carry < self.carry_share",
        "if has_carry < 0.45",
        "digits drawn uniformly: most problems have no carry",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "self.write(p, careless=c)",
        "self.write(p, careless=not c)",
        "the writers change places",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "carry = 0 if careless else",
        "carry =",
        "nobody forgets the carry",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "WELL_FORMED.fullmatch(answer)",
        "WELL_FORMED.search(answer)",
        "a right answer anywhere in the text is enough",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        'match[1] == self.write(prompt).split(";")[2]',
        'int(match[1]) == int(self.write(prompt).split(";")[2])',
        "leading zeros pass",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        'match[1] == self.write(prompt).split(";")[2]',
        "answer == self.write(prompt)",
        "the outcome's verifier reads the way",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "so_far *= number < len(right) and step == right[number]",
        "so_far = float(number < len(right) and step == right[number])",
        "the right result after a wrong step counts",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "number < len(right) and step == right[number]",
        "number >= len(right) or step == right[number]",
        "steps behind the result count",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        'answer.split(";", self.max_steps - 1)',
        'answer.split(";")',
        "as many steps as the model likes",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.arithmetic",
        "min(end + len(step) + 1, len(answer))",
        "min(end + len(step), len(answer))",
        "separators belong to no step",
        tests=TASK_TESTS,
    ),
]

REVIEWS = [
    Mutant(
        "language.tasks.reviews",
        "torch.randint(len(products), (n,), generator=generator)",
        "torch.randint(len(products), (n,))",
        "products from the global generator",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "[(prompt, self.write(prompt, generator)) for prompt in prompts]",
        "[(prompt, self.write(prompts[0], generator)) for prompt in prompts]",
        "all reviews are of the first product",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "choices.pop(int(next(draws) * len(choices)))",
        "choices[int(next(draws) * len(choices))]",
        "opinions are repeated",
        within="Reviews.write",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "sum(self.utility_terms(prompt, answer).values())",
        'self.utility_terms(prompt, answer)["opinions"]',
        "the opinions are all of the utility",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        '["", *words][: len(words)]',
        "[*words]",
        "a degree multiplies itself, not the word behind it",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "WORTH.get(kind, {})",
        'WORTH["gadget"]',
        "the same taste for every kind",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "max(0, len(words) - PATIENCE)",
        "(len(words) - PATIENCE)",
        "short reviews are paid for being short",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "any(v > 0 for v in values) and any(v < 0 for v in values)",
        "any(v > 0 for v in values) or any(v < 0 for v in values)",
        "praise alone is balanced",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "WELL_FORMED.fullmatch(answer)",
        "WELL_FORMED.match(answer)",
        "a good beginning is enough",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "return float(self.well_formed(answer))",
        "return float(self.utility(prompt, answer) > 0)",
        "the verifier has a taste",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.reviews",
        "(len(answer), self.reward(prompt, answer))",
        "(len(answer.split()), self.reward(prompt, answer))",
        "words for characters",
        tests=TASK_TESTS,
    ),
]

STEPS = [
    Mutant(
        "language.tasks.task",
        "[*last, len(ids) - 1]",
        "[*last, len(ids) - 2]",
        "the last step ends before the end of the sequence",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.task",
        "if beginnings[-1] != text:",
        "if False:",
        "tokens are written the same everywhere",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.task",
        "if beginning[:end] == text[:end]",
        "if len(beginning) > end",
        "a step ends one token late",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.task",
        "if beginning[:end] == text[:end]",
        "if t + 1 >= end",
        "characters for tokens",
        tests=TASK_TESTS,
    ),
    Mutant(
        "language.tasks.task",
        "real = mask[row].nonzero().flatten()",
        "real = torch.arange(tokens.shape[1])",
        "padding is part of the answer",
        tests=TASK_TESTS,
    ),
]

MODELS = [
    Mutant(
        "language.models",
        "[[tokenizer.pad_token_id] * (width - len(row)) + row for row in rows]",
        "[row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows]",
        "prompts padded on the right",
        within="encode",
        tests="test_language_models.py",
    ),
    Mutant(
        "language.models",
        "[True] * len(row) + [False] * (width - len(row))",
        "[True] * (len(row) - 1) + [False] * (width - len(row) + 1)",
        "the end of the sequence is no token of the answer",
        within="encode_answers",
        tests="test_language_models.py",
    ),
    Mutant(
        "language.models",
        "copy.deepcopy(self.model)",
        "copy.copy(self.model)",
        "a copy that is trained with the original",
        tests="test_language_models.py",
    ),
    Mutant(
        "language.models",
        "with torch.random.fork_rng(devices=[]):\n        torch.manual_seed(seed)",
        "if torch.manual_seed(seed):",
        "making a model moves the global generator",
        tests="test_language_models.py",
    ),
    Mutant(
        "language.models",
        'if missing := sorted(report["missing_keys"]):',
        "if missing := []:",
        "missing weights are drawn at random",
        tests="test_language_models.py",
    ),
]

PRETRAINING = [
    Mutant(
        "language.pretraining",
        "tokens.masked_fill(~is_answer, IGNORED)",
        "tokens.masked_fill(~is_text, IGNORED)",
        "prompts are trained on too",
    ),
    Mutant(
        "language.pretraining",
        "repr(vars(task))",
        "task.name",
        "tasks with other settings share a model",
    ),
]
"""None of the functions that read and write: the run of a mutant shares the folders of the test."""

LANGUAGE_TASKS = [*ARITHMETIC, *REVIEWS, *STEPS, *MODELS, *PRETRAINING]
MODULES: tuple[str, ...] = ("language.tasks.arithmetic", "language.tasks.reviews")
