"""The classic wrong versions of the book's formulas.

Each must be caught by the unit tests of its module, and by the checks of the chapters that it
names (test_mutants.py).
"""

from mutants_part_2 import PART_2
from mutation import Mutant

FORMULA_MODULES = (
    *("kernels", "mdp", "grids", "bellman", "asynchronous", "dynamic_programming"),
    *("exploration", "returns", "tabular_envs"),
)
"""Every public function of these has a mutant below, or stands in EXEMPT."""

EXEMPT: dict[str, str] = {
    "kernels.check_size": "a guard against running out of memory; its test is its message",
    "kernels.DenseKernel.dtype": "hands out an attribute",
    "kernels.DenseKernel.dense": "hands out an attribute",
    "kernels.DenseKernel.to": "moves tensors",
    "kernels.SuccessorKernel.dtype": "hands out an attribute",
    "kernels.SuccessorKernel.to": "moves tensors",
    "mdp.MDP.num_states": "reads a shape",
    "mdp.MDP.num_actions": "reads a shape",
    "mdp.MDP.transition": "calls the kernel's dense",
    "mdp.MDP.to": "moves tensors",
    "mdp.MDP.policy_probabilities": "calls check_policy of mdp_checks",
    "grids.GridKernel.to": "moves tensors",
    "grids.GridKernel.under": "calls the SuccessorKernel of `rows`",
    "grids.GridKernel.dense": "calls the SuccessorKernel of `rows`",
    "grids.GridKernel.gather": "reads `rows`",
    "grids.GridWorld.shape": "reads a shape",
}

KERNELS = [
    Mutant(
        "kernels",
        "values @ self.transition[states, a].T",
        "values @ self.transition[:, a, states]",
        "transposed kernel",
        chapters=("03",),
    ),
    Mutant(
        "kernels",
        '"sa,sat->st", policy, self.transition',
        '"sa,sat->st", policy.round(), self.transition',
        "the most likely action stands for the policy",
        within="DenseKernel.under",
        chapters=("03",),
    ),
    Mutant(
        "kernels",
        "self.transition[states, actions]",
        "self.transition[states, actions.flip(0)]",
        "rows of other pairs",
        within="DenseKernel.gather",
        chapters=("04",),
    ),
    Mutant(
        "kernels",
        "permute(1, 2, 0).to(torch.int32)",
        "permute(1, 2, 0).flip(1).to(torch.int32)",
        "successors beside the wrong probabilities",
    ),
    Mutant(
        "kernels",
        "for k in range(1, len(chances))",
        "for k in range(1, len(chances) - 1)",
        "the last successor is left out",
        within="SuccessorKernel.expectations",
    ),
    Mutant(
        "kernels",
        "policy.T.unsqueeze(1) * self.probabilities",
        "self.probabilities / A",
        "the uniform policy stands for every policy",
        within="SuccessorKernel.under",
    ),
    Mutant(
        "kernels",
        "dense.scatter_add_(",
        "dense.scatter_(",
        "a state listed twice counts once",
        within="SuccessorKernel.dense",
    ),
    Mutant(
        "kernels",
        "self.next_states[actions, :, states]",
        "self.next_states[actions, :, states].flip(-1)",
        "successors beside the wrong probabilities, gathered",
        within="SuccessorKernel.gather",
    ),
]

