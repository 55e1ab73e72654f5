"""Typical wrong answers of chapter 9, and what the checker must say to each."""

UPDATE = """
def q_update(Q, s, a, r, s_next, terminated, truncated, alpha, discount):
    {target}
    new = Q.clone()
    {move}
    return new
"""
RIGHT_TARGET = "target = r if terminated else r + discount * Q[s_next].max()"
RIGHT_MOVE = "new[s, a] += alpha * (target - Q[s, a])"


def update(target: str = RIGHT_TARGET, move: str = RIGHT_MOVE) -> str:
    return UPDATE.format(target=target, move=move)


TARGETS = """
def double_q_targets(Q1, Q2, rewards, next_states, terminated, discount):
    {body}
"""


def targets(body: str) -> str:
    return TARGETS.format(body=body)


DRIVE = """
def drive(env, num_steps):
    rng = random.Random(0)
    n = env.action_space.n
    Q = [[{start}] * n for _ in range(env.observation_space.n)]
    s, _ = env.reset(seed=0)
    for _ in range(num_steps):
        a = rng.choice([a for a in range(n) if Q[s][a] == max(Q[s])])
        s_next, r, terminated, truncated, _ = env.step(a)
        Q[s][a] = {target}
        s = env.reset()[0] if {over} else s_next
    return Q
"""


def drive(
    start: str = "20.0",
    target: str = "r if terminated else r + 0.99 * max(Q[s_next])",
    over: str = "terminated or truncated",
) -> str:
    return DRIVE.format(start=start, target=target, over=over)


RATE = """
def exploration_rate(step, start, end, over):
    {body}
"""


def rate(body: str) -> str:
    return RATE.format(body=body)


KIOSK = """
class Kiosk(gym.Env):
    observation_space, action_space = gym.spaces.Discrete({states}), gym.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        {seeding}
        {morning}
        return self.bags, {{}}

    def step(self, action):
        there = {there}
        sold = {sold}
        before, self.bags, self.days = self.bags, there - sold, self.days + 1
        reward = {reward}
        return {answer}
"""


def kiosk(
    states: int = 7,
    seeding: str = "super().reset(seed=seed)",
    morning: str = "self.bags = self.days = 0",
    there: str = "min(self.bags + action, 6)",
    sold: str = "min(there, int(self.np_random.integers(4)))",
    reward: str = "5.0 * sold - 2.0 * action - 3.0 * (action > 0) - self.bags",
    answer: str = "self.bags, reward, False, self.days == 30, {}",
) -> str:
    return KIOSK.format(
        states=states,
        seeding=seeding,
        morning=morning,
        there=there,
        sold=sold,
        reward=reward,
        answer=answer,
    )


