"""The classic mistakes of what a training leaves behind, of when it stops, and of recordings."""

from mutation import Mutant

KEEPING = [
    *[
        Mutant("deep.parts.keeping", old, new, why)
        for old, new, why in (
            ("if resume is None:", "if False:", "another training is overwritten"),
            ("begins(new[n], x.numpy())", "True", "what is further on is overwritten"),
            ("if isinstance(error, Exception):", "if False:", "an error does not say where"),
            ("60 * self.keep.every_minutes", "self.keep.every_minutes", "seconds for minutes"),
            ("except OSError as failed:", "except ZeroDivisionError as failed:", "a full disk"),
        )
    ],
    Mutant(
        "deep.parts.training",
        "self.keeper.ended(error)",
        "pass",
        "no checkpoint at the end",
        tests="test_keeping.py",
    ),
    *[
        Mutant("deep.parts.training", old, new, why, tests="test_stopping.py")
        for old, new, why in (
            ("= self.at_rest\n        rows", "= self.frozen\n        rows", "learns on"),
            ("if run in self.at_rest:", "if run in self.frozen:", "frozen at rest"),
            ("(returns >= wanted) &", "(returns > wanted) &", "reached, but not enough"),
            ("len(self.at_rest) ==", "len(self.frozen) ==", "never ends early"),
            ("earlier.config.stop_at_return == self.config.stop_at_return", "True", "never wakes"),
        )
    ],
    *[
        Mutant("deep.parts.recording", old, new, why)
        for old, new, why in (
            ("if step % every == 0 or last:", "if step % every == 0:", "the end is not shown"),
            ("fps=speed / every", "fps=speed", "too fast where steps are left out"),
            ("cut.append(not ended)", "cut.append(False)", "a cut episode looks like a whole one"),
            ("range(seed, seed + episodes)", "[seed] * episodes", "one episode again and again"),
            ("if stage is not given:", "if True:", "an environment that came in is closed"),
        )
    ],
]  # fmt: skip