MDPS = [
    Mutant(
        "mdp",
        "mean = (probabilities * detail).sum(-1)",
        "mean = detail.mean(-1)",
        "r(s, a) is the plain mean of R(s, a, s')",
        stands_for=("MDP.from_arrays", "MDP.from_successors"),
        chapters=("02",),
    ),
    Mutant(
        "mdp",
        "live = allowed & ~terminal.unsqueeze(1)",
        "live = allowed | terminal.unsqueeze(1)",
        "terminal states go on",
        stands_for=("MDP.from_arrays", "MDP.from_successors"),
    ),
    Mutant(
        "mdp",
        "S if done else int(next_state)",
        "int(next_state)",
        "done is ignored",
        within="MDP.from_gymnasium",
        chapters=("02",),
    ),
    Mutant(
        "mdp",
        "weights / weights.sum(-1, keepdim=True)",
        "weights.softmax(-1)",
        "rows of random models are softmaxes",
        within="MDP.random",
    ),
    Mutant(
        "mdp",
        "reward = (policy * self.reward).sum(dim=1, keepdim=True)",
        "reward = self.reward.mean(1, keepdim=True)",
        "the chain's reward forgets the policy",
        within="MDP.induced_chain",
        chapters=("02",),
    ),
]

GRIDS = [
    Mutant(
        "grids",
        "torch.where(ahead | self.walls | self.ends, cells, reached)",
        "reached",
        "walks through walls, and around the edge",
        stands_for=("GridKernel.expectations", "GridKernel.rows"),
    ),
    Mutant(
        "grids",
        "sides[a % 2], alpha",
        "sides[(a + 1) % 2], alpha",
        "slips forwards and backwards",
        within="GridKernel.expectations",
    ),
    Mutant(
        "grids",
        "self.slip / 2, self.slip / 2]",
        "self.slip, 0.0]",
        "slips to one side only",
        within="GridKernel.rows",
    ),
    Mutant(
        "grids",
        "torch.where(where[symbol], reward, pay)",
        "torch.where(where[symbol], -reward, pay)",
        "an end pays the opposite",
        within="GridWorld.from_text",
    ),
    Mutant(
        "grids",
        "row * W + column",
        "row * H + column",
        "numbered by the height",
        within="GridWorld.state",
    ),
    Mutant(
        "grids",
        "entry[next_states]",
        "entry.view(-1, 1, 1)",
        "pays for leaving a cell, not for entering",
        within="GridWorld.mdp",
    ),
]

BELLMAN = [
    Mutant(
        "bellman",
        "expected, alpha=mdp.discount)",
        "expected)",
        "lost gamma",
        stands_for=("action_values",),
        chapters=("00", "03", "04", "06"),
    ),
    Mutant(
        "bellman",
        "torch.add(mdp.reward[states, a], expected, alpha=mdp.discount)",
        "torch.add(mdp.reward[states, a], expected).mul(mdp.discount)",
        "gamma on the reward too",
        stands_for=("action_values",),
        chapters=("03",),
    ),
    Mutant(
        "bellman",
        "(probabilities * q.masked_fill(probabilities == 0, 0.0)).sum(-1)",
        "q.amax(-1)",
        "maximum for the policy's mean",
        within="bellman_expectation_backup",
        chapters=("03",),
    ),
    Mutant(
        "bellman",
        "probabilities = mdp.policy_probabilities(policy)",
        "probabilities = mdp.allowed / mdp.allowed.sum(-1, keepdim=True)",
        "the uniform policy, whatever the policy",
        within="bellman_expectation_backup",
        chapters=("03",),
    ),
    Mutant(
        "bellman",
        "reduce(torch.maximum, in_turn)",
        "reduce(torch.minimum, in_turn)",
        "minimum for maximum",
        within="bellman_optimality_backup",
        chapters=("00", "03", "04"),
    ),
    Mutant(
        "bellman",
        "actions.masked_fill_(q > best, a)",
        "actions.masked_fill_(q < best, a)",
        "the worst action is greedy",
        stands_for=("greedy_actions",),
        chapters=("03", "04"),
    ),
    Mutant(
        "bellman",
        "mdp.discount * step.T, (1",
        "mdp.discount * step, (1",
        "transposed chain in the visitation",
        within="discounted_visitation",
        chapters=("02",),
    ),
    Mutant(
        "bellman",
        "(1 - mdp.discount) * mdp.start",
        "mdp.start",
        "the visitation lost its 1 - gamma",
        within="discounted_visitation",
        chapters=("02",),
    ),
    Mutant(
        "bellman",
        "eye - chain.discount * step",
        "eye - step * chain.discount**2",
        "gamma squared in the linear equations",
        within="policy_values",
        chapters=("00", "03", "05"),
    ),
    Mutant(
        "bellman",
        "eye - chain.discount * step",
        "eye - chain.discount * step.T",
        "transposed chain in the linear equations",
        within="policy_values",
        chapters=("03",),
    ),
]

