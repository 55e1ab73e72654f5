"""Sums along time in logarithmically many steps, where a loop would take T of them."""

import torch


def discounted_sums(terms: torch.Tensor, ended: torch.Tensor, *, decay: float) -> torch.Tensor:
    """S_t = x_t + decay S_{t+1}, and S_t = x_t where ended[t], and at the last t.

    Computed by doubling. If S^(m)_t is the sum of the first m terms, as far as there are so many
    before something ends, then S^(2m)_t = S^(m)_t + decay^m S^(m)_{t+m}. Eq. (17.15). So
    ceil(log2 T) passes over the whole tensor suffice. Nothing behind an end enters, not even NaN.

    Args:
        terms: (..., T), x.
        ended: (..., T) bool: nothing that comes after t belongs to the sum at t.
        decay: a number.

    Returns:
        (..., T), differentiable with respect to `terms`.

    Source: Hillis & Steele 1986, "Data parallel algorithms", doi:10.1145/7902.7903;
    Blelloch 1990, "Prefix sums and their applications".
    """
    if not terms.is_floating_point() or terms.ndim == 0 or terms.shape[-1] == 0:
        got = f"{terms.dtype} {tuple(terms.shape)}"
        raise ValueError(f"terms must be floating point (..., T) with T >= 1, got {got}")
    if ended.dtype != torch.bool or ended.shape != terms.shape:
        got = f"{ended.dtype} {tuple(ended.shape)}"
        raise ValueError(f"ended must be bool {tuple(terms.shape)}, got {got}")
    sums, span = terms.clone(), 1  # (..., T): sums of the first `span` terms
    goes_on = ~ended[..., :-1]  # (..., T - span): whether nothing ends at t .. t + span - 1
    while span < terms.shape[-1]:
        following = torch.where(goes_on, sums[..., span:], 0.0)
        sums[..., :-span].add_(following, alpha=decay**span)
        goes_on = goes_on[..., :-span] & goes_on[..., span:]
        span *= 2
    return sums
