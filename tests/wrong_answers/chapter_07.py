"""Typical wrong answers of chapter 7, and what the checker must say to each."""

WRONG = {
    "7.1": [
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
    ],
    "7.3": [
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
}