PLANNING = [
    Mutant(
        "asynchronous",
        "mdp.discount * (probabilities",
        "(probabilities",
        "lost gamma",
        chapters=("04",),
    ),
    Mutant(
        "asynchronous",
        "int(torch.multinomial(mdp.start, 1, generator=generator)), 0",
        "0, 0",
        "every trajectory starts in state 0",
        chapters=("04",),
    ),
    Mutant(
        "asynchronous",
        "s = (update - 1) % mdp.num_states",
        "s = update % (mdp.num_states - 1)",
        "the last state is forgotten",
        chapters=("04",),
    ),
    Mutant(
        "asynchronous",
        "values[s] = q[a]",
        "values[s] = q.mean()",
        "mean for maximum",
        chapters=("04",),
    ),
    Mutant(
        "asynchronous",
        "age == horizon",
        "age == 0",
        "the horizon is not observed",
    ),
    Mutant(
        "dynamic_programming",
        "chain, tolerance=tolerance",
        "mdp, tolerance=tolerance",
        "evaluates the best policy, not the given one",
        within="policy_evaluation",
        chapters=("05",),
    ),
    Mutant(
        "dynamic_programming",
        "(backed_up - values).abs().max()",
        "(backed_up - values).max()",
        "stops when no value rises",
        within="value_iteration",
        chapters=("04",),
    ),
    Mutant(
        "dynamic_programming",
        "action_values(mdp, q.amax(dim=-1))",
        "action_values(mdp, q.mean(dim=-1))",
        "mean for maximum",
        within="q_value_iteration",
        chapters=("06",),
    ),
    Mutant(
        "dynamic_programming",
        "q = action_values(mdp, values)",
        "q = torch.zeros_like(mdp.reward)",
        "starts from Q = 0, one sweep behind value iteration",
        within="q_value_iteration",
        chapters=("06",),
    ),
    Mutant(
        "dynamic_programming",
        "(backed_up - q)[mdp.allowed].abs().max()",
        "(backed_up - q)[mdp.allowed].max()",
        "stops when no action value rises",
        within="q_value_iteration",
    ),
    Mutant(
        "dynamic_programming",
        "if policy.ndim == 1 and not better.any():",
        "if policy.ndim == 1:",
        "stops after one improvement",
        within="policy_iteration",
        chapters=("05",),
    ),
    Mutant(
        "dynamic_programming",
        "torch.where(better, greedy, policy) if policy.ndim == 1 else greedy",
        "greedy",
        "a tie changes the action",
        within="policy_iteration",
    ),
    Mutant(
        "dynamic_programming",
        "values = bellman_optimality_backup(chain, values)",
        "pass",
        "no evaluation between improvements",
        within="modified_policy_iteration",
        chapters=("05",),
    ),
]