WRONG = {
    "9.1": [
        (update("target = r + discount * Q[s_next].max()"), "A termination stops the bootstrap"),
        (
            update("target = r if terminated or truncated else r + discount * Q[s_next].max()"),
            "A time limit is no end",
        ),
        (
            update("target = r + discount * (1 - terminated) * Q[s_next].max()"),
            "0 times infinity is not a number",
        ),
        (
            update("target = r if terminated else r + discount * Q[s].max()"),
            "it should be the row of s_next",
        ),
        (
            update("target = r if terminated else r + Q[s_next].max()"),
            "The discount is missing",
        ),
        (update(move="new[s, a] = target"), "alpha is not used"),
        (update(move="new[s, a] += alpha * (Q[s, a] - target)"), "The sign of the error"),
        (update(move="new[s, a] += alpha * target"), "the old value must shrink"),
        (
            update("target = r if terminated else r + discount * Q[s_next].mean()"),
            "Q-learning takes the maximum",
        ),
        (update(move="Q[s, a] += alpha * (target - Q[s, a]); new = Q"), "changed its input `Q`"),
        (
            update("target = r if terminated else r + discount * Q[s_next].argmax()"),
            "the number of the best action",
        ),
        (
            update("target = r if terminated else r + discount * Q[s_next, a]"),
            "the value of the same action",
        ),
        (
            update("target = 0.0 if terminated else r + discount * Q[s_next].max()"),
            "the target is r, not 0",
        ),
        (
            update("target = r if not terminated else r + discount * Q[s_next].max()"),
            "This step ends nothing",
        ),
        (
            update(move="new[s, a] += 0 if truncated else alpha * (target - Q[s, a])"),
            "Nothing was learned",
        ),
        (
            update(move="new[s, a] = alpha * Q[s, a] + (1 - alpha) * target"),
            "The weights are exchanged",
        ),
        (
            update("target = r if terminated else r + discount * max(Q[s_next].max(), 0)"),
            "It has no floor at 0",
        ),
        (
            update("target = r if terminated else r + discount * Q[s_next].abs().max()"),
            "That is the largest size",
        ),
        (
            update(
                "others = [b for b in range(Q.shape[1]) if b != a]; "
                "target = r if terminated else r + discount * Q[s_next, others].max()"
            ),
            "a itself belongs to them",
        ),
        (
            update("target = r if terminated else r + 0.9 * Q[s_next].max()"),
            "Are alpha and discount those of the call?",
        ),
        (
            update(move="new[s, a] += 0.25 * (target - Q[s, a])"),
            "Are alpha and discount those of the call?",
        ),
    ],
    "9.4": [
        (
            targets(
                "return rewards + discount * torch.where(terminated, 0.0, Q1[next_states].amax(1))"
            ),
            "The same table chooses and values",
        ),
        (
            targets(
                "return rewards + discount * "
                "torch.where(terminated, 0.0, Q1[next_states, Q2[next_states].argmax(1)])"
            ),
            "The roles are exchanged",
        ),
        (
            targets("return rewards + discount * Q2[next_states, Q1[next_states].argmax(1)]"),
            "The terminal mask is missing",
        ),
        (
            targets(
                "return rewards + torch.where(terminated, 0.0, "
                "Q2[next_states, Q1[next_states].argmax(1)])"
            ),
            "The discount is missing",
        ),
        (
            targets(
                "return rewards + discount * ~terminated * "
                "Q2[next_states, Q1[next_states].argmax(1)]"
            ),
            "use torch.where",
        ),
        (
            targets(
                "return rewards + 0.9 * torch.where(terminated, 0.0, "
                "Q2[next_states, Q1[next_states].argmax(1)])"
            ),
            "Is the discount that of the call?",
        ),
        (
            targets(
                "return rewards + discount * torch.where(terminated, 0.0, "
                "Q2[next_states, Q1[next_states].abs().argmax(1)])"
            ),
            "not its largest size",
        ),
    ],
    "9.5": [
        (
            rate("return start + (end - start) * (step / over).clamp(max=1)"),
            "falls on a straight line",
        ),
        (rate("return start * (end / start) ** (step / over)"), "goes on falling below `end`"),
        (rate("return end * (start / end) ** (step / over).clamp(max=1)"), "they are exchanged"),
        (rate("return end + (start - end) * torch.exp(-step / over)"), "it forgets `end`"),
    ],
    "9.3": [
        (drive(target="r + 0.99 * max(Q[s_next])"), "whatever the table says"),
        (
            drive(target="r if terminated or truncated else r + 0.99 * max(Q[s_next])"),
            "taken for an end",
        ),
        (drive(target="r if terminated else r + max(Q[s_next])"), "without the discount"),
        (drive(over="terminated"), "the episode is over"),
        (drive(start="0.0"), "Some pairs were not tried often enough"),
    ],
    "9.8": [
        ("def kiosk(): return 7", "should be a gym.Env"),
        (kiosk(states=6), "`observation_space` should be gym.spaces.Discrete(7)"),
        (kiosk(seeding="self.np_random"), "Call super().reset(seed=seed)"),
        (kiosk(sold="min(there, random.randrange(4))"), "Call super().reset(seed=seed)"),
        (kiosk(morning="self.days = 0; self.bags = 3"), "begin with an empty freezer"),
        (
            kiosk(morning="self.bags, self.days = 0, getattr(self, 'days', 0)"),
            "Does the count begin again",
        ),
        (kiosk(there="self.bags + action"), "0 to 6 can be"),
        (kiosk(sold="int(self.np_random.integers(4))"), "0 to 6 can be"),
        (kiosk(sold="min(there, int(self.np_random.integers(5)))"), "nobody asks for over 3"),
        (kiosk(sold="min(there, int(self.np_random.integers(3)))"), "equally often"),
        (kiosk(answer="self.bags, reward, self.days == 30, False, {}"), "is a cut, `truncated`"),
        (kiosk(answer="self.bags, reward, self.days == 30, {}"), "should return 5 values"),
        (kiosk(answer="self.bags, reward, False, self.days == 31, {}"), "True on day 30"),
        (kiosk(reward="5.0 * sold - 2.0 * action - self.bags"), "The car costs 3"),
        (kiosk(reward="5.0 * sold - 2.0 * action - 3.0 - self.bags"), "without an order"),
        (kiosk(reward="5.0 * sold - 2.0 * action - 3.0 * (action > 0)"), "left in the evening"),
        (
            kiosk(reward="5.0 * sold - 2.0 * action - 3.0 * (action > 0) - there"),
            "after the day's sales",
        ),
        (
            kiosk(reward="5.0 * sold - 2.0 * (there - before) - 3.0 * (action > 0) - self.bags"),
            "paid all the same",
        ),
        (kiosk(reward="5.0 * sold - 3.0 * (action > 0) - self.bags"), "only the sale was paid"),
        (kiosk(reward="5.0 * sold - action - self.bags"), "the reward should be"),
        (kiosk(reward="5.0 * sold / 0"), "raised ZeroDivisionError"),
    ],
}
