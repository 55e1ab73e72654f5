"""Checkers of chapter 6, use of the Q-function."""

import torch

from rlbook.book.exercises.expectations import expect_close
from rlbook.ground.seeding import generator
from rlbook.planning.dynamic_programming import policy_evaluation, q_value_iteration
from rlbook.planning.mdp import MDP


def check_action_gaps(attempt) -> str:
    """action_gaps(Q): the price of the cheapest action that is not optimal, (S, A) -> (S,)."""
    none = -torch.inf
    distinct = [[3.0, 1.0, 2.5, 0.0], [-4.0, -1.0, -1.75, -9.0]]
    ties = [[2.0, 2.0, 1.0, 0.0], [5.0, 5.0 - 1e-12, 2.0, 5.0]]
    forbidden = [[1.0, none, 0.25, none], [none, 2.0, 2.0, 1.0]]
    optimal = [[1.0, 1.0, 1.0, 1.0], [0.0, none, none, none]]
    for words, rows in (
        ("two states with four different action values each", distinct),
        ("two states with several optimal actions", ties),
        ("two states in which some actions are not allowed (-inf)", forbidden),
        ("two states in which every allowed action is optimal", optimal),
    ):
        q = torch.tensor(rows, dtype=torch.float64)
        price = q.amax(1, keepdim=True) - q
        gap = torch.where(price > 1e-9, price, torch.inf).amin(1)
        top = q.topk(2, dim=1).values
        expect_close(
            attempt(q),
            gap,
            on=words,
            hint="Take the smallest of the prices max_b Q(s, b) - Q(s, a) that are not zero.",
            mistakes={
                "That is the difference of the two largest entries: where two actions are "
                "optimal it is 0, but the gap is the price of the best action that is not.": (
                    top[:, 0] - top[:, 1]
                ),
                "A state in which all allowed actions are optimal has the gap inf, not 0: no "
                "error can make a greedy agent choose wrongly there.": gap.nan_to_num(posinf=0.0),
                "That is the smallest price of all, which is always the 0 of an optimal action.": (
                    price.amin(1)
                ),
                "That compares with zero exactly: an action within 1e-9 of the best counts as "
                "optimal.": torch.where(price > 0, price, torch.inf).amin(1),
                "That is the largest price; the gap is the smallest one that is not zero.": (
                    price.amax(1)
                ),
                "That is minus the gap: prices are max Q - Q, zero or more.": (-gap),
                "That is half of the gap.": gap / 2,
            },
        )
    return "Errors below half of these numbers leave the greedy policy optimal."


def check_soft_backup(attempt) -> str:
    """soft_backup(mdp, V, epsilon): value iteration's sweep for the best epsilon-soft policy."""
    rng = generator(603)
    for epsilon in (0.2, 0.0, 1.0, 0.5):
        mdp = MDP.random(5, 3, discount=0.9, generator=rng)
        values = 3 * torch.randn(5, generator=rng, dtype=torch.float64)
        q = mdp.reward + mdp.discount * mdp.transition @ values  # (S, A)
        lost = mdp.reward + mdp.transition @ values
        best, mean = q.amax(1), q.mean(1)
        expect_close(
            attempt(mdp, values, epsilon),
            (1 - epsilon) * best + epsilon * mean,
            on=f"a random model with 5 states, 3 actions, epsilon {epsilon:g}",
            hint="Compare with (1 - epsilon) max_a Q(s, a) + epsilon mean_a Q(s, a).",
            mistakes={
                "That is the plain maximum: epsilon is not used.": best,
                "That is the mean over actions: the maximum is missing.": mean,
                "The part of the random action is missing: (1 - epsilon) max Q alone.": (
                    (1 - epsilon) * best
                ),
                "The weights are swapped: epsilon belongs to the mean, 1 - epsilon to the "
                "maximum.": epsilon * best + (1 - epsilon) * mean,
                "That is what comes out without the discount.": (1 - epsilon) * lost.amax(1)
                + epsilon * lost.mean(1),
                "The sum over actions must be divided by their number.": (1 - epsilon) * best
                + epsilon * q.sum(1),
                "The random action may be the greedy one too: the mean runs over all actions, "
                "not over the others only.": (1 - epsilon) * best
                + epsilon * (q.sum(1) - best) / (q.shape[1] - 1),
                "The maximum runs over the states; it should run over the actions.": (
                    (1 - epsilon) * q.amax(0) + epsilon * q.mean(0)
                ),
            },
        )
    return "Iterated, it converges to the values of the best policy that explores so much."


def check_bill(attempt) -> str:
    """bill(mdp, Q_star, policy): V* - V^pi as the discounted sum of prices, (S,)."""
    rng = generator(604)
    for discount in (0.9, 0.5, 0.99):
        mdp = MDP.random(6, 3, discount=discount, generator=rng)
        q = q_value_iteration(mdp, tolerance=1e-13).action_values
        assert q is not None
        policy = torch.rand(6, 3, generator=rng, dtype=torch.float64)
        policy = policy / policy.sum(1, keepdim=True)
        values = policy_evaluation(mdp, policy).values
        best, loss = q.amax(1), q.amax(1) - values
        price = (policy * (best.unsqueeze(1) - q)).sum(1)
        step = torch.einsum("sa,sat->st", policy, mdp.transition)
        eye = torch.eye(6, dtype=q.dtype)
        uniform = mdp.transition.mean(1)
        solve = torch.linalg.solve
        expect_close(
            attempt(mdp, q, policy),
            loss,
            on=f"a random model with 6 states, 3 actions, discount {discount:g}",
            hint="Solve (I - gamma P_pi) x = the expected price in each state.",
            mistakes={
                "That is the value of the policy: the loss is V* minus that.": values,
                "The sign: prices are max Q - Q, zero or more, and so is the loss.": -loss,
                "That is the expected price of one step: the prices of all later steps are "
                "missing.": price,
                "The chain is transposed: rows are the states one leaves.": solve(
                    eye - discount * step.T, price
                ),
                "That is the chain of the uniform policy: weight the transitions by the "
                "policy.": solve(eye - discount * uniform, price),
                "Those are the mean prices of the uniform policy: weight them by the policy.": (
                    solve(eye - discount * step, (best.unsqueeze(1) - q).mean(1))
                ),
                "Every state is charged the largest price c, which gives c / (1 - gamma): that "
                "is the bound, not the bill.": price.max().expand(6) / (1 - discount),
            },
            atol=1e-6,
        )
    return "No mistake is counted twice, and none is forgotten."


CHECKERS = {"6.2": check_action_gaps, "6.3": check_soft_backup, "6.4": check_bill}
