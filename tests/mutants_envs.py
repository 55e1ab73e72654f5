"""Mutants of the batched environments: physics, resets, truth about last observations, streams."""

from mutation import Mutant


def task(old: str, new: str, why: str, within: str) -> Mutant:
    return Mutant(
        "deep.parts.envs.physics", old, new, why, within=within, tests="test_control_envs.py"
    )


_PHYSICS = [
    task("torch.add(state, rates", "torch.add(state, rates * 0.5", "half a step", "cart_pole"),
    task("HALF_POLE * (4 / 3", "2 * HALF_POLE * (4 / 3", "the pole twice as long", "cart_pole"),
    task("cos, push, value=-1", "cos, push", "the push with the wrong sign", "cart_pole"),
    task("theta_dot.square()", "theta_dot", "the centrifugal force not squared", "cart_pole"),
    task("[2].abs() > MAX_THETA", "[2] > MAX_THETA", "it may fall to the left", "cart_pole"),
    task("(state[0].abs() > MAX_X) | ", "", "the track has no end", "cart_pole"),
    task("ones_like(x)", "ones_like(x) * ~terminated", "no reward for the last step", "cart_pole"),
    task("return state", "return state * 2.0", "another scale", "cart_pole_observation"),
    task("k1 + 2 * (k2 + k3) + k4", "6 * k1", "Euler's step for Runge and Kutta's", "acrobot"),
    task(".round()", ".floor()", "angles from 0 to 2 pi", "acrobot"),
    task(".round()", ".clamp(-0.5, 0.5).round()", "angles are not wrapped", "acrobot"),
    task("[2].clamp_(-MAX_SPEED_1, MAX_SPEED_1)", "[2].abs()", "speed 1 has no bound", "acrobot"),
    task("[3].clamp_(-MAX_SPEED_2, MAX_SPEED_2)", "[3].abs()", "speed 2 has no bound", "acrobot"),
    task("height > 1", "height > 0", "a lower goal", "acrobot"),
    task("terminated.double() - 1", "-torch.ones_like(height)", "the last step costs", "acrobot"),
    task("value=-0.5", "value=0.0", "the nips version of the equations", "acrobot_rates"),
    task("alpha=14.7", "alpha=9.8", "gravity pulls at another point", "acrobot_rates"),
    task("cos[0], sin[0]", "sin[0], cos[0]", "sine and cosine swapped", "acrobot_observation"),
    task("% (2 * math.pi) - math.pi", "- math.pi", "the cost of whole turns", "pendulum"),
    task(".clamp(-MAX_SPEED, MAX_SPEED)", "", "speed has no bound", "pendulum"),
    task("0.001 * torque", "0.01 * torque", "ten times the cost of torque", "pendulum"),
    task("return torch.stack((theta, speed)), -costs", "return torch.stack((theta, speed)), costs",
         "the sign of the reward", "pendulum"),
    task("theta = torch.add(theta, speed", "theta = torch.add(theta, state[1]",
         "the old speed moves the angle", "pendulum"),
    task("state[0].cos(), state[0].sin()", "state[0].sin(), state[0].cos()",
         "sine and cosine swapped", "pendulum_observation"),
]  # fmt: skip

