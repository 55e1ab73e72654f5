"""Typical wrong answers of chapter 7, and what the checker must say to each."""

RIGHT = """
def learn(env, num_episodes, gamma):
    rng, Q, N = random.Random(0), {}, {}
    for _ in range(num_episodes):
        s, _ = env.reset()
        episode, over = [], False
        while not over:
            q = Q.setdefault(s, [0.0] * env.action_space.n)
            explore = rng.random() < 0.1
            a = rng.randrange(len(q)) if explore else q.index(max(q))
            s_next, r, terminated, truncated, _ = env.step(a)
            episode.append((s, a, r))
            s, over = s_next, terminated or truncated
        G = 0.0
        for s, a, r in reversed(episode):
            G = r + gamma * G
            N[s, a] = N.get((s, a), 0) + 1
            Q[s][a] += (G - Q[s][a]) / N[s, a]
    return {s: q.index(max(q)) for s, q in Q.items()}
"""
WRONG_LINES = [  # of it, with what stands there instead, and what the checker must say
    ("explore = rng.random() < 0.1", "explore = False", "A greedy one leaves it for ever"),
    ("G = r + gamma * G", "G = r + G", "is it discounted"),
    (
        "for s, a, r in reversed(episode):\n            G = r + gamma * G",
        "for k, (s, a, r) in enumerate(reversed(episode)):\n"
        "            G = gamma**k * episode[-1][2]",
        "There is a ticket to pay",
    ),
    (
        "for s, a, r in reversed(episode):\n            G = r + gamma * G",
        "for s, a, r in episode[:1]:\n"
        "            G = sum(gamma**k * x for k, (_, _, x) in enumerate(episode))",
        "Is every observation learned from",
    ),
    ("for s, a, r in reversed(episode):", "for s, a, r in episode:", "for ever"),
    ("return {s: q.index(max(q)) for s, q in Q.items()}", "return Q", "the action for"),
    (
        "return {s: q.index(max(q)) for s, q in Q.items()}",
        "return lambda s: Q[s].index(max(Q[s]))",
        "a dictionary is asked",
    ),
    (
        "return {s: q.index(max(q)) for s, q in Q.items()}",
        "return {s[0]: q.index(max(q)) for s, q in Q.items()}",
        "the keys should be the observations",
    ),
]

WRONG = {
    "7.6": [
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    return new_mean, (count * variance + (sample - mean) ** 2) / (count + 1)
""",
            "the second belongs to the new mean",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    return new_mean, (count * variance + (sample - new_mean) ** 2) / (count + 1)
""",
            "the first belongs to the old mean",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / count
    return new_mean, (count * variance + (sample - mean) * (sample - new_mean)) / count
""",
            "the number of old samples",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    squares = count * variance + (sample - mean) * (sample - new_mean)
    return new_mean, squares / count
""",
            "yours divides by count",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    return new_mean, count * variance + (sample - mean) * (sample - new_mean)
""",
            "the sum of the squared deviations",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    mean_square = (count * (variance + mean**2) + sample**2) / (count + 1)
    return new_mean, mean_square - new_mean**2
""",
            "A difference of two huge squares",
        ),
        (
            """
def update_mean_and_variance(mean, variance, count, sample):
    new_mean = mean + (sample - mean) / (count + 1)
    return new_mean, variance + (sample - mean) * (sample - new_mean) / (count + 1)
""",
            "it weighs less",
        ),
    ],
    "7.2": [
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        G = 0.0
        for t in reversed(range(len(states))):
            G = rewards[t] + discount * G
            counts[states[t]] += 1
            values[states[t]] += (G - values[states[t]]) / counts[states[t]]
    return values
""",
            "That counts every visit",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        G, seen = 0.0, set()
        for t in reversed(range(len(states))):
            G = rewards[t] + discount * G
            if states[t] not in seen:
                seen.add(states[t])
                counts[states[t]] += 1
                values[states[t]] += (G - values[states[t]]) / counts[states[t]]
    return values
""",
            "going backwards",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        for s in set(states):
            counts[s] += 1
            values[s] += (sum(rewards[states.index(s):]) - values[s]) / counts[s]
    return values
""",
            "without the discount",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values = torch.zeros(num_states, dtype=torch.float64)
    for states, rewards in episodes:
        G = 0.0
        for t in reversed(range(len(states))):
            G = rewards[t] + discount * G
            if states.index(states[t]) == t:
                values[states[t]] += G / len(episodes)
    return values
""",
            "not by the number of episodes",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    G = 0.0
    for states, rewards in episodes:
        for t in reversed(range(len(states))):
            G = rewards[t] + discount * G
            if states.index(states[t]) == t:
                counts[states[t]] += 1
                values[states[t]] += (G - values[states[t]]) / counts[states[t]]
    return values
""",
            "G starts at 0 in each",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    sums, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        G = 0.0
        for t in reversed(range(len(states))):
            G = rewards[t] + discount * G
            counts[states[t]] += 1
            if states.index(states[t]) == t:
                sums[states[t]] += G
    return sums / counts.clamp(min=1)
""",
            "both must count the same returns",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        for s in set(states):
            t = states.index(s)
            G = sum(0.9**k * r for k, r in enumerate(rewards[t:]))
            counts[s] += 1
            values[s] += (G - values[s]) / counts[s]
    return values
""",
            "with the list of the returns after first visits",
        ),
        (
            """
def first_visit_values(episodes, num_states, discount):
    values, counts = torch.zeros(2, num_states, dtype=torch.float64)
    for states, rewards in episodes:
        for s in set(states):
            t = states.index(s)
            G = sum(discount ** rewards.index(r, t) * r for r in rewards[t:]) / discount**t
            counts[s] += 1
            values[s] += (G - values[s]) / counts[s]
    return values
""",
            "rewards that repeat",
        ),
    ],
    "7.1": [
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return math.ceil((1.96 / gap) ** 2 * (std_1**2 + std_2**2))
""",
            "Compare with (z / gap)^2",
        ),
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return math.ceil((z / 0.05) ** 2 * (std_1**2 + std_2**2))
""",
            "Compare with (z / gap)^2",
        ),
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return int((z / gap) ** 2 * (std_1**2 + std_2**2))
""",
            "Round up",
        ),
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return math.ceil((z / gap) ** 2 * (std_1 + std_2) ** 2)
""",
            "Variances add",
        ),
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return math.ceil(z / abs(gap) * (std_1**2 + std_2**2))
""",
            "enters squared",
        ),
        (
            """
def samples_needed(gap, std_1, std_2, z):
    return (z / gap) ** 2 * (std_1**2 + std_2**2)
""",
            "A whole number of samples is asked",
        ),
    ],
    "7.4": [(RIGHT.replace(old, new), said) for old, new, said in WRONG_LINES],
}
