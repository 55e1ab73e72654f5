"""Checkers of chapter 3, Bellman's equations."""

import torch

from rlbook.exercises.expectations import expect_close
from rlbook.mdp import MDP
from rlbook.seeding import generator


def check_soft_backup(attempt) -> str:
    """soft_backup(mdp, values, temperature): the max replaced by a log-sum-exp."""
    rng = generator(3)
    for temperature in (1.0, 10.0, 0.1, 0.001):
        mdp = MDP.random(5, 3, discount=0.9, generator=rng)
        values = 10 * torch.randn(5, generator=rng, dtype=torch.float64)
        q = mdp.reward + mdp.discount * mdp.transition @ values  # (S, A)
        undiscounted = mdp.reward + mdp.transition @ values
        expect_close(
            attempt(mdp, values, temperature),
            _soft_maximum(q, temperature),
            on=f"a random model with 5 states, 3 actions, at temperature {temperature:g}",
            hint="Compare with tau * log(sum over a of exp(q(s, a) / tau)).",
            mistakes={
                "That is what comes out without the discount.": _soft_maximum(
                    undiscounted, temperature
                ),
                "That is the hard maximum: the temperature is not used.": q.amax(dim=1),
                "The temperature in front of the logarithm is missing.": torch.logsumexp(
                    q / temperature, dim=1
                ),
                "The division by the temperature inside the exponential is missing.": temperature
                * torch.logsumexp(q, dim=1),
                "The temperature belongs the other way round: divide inside the exponential, "
                "multiply in front of the logarithm.": torch.logsumexp(q * temperature, dim=1)
                / temperature,
                "The exponential is too large for float64: subtract the maximum over a first, "
                "and add it back at the end.": temperature * (q / temperature).exp().sum(1).log(),
                "That is the mean over the actions inside the logarithm; the sum is asked.": (
                    _soft_maximum(q, temperature)
                    - temperature * torch.tensor(float(q.shape[1]), dtype=q.dtype).log()
                ),
                "The sum runs over the states; it should run over the actions.": _soft_maximum(
                    q.T, temperature
                ),
            },
        )
    return "It is a contraction, too, with the same factor gamma, at every temperature."


def _soft_maximum(q: torch.Tensor, temperature: float) -> torch.Tensor:
    highest = q.amax(dim=1)
    inner = ((q - highest.unsqueeze(1)) / temperature).exp().sum(dim=1)
    return highest + temperature * inner.log()


CHECKERS = {"3.3": check_soft_backup}