EXPLORATION = [
    Mutant(
        "exploration",
        "maxima / maxima.sum(dim=-1, keepdim=True)",
        "torch.nn.functional.one_hot(maxima.argmax(-1), q.shape[-1]).to(q.dtype)",
        "the first of several best actions takes all",
        within="greedy_policy",
        chapters=("06",),
    ),
    Mutant(
        "exploration",
        "(1 - epsilon) * greedy_policy(q)",
        "greedy_policy(q) * (1 - epsilon + epsilon / q.shape[-1])",
        "epsilon / A twice for the best action",
        within="epsilon_greedy_policy",
        chapters=("06",),
    ),
    Mutant(
        "exploration",
        "allowed = (q > -torch.inf).to(q.dtype)",
        "allowed = torch.ones_like(q)",
        "explores actions that are not allowed",
        within="epsilon_greedy_policy",
        chapters=("06",),
    ),
    Mutant(
        "exploration",
        "(1 - epsilon) * greedy_policy(q) + epsilon * uniform",
        "epsilon * greedy_policy(q) + (1 - epsilon) * uniform",
        "epsilon and 1 - epsilon swapped",
        within="epsilon_greedy_policy",
        chapters=("06",),
    ),
    Mutant(
        "exploration",
        "maxima / maxima.sum(dim=-1, keepdim=True)",
        "maxima",
        "tied actions have probability 1 each",
        within="greedy_policy",
        chapters=("06",),
    ),
]

RETURNS = [
    Mutant(
        "returns",
        "+ discount * following",
        "+ following",
        "lost gamma",
        within="discounted_returns",
        chapters=("00", "01"),
    ),
    Mutant(
        "returns",
        "torch.where(terminated[..., t], ended, following)",
        "torch.where((terminated | truncated)[..., t], ended, following)",
        "done for terminated",
        within="discounted_returns",
        chapters=("01",),
    ),
    Mutant(
        "returns",
        "torch.where(terminated[..., t], ended, following)",
        "following * ~terminated[..., t]",
        "a mask by a product lets NaN through",
        within="discounted_returns",
        chapters=("01",),
    ),
    Mutant(
        "returns",
        "cut &= ~terminated",
        "pass",
        "a terminated end needs next_values",
        within="discounted_returns",
        chapters=("01",),
    ),
    Mutant(
        "returns",
        "torch.where(cut[..., t], next_values[..., t], following)",
        "torch.where(cut[..., t], next_values[..., t - 1], following)",
        "the value of s_t stands for that of s_{t+1}",
        within="discounted_returns",
        chapters=("01",),
    ),
    Mutant(
        "returns",
        "cut[..., -1] = True",
        "pass",
        "the end of the record counts as a termination",
        within="discounted_returns",
        chapters=("01",),
    ),
    Mutant(
        "returns",
        "cut = truncated.clone()",
        "cut = torch.zeros_like(truncated)",
        "a truncation is ignored, and the next episode leaks in",
        within="discounted_returns",
        chapters=("01",),
    ),
]

SAMPLING = [
    Mutant(
        "tabular_envs",
        "probabilities.to(torch.float64).cumsum(-1)",
        "torch.ones_like(probabilities, dtype=torch.float64).cumsum(-1)",
        "every outcome equally likely",
        within="draw",
        chapters=("02",),
    ),
    Mutant(
        "tabular_envs",
        "mdp.start.to(torch.float64).cumsum(0)",
        "torch.ones_like(mdp.start, dtype=torch.float64).cumsum(0)",
        "walkers start anywhere",
        within="sample_starts",
        chapters=("02",),
    ),
    Mutant(
        "tabular_envs",
        "mdp.successor_reward[states, actions, chosen]",
        "mdp.reward[states, actions]",
        "the mean reward for the realised one",
        stands_for=("sample_transitions", "sample_trajectories"),
    ),
    Mutant(
        "tabular_envs",
        "next_states, rewards, mdp.terminal[next_states]",
        "next_states, rewards, mdp.terminal[states]",
        "terminated one step late",
        stands_for=("sample_transitions", "sample_trajectories"),
    ),
    Mutant(
        "tabular_envs",
        "action = draw(probabilities[state], generator)",
        "action = draw(probabilities[states[:, 0]], generator)",
        "the first state decides every action",
        within="sample_trajectories",
        chapters=("02",),
    ),
]

MUTANTS = [*KERNELS, *MDPS, *GRIDS, *BELLMAN, *PLANNING, *EXPLORATION, *RETURNS, *SAMPLING]
MUTANTS += PART_2