_CONTROL = [
    Mutant(
        "deep.parts.envs.native",
        "rewards, terminated, truncated, next_observations, observations, self._valid",
        "rewards, terminated, truncated, observations, observations, self._valid",
        "a reset observation serves as the next one",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "rewards, terminated, truncated, next_observations, observations, self._valid",
        "rewards, truncated, terminated, next_observations, observations, self._valid",
        "terminated and truncated swapped",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "rewards, terminated, truncated, next_observations",
        "rewards, terminated, truncated & ~terminated, next_observations",
        "never both flags at once",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "torch.where(ended.unsqueeze(-1), start_observations, next_observations)",
        "next_observations",
        "the learner goes on from the end",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "torch.where(ended, starts, state)",
        "torch.where(terminated, starts, state)",
        "a truncated episode goes on",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "self._elapsed.masked_fill_(ended, 0)",
        "self._elapsed.masked_fill_(truncated, 0)",
        "the time of the last episode counts",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "self._elapsed >= self.max_episode_steps",
        "self._elapsed > self.max_episode_steps",
        "one step too many",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "_noise.uniform(steps, self.num_envs, n)",
        "_noise.uniform(steps * self.num_runs, self.num_envs, n)[:, :: self.num_runs]",
        "how much noise is taken depends on the number of runs",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "(2 * noise.to(self.device, torch.float64) - 1)",
        "noise.to(self.device, torch.float64)",
        "starts on one side",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "self._noise.uniform(steps, self.num_envs, n)",
        "torch.rand(self.num_runs, steps, self.num_envs, n, generator=self._noise.generators[0])",
        "one generator for all runs",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "self.streams.spawn(self._resets), []",
        "self._noise, self._starts",
        "a reset depends on how long the slowest run went on",
        within="ControlEnvs.reset",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        ".clamp(-self.task.max_control, self.task.max_control)",
        "",
        "the torque is not clipped",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "actions.detach()",
        "actions",
        "a gradient runs through the dynamics",
        tests="test_control_envs.py",
    ),
    Mutant(
        "deep.parts.envs.native",
        "self._elapsed += 1",
        "self._elapsed += 1; self._valid.logical_and_(~terminated)",
        "a tensor that was handed out is written to",
        tests="test_control_envs.py",
    ),
]


def wrapper(old: str, new: str, why: str, within: str | None = None) -> Mutant:
    return Mutant(
        "deep.parts.envs.gymnasium_envs", old, new, why, within=within, tests="test_envs.py"
    )


_GYMNASIUM = [
    wrapper("AutoresetMode.SAME_STEP\n", "AutoresetMode.NEXT_STEP\n", "another mode", "sync_envs"),
    wrapper('steps[run][4]["final_obs"][env]', "observations[run, env]", "the reset observation"),
    wrapper("(terminated | truncated).any()", "terminated.any()", "truncations are forgotten"),
    wrapper("np.argwhere(terminated | truncated)", "np.argwhere(terminated)", "the same, by cell"),
    wrapper("next_observations = observations.copy()", "next_observations = observations", "alias"),
    wrapper("valid = ~self._ended", "valid = np.ones_like(terminated)", "the dummy step is valid"),
    wrapper("np.where(valid[..., None], observations, self._observations)", "observations",
            "the dummy step leads to a reset observation"),
    wrapper("torch.from_numpy(terminated)", "torch.from_numpy(truncated)", "swapped"),
    wrapper("numbers + self.action_start", "numbers", "actions from 0 up, whatever the start"),
    wrapper("numbers.clip(space.low, space.high)", "numbers", "actions beyond the bounds"),
    wrapper("zip(self.runs, seeds, strict=True)", "zip(self.runs, seeds[:1] * self.num_runs)",
            "one seed for all runs"),
    wrapper("seed=seed if isinstance(run, SyncVectorEnv) else seed[0]", "seed=None", "no seeds"),
    wrapper("np.zeros((self.num_runs, self.num_envs), dtype=bool)",
            "getattr(self, '_ended', np.zeros((self.num_runs, self.num_envs), dtype=bool))",
            "a dummy step after a reset"),
    Mutant(
        "deep.parts.envs.make",
        "vector_entry_point=not native",
        "vector_entry_point=native",
        "the other route", tests="test_envs.py",
    ),
    Mutant(
        "deep.parts.envs.interface",
        "envs.num_runs != num_runs",
        "envs.num_runs < num_runs",
        "more runs than wanted",
        tests="test_envs.py",
    ),
]  # fmt: skip


def advice(old: str, new: str, why: str) -> Mutant:
    return Mutant("deep.parts.envs.advice", old, new, why, tests="test_space_advice.py")


_ADVICE = [
    advice("if flattens(part)]", "if part]", "keeps what Gymnasium cannot flatten"),
    advice("space.start.ravel().tolist(), space", "[0] * space.nvec.size, space", "from 0 up"),
    advice("high - low + 1 for", "high - low for", "the highest choice is never taken"),
    advice("low + size - 1 for", "low + size for", "rounds to a choice that does not exist"),
    advice(
        "zip({list(space)}, {numbers})", "zip({sorted(space)[::-1]}, {numbers})", "keys swapped"
    ),
]

ENVS = [*_PHYSICS, *_CONTROL, *_GYMNASIUM, *_ADVICE]
