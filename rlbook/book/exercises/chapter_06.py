"""Checkers of chapter 6, use of the Q-function."""

import itertools

import torch

from rlbook.book.exercises.expectations import expect_close, expect_true
from rlbook.ground.seeding import generator
from rlbook.planning.bellman import action_values
from rlbook.planning.dynamic_programming import (
    policy_evaluation,
    policy_iteration,
    q_value_iteration,
)
from rlbook.planning.mdp import MDP


def check_q_sweep(attempt) -> str:
    """q_sweep(P, Q, gamma): Eq. (6.1) for all pairs of a table like Gymnasium's."""
    for seed, states, actions, discount in ((1, 5, 3, 0.9), (2, 4, 2, 0.5), (3, 6, 4, 0.99)):
        rng = generator(600 + seed)
        table = {
            s: {
                a: [
                    (
                        (0.5, 0.3, 0.2)[i],
                        int(torch.randint(states, (), generator=rng)),
                        float(torch.randn((), generator=rng)),
                        i == 2,  # the last outcome ends the episode, and names a state all the same
                    )
                    for i in range(3)
                ]
                for a in range(actions)
            }
            for s in range(states)
        }
        q = (3 * torch.randn(states, actions, generator=rng, dtype=torch.float64) - 1).tolist()

        def swept(follow, discount=discount, table=table):
            """The sweep with `follow(s, a, t, done)` in place of the largest number of row t."""
            return [
                [
                    sum(p * (r + discount * follow(s, a, t, done)) for p, t, r, done in outcomes)
                    for a, outcomes in row.items()
                ]
                for s, row in table.items()
            ]

        def best(s, a, t, done, q=q):
            return max(q[t]) * (not done)

        got = attempt(table, [list(row) for row in q], discount)
        expect_close(
            got.double() if isinstance(got, torch.Tensor) else got,
            torch.tensor(swept(best), dtype=torch.float64),
            on=f"a random table of {states} states and {actions} actions, gamma {discount:g}",
            hint="What is the best number in the row of the next state, and when does nothing "
            "follow?",
            mistakes={
                "Nothing follows an outcome that is done: it counts 0, whatever its row says.": (
                    swept(lambda s, a, t, done, q=q: max(q[t]))
                ),
                "The mask is the wrong way round: the future counts where the outcome is *not* "
                "done.": swept(lambda s, a, t, done, q=q: max(q[t]) * done),
                "That takes the best number of the row one leaves; the next state's row is "
                "asked.": swept(lambda s, a, t, done, q=q: max(q[s]) * (not done)),
                "That takes the same action again in the next state; there, take the best.": (
                    swept(lambda s, a, t, done, q=q: q[t][a] * (not done))
                ),
                "That is the mean of the next row; the largest number is asked.": (
                    swept(lambda s, a, t, done, q=q: sum(q[t]) / len(q[t]) * (not done))
                ),
                "That is what comes out without the discount.": swept(best, 1.0),
                "That is the reward alone: add what is to come.": swept(best, 0.0),
            },
            atol=1e-5,
        )
    return "This line, repeated, is Q-value iteration."


def check_action_gaps(attempt) -> str:
    """action_gaps(Q): the price of the cheapest action that is not optimal, (S, A) -> (S,)."""
    none = -torch.inf
    distinct = [[3.0, 1.0, 2.5, 0.0], [-4.0, -1.0, -1.75, -9.0]]
    ties = [[2.0, 2.0, 1.0, 0.0], [5.0, 5.0 - 1e-12, 2.0, 5.0]]
    forbidden = [[1.0, none, 0.25, none], [none, 2.0, 2.0, 1.0]]
    optimal = [[1.0, 1.0, 1.0, 1.0], [0.0, none, none, none]]
    narrow = [[0.5, 0.4999, 0.1, 0.5 - 4e-9], [1e4, 1e4 - 1e-3, 1e4 - 0.02, 0.0]]
    for words, rows in (
        ("two states with four different action values each", distinct),
        ("two states with several optimal actions", ties),
        ("two states in which some actions are not allowed (-inf)", forbidden),
        ("two states in which every allowed action is optimal", optimal),
        ("two states with small gaps, 4e-9 and 0.001", narrow),
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
                "That takes actions for optimal whose price is far above 1e-9: torch.isclose has a "
                "tolerance of its own, which grows with the numbers.": (
                    price.masked_fill(q.isclose(q.amax(1, keepdim=True)), torch.inf).amin(1)
                ),
                "That is the largest price; the gap is the smallest one that is not zero.": (
                    price.amax(1)
                ),
                "That is minus the gap: prices are max Q - Q, zero or more.": (-gap),
                "That is half of the gap.": gap / 2,
            },
            atol=1e-11,
        )
    return "Errors below half of these numbers leave the greedy policy optimal."


