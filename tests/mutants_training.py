"""The classic mistakes of rollouts, evaluations and trainings; each has its unit test."""

from mutation import Mutant

TRAINING = [
    Mutant(
        "deep.parts.rollouts",
        "following[:, :, t] = step.next_observations",
        "following[:, :, t] = step.observations",
        "the reset observation as the next state",
    ),
    Mutant(
        "deep.parts.rollouts",
        "step.terminated, step.truncated\n        valid",
        "step.truncated, step.terminated\n        valid",
        "termination and truncation exchanged",
    ),
    Mutant(
        "deep.parts.rollouts",
        "valid[:, :, t] = step.valid & running",
        "valid[:, :, t] = step.valid",
        "what comes after an episode counts",
    ),
    Mutant(
        "deep.parts.results",
        "torch.where(running, step.rewards, 0.0)",
        "step.rewards",
        "rewards of the second episode enter",
        tests="test_evaluation.py",
    ),
    Mutant(
        "deep.parts.results",
        "EpisodeReturns(returns, cut=running)",
        "EpisodeReturns(returns, cut=torch.zeros_like(running))",
        "cut episodes are not reported",
        tests="test_evaluation.py",
    ),
    Mutant(
        "deep.parts.training",
        "loss.sum().backward()",
        "loss.mean().backward()",
        "a mean over the runs",
    ),
    Mutant(
        "deep.parts.training",
        "norms = clip_gradients_per_run(parameters, max_gradient_norm)",
        "norms = torch.nn.utils.clip_grad_norm_(parameters, max_gradient_norm).expand(loss.shape)",
        "one norm over all runs",
    ),
    Mutant(
        "ground.frozen_step",
        "        p.data[index] = before\n",
        "        pass\n",
        "momentum moves frozen runs",
    ),
    Mutant(
        "ground.frozen_step",
        "            p.grad[index] = 0.0\n",
        "            pass\n",
        "the gradient of a frozen run enters the optimizer's memory",
    ),
    Mutant(
        "deep.parts.training",
        "frozen_step(optimizer, self._frozen_rows(active))",
        "optimizer.step()",
        "frozen runs are trained",
        tests="test_training.py",
    ),
    Mutant(
        "deep.parts.training",
        "spawn(config.evaluation_episodes, evaluation)",
        "spawn(config.evaluation_episodes, learning)",
        "evaluation on the learner's own episodes",
        tests="test_training.py",
    ),
    Mutant(
        "deep.parts.training",
        "learning_rate * (1 - self.fraction)",
        "learning_rate * self.fraction",
        "the step size rises",
    ),
    Mutant(
        "deep.parts.training",
        "        self._made.close()\n",
        "",
        "environments are never closed",
        tests="test_training.py",
    ),
    Mutant(
        "deep.parts.training",
        "        if self.envs is not self.env:\n            made",
        "        if True:\n            made",
        "environments that came in are closed",
        tests="test_training.py",
    ),
    Mutant(
        "deep.parts.results",
        'return run_module(self.networks["policy"], self._row(run_id))',
        'return run_module(self.networks["policy"], run_id % len(self.run_ids))',
        "the position on the run axis taken for the run id",
        tests="test_training.py",
    ),
]
