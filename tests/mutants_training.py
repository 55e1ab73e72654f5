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
        "torch.where(row, before, p.data)",
        "p.data",
        "momentum moves frozen runs",
    ),
    Mutant(
        "ground.frozen_step",
        "            p.grad.masked_fill_(row, 0.0)\n",
        "            pass\n",
        "the gradient of a frozen run enters the optimizer's memory",
    ),
    *[
        Mutant("deep.parts.training", old, new, why, tests="test_ppo.py")
        for old, new, why in (
            ("before.restore(self, rows)", "pass", "a frozen run goes on changing"),
            ("self._before.restore(self)", "pass", "an interruption leaves half an update"),
            ("self.freeze(not_finite(rollout), GIVEN)", "pass", "the loss is blamed for a reward"),
            (
                'carry(error, self.result(), "`train(..., resume=result)` goes on.")',
                "pass",
                "an error loses what was learned",
            ),
            ("self.updates_done, self.further = 0, True", "pass", "what had ended does not go on"),
        )
    ],
    *[
        Mutant("deep.parts.snapshot", old, new, why, tests="test_ppo.py")
        for old, new, why in (
            ("now[rows] = self.networks[name][rows]", "pass", "networks are not set back"),
            ("{name: x.clone() for", "{name: x for", "the copy shares memory with what it copies"),
            ('("optimizer.", "tensor.")', '("tensor.",)', "moments of Adam stay NaN"),
        )
    ],
    *[
        Mutant("deep.parts.record", old, new, why, tests="test_ppo.py")
        for old, new, why in (
            ("del values[since:]", "pass", "an update that was undone stays in the log"),
            ("value[rows] = torch.nan", "pass", "the log of a frozen run looks like numbers"),
        )
    ],
    *[
        Mutant("deep.parts.replay", old, new, why, tests="test_dqn.py")
        for old, new, why in (
            ("kept[:, :size] = state[name]", "pass", "the memory is lost when a training goes on"),
            ("self.added = added", "self.added = size", "the ring goes on at another place"),
        )
    ],
    *[
        Mutant(module, old, new, why, tests="test_watched.py")
        for module, old, new, why in (
            (
                "deep.parts.envs.interface",
                "torch.where(bounded, (high - low) / 2, 1.0)",
                "torch.where(bounded, high - low, 1.0)",
                "actions of twice the range",
            ),
            (
                "deep.parts.envs.interface",
                "torch.where(bounded, (high + low) / 2, 0.0)",
                "torch.zeros_like(low)",
                "bounds that are not around 0 are never reached",
            ),
            (
                "deep.parts.rollouts",
                "envs.step(scale(chosen))",
                "envs.step(chosen)",
                "actions are scaled in evaluations only",
            ),
            (
                "deep.parts.results",
                "scale(act(observations))",
                "act(observations)",
                "actions are scaled in training only",
            ),
            (
                "deep.parts.results",
                "int(output.argmax(-1)) + spaces.action_start",
                "int(output.argmax(-1))",
                "Discrete(n, start) begins at 0",
            ),
            (
                "deep.parts.envs.watched",
                "self.over, self.last = True, observation",
                "pass",
                "an evaluation steps what has ended",
            ),
            (
                "deep.parts.envs.watched",
                "if self.over and seed is None:",
                "if self.over:",
                "an environment that waited never begins again",
            ),
            (
                "deep.parts.envs.native",
                'del self._starts[int(state["starts_left"]) :]',
                "pass",
                "the starts of the next episodes are others",
            ),
        )
    ],
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
        "            self._made.close()\n",
        "            pass\n",
        "environments are never closed",
        tests="test_training.py",
    ),
    Mutant(
        "deep.parts.training",
        "        except Exception as failed:\n            warnings",
        "        except ZeroDivisionError as failed:\n            warnings",
        "an environment that cannot be closed takes what was learned with it",
        tests="test_found_in_use.py",
    ),
    Mutant(
        "deep.parts.training",
        "(self.updates_done == count and self._evaluated)",
        "self.updates_done == count",
        "an interruption of the last evaluation begins the training once more",
        tests="test_found_in_use.py",
    ),
    Mutant(
        "deep.parts.snapshot",
        "training.observations = None if seen is None else",
        "training.observations = training.observations if seen is None else",
        "an interruption of the first update leaves what its rollout saw",
        tests="test_found_in_use.py",
    ),
    Mutant(
        "deep.parts.snapshot",
        "            envs.load_state(before)\n        raise",
        "            pass\n        raise",
        "an evaluation that was broken off has used up its starts",
        tests="test_found_in_use.py",
    ),
    Mutant(
        "ground.seeding",
        "if len(set(runs)) < len(runs):",
        "if False:",
        "one run is trained twice",
        tests="test_found_in_use.py",
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
    Mutant(
        "deep.parts.joining",
        "key=joined.__getitem__",
        "key=None",
        "the runs of shards stand as they came, under sorted ids",
    ),
    Mutant(
        "deep.parts.joining",
        "x.data = torch.cat([state[name] for state in states])[order]",
        "x.data = torch.cat([state[name] for state in states])",
        "networks of one order beside curves of another",
    ),
    Mutant(
        "deep.parts.joining",
        "joined[name] = torch.cat(parts)[order]",
        "joined[name] = torch.cat(parts)",
        "optimisers and random numbers of other runs",
    ),
    Mutant(
        "deep.parts.joining",
        "_check_equal(first, shard, _progress)",
        "pass",
        "shards that came differently far pass for one",
    ),
    Mutant(
        "deep.parts.joining",
        "elif set(shard.run_ids) - set(shard.frozen | shard.stopped):",
        "elif True:",
        "a shard whose runs are all frozen is refused",
    ),
    Mutant(
        "deep.parts.joining",
        "elif set(shard.run_ids) - set(shard.frozen | shard.stopped):",
        "elif False:",
        "a shard that was cut short passes for a whole one",
    ),
    Mutant(
        "deep.parts.joining",
        "if joined.count(run) > 1",
        "if joined.count(run) > 2",
        "a run counts twice",
    ),
    Mutant(
        "deep.parts.joining",
        "order, first.env_steps)",
        "order, 0)",
        "steps of frozen runs begin again at 0, and pull the curve's axis back",
    ),
    Mutant(
        "deep.parts.envs.native",
        "if self._state is None or self._one_episode:",
        "if self._state is None:",
        "where evaluations stand depends on the longest episode of other runs, and is saved",
        tests="test_joining.py",
    ),
]