def check_soft_backup(attempt) -> str:
    """soft_backup(mdp, V, epsilon): value iteration's sweep for the best epsilon-soft policy."""
    rng = generator(603)
    cases = (0.2, 0.9, 5, 3), (0.0, 0.5, 4, 2), (1.0, 0.99, 5, 4), (0.5, 0.7, 3, 3)
    for epsilon, discount, states, actions in cases:
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        values = 3 * torch.randn(states, generator=rng, dtype=torch.float64)
        q = mdp.reward + mdp.discount * mdp.transition @ values  # (S, A)
        lost = mdp.reward + mdp.transition @ values
        best, mean = q.amax(1), q.mean(1)
        expect_close(
            attempt(mdp, values, epsilon),
            (1 - epsilon) * best + epsilon * mean,
            on=f"a random model with {states} states, {actions} actions, discount {discount:g}, "
            f"epsilon {epsilon:g}",
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
    for discount, states, actions in ((0.9, 6, 3), (0.5, 4, 2), (0.99, 5, 4)):
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        q = q_value_iteration(mdp, tolerance=1e-13).action_values
        assert q is not None
        policy = torch.rand(states, actions, generator=rng, dtype=torch.float64)
        policy = policy / policy.sum(1, keepdim=True)
        values = policy_evaluation(mdp, policy).values
        best, loss = q.amax(1), q.amax(1) - values
        price = (policy * (best.unsqueeze(1) - q)).sum(1)
        step = torch.einsum("sa,sat->st", policy, mdp.transition)
        eye = torch.eye(states, dtype=q.dtype)
        bare = MDP.from_arrays(mdp.transition, torch.zeros_like(mdp.reward), discount=discount)
        uniform = mdp.transition.mean(1)
        solve = torch.linalg.solve
        expect_close(
            attempt(bare, q, policy),
            loss,
            on=f"a random model with {states} states, {actions} actions, discount {discount:g}, "
            "whose rewards we have set to 0",
            hint="Solve (I - gamma P_pi) x = the expected price in each state.",
            mistakes={
                "That evaluates the policy's rewards. The bill is made of prices, and Q_star has "
                "them all.": best,
                "That is the value of the policy's rewards: add up its prices.": 0 * best,
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
                "is the bound, not the bill.": price.max().expand(states) / (1 - discount),
            },
            atol=1e-6,
        )
    return "No mistake is counted twice, and none is forgotten."


def _policy(states: int, actions: int, sure: bool, rng: torch.Generator) -> torch.Tensor:
    if sure:
        choice = torch.randint(actions, (states,), generator=rng)
        return torch.nn.functional.one_hot(choice, actions).double()
    weights = torch.rand(states, actions, generator=rng, dtype=torch.float64)
    return weights / weights.sum(1, keepdim=True)


def check_audit(attempt) -> str:
    """audit(mdp, policy, start): for each pair its share in V*(start) - V^pi(start), (S, A)."""
    rng = generator(605)
    cases = (0.9, 5, 3, 0), (0.5, 4, 2, 3), (0.97, 6, 4, 2), (0.998, 4, 3, 1)
    for (discount, states, actions, start), sure in itertools.product(cases, (False, True)):
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        policy = _policy(states, actions, sure, rng)
        q = action_values(mdp, policy_iteration(mdp).values)
        price = q.amax(1, keepdim=True) - q
        step = torch.einsum("sa,sat->st", policy, mdp.transition)
        eye = torch.eye(states, dtype=q.dtype)
        visits = torch.linalg.solve(eye - discount * step.T, eye[start])
        backwards = torch.linalg.solve(eye - discount * step, eye[start])
        shares = visits.unsqueeze(1) * policy * price
        values = policy_evaluation(mdp, policy).values
        own = action_values(mdp, values) - values.unsqueeze(1)
        on = (
            f"a random model with {states} states, {actions} actions, discount {discount:g}, a "
            f"{'deterministic' if sure else 'stochastic'} policy, start {start}"
        )
        got = attempt(mdp, policy, start)
        expect_close(
            got,
            shares,
            on=on,
            hint="A pair's share: how often it is used, discounted, times its price."
            + " If your sums stop after a fixed number of steps: here that is too early."
            * (discount > 0.99),
            mistakes={
                "The sign: a share is what was lost, zero or more.": -shares,
                "These are the prices alone: how often does the policy pay them?": price,
                "That forgets how often the policy chooses each action in a state.": (
                    visits.unsqueeze(1) * price
                ),
                "That charges every state once: count how often the policy is there, discounted.": (
                    policy * price
                ),
                "That counts the start alone: the policy goes on and pays again.": (
                    eye[start].unsqueeze(1) * policy * price
                ),
                "These are shares of the reward, and they add up to the policy's value. Charge "
                "prices.": visits.unsqueeze(1) * policy * mdp.reward,
                "The visits are divided by their sum: they should add up to 1 / (1 - gamma).": (
                    (1 - discount) * shares
                ),
                "The chain is walked backwards: rows are the states one leaves.": (
                    backwards.unsqueeze(1) * policy * price
                ),
                "These are the advantages of the policy itself, which average to 0. A price "
                "compares with the best policy.": -visits.unsqueeze(1) * policy * own,
            },
            atol=1e-6,
        )
        loss = q[start].max() - values[start]
        expect_true(
            (torch.as_tensor(got).sum() - loss).abs() < 1e-5,
            on=on,
            what="the shares should add up to V*(start) - V^pi(start).",
        )
    return "Every mistake has its place on the bill, and together they are the whole loss."


CHECKERS = {
    "6.1": check_q_sweep,
    "6.5": check_action_gaps,
    "6.4": check_soft_backup,
    "6.7": check_bill,
    "6.3": check_audit,
}
