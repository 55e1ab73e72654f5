"""Running statistics of each run: numpy's mean and variance of all that was valid."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.deep.parts.networks import polyak_update, run_module
from rlbook.deep.parts.normalization import RunningNormalizer
from rlbook.ground.seeding import generator

R, SIZE = 3, 2
NAN = float("nan")


def data(*shape: int, seed: int = 0, offset: float = 0.0) -> torch.Tensor:
    return offset + 3 * torch.randn(*shape, generator=generator(seed))


def assert_is_numpys(normalizer: RunningNormalizer, k: int, seen: list[np.ndarray]) -> None:
    whole = np.concatenate(seen).astype(np.float64)
    np.testing.assert_allclose(normalizer.mean[k], whole.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(normalizer.var[k], whole.var(0), rtol=1e-9, atol=1e-12)
    assert normalizer.count[k].item() == len(whole)


def test_by_hand():
    normalizer = RunningNormalizer(1, 1)
    normalizer.update(torch.tensor([[[1.0], [3.0]]]))
    normalizer.update(torch.tensor([[[5.0], [7.0]]]))
    assert normalizer.mean.item() == 4.0 and normalizer.var.item() == 5.0
    out = normalizer(torch.tensor([[[4.0], [9.0], [-1.0]]]))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 5**0.5, -(5**0.5)]))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e4, -1e6]))
def test_equal_to_numpy_over_all_valid_data(seed, offset):
    """Batches of every length, some runs without any valid entry, NaN behind the mask."""
    normalizer, stream = RunningNormalizer(R, SIZE), generator(seed)
    seen: list[list[np.ndarray]] = [[] for _ in range(R)]
    for batch in range(4):
        length = int(torch.randint(1, 6, (), generator=stream))
        x = data(R, 2, length, SIZE, seed=seed + batch, offset=offset)
        valid = torch.rand(R, 2, length, generator=stream) < 0.6
        valid[batch % R] = False
        valid[:, 0, 0] |= batch == 3
        normalizer.update(torch.where(valid.unsqueeze(-1), x, NAN), valid)
        for k in range(R):
            seen[k].append(x[k][valid[k]].numpy())
    for k in range(R):
        assert_is_numpys(normalizer, k, seen[k])


def test_long_streams_stay_exact():
    normalizer, seen = RunningNormalizer(1, 1), []
    for batch in range(300):
        x = data(1, 7, 1, seed=batch, offset=1e5 + batch)
        normalizer.update(x)
        seen.append(x[0].numpy())
    assert_is_numpys(normalizer, 0, seen)


def test_all_count_by_default():
    one, other, x = RunningNormalizer(R, SIZE), RunningNormalizer(R, SIZE), data(R, 5, SIZE)
    one.update(x)
    other.update(x, torch.ones(R, 5, dtype=torch.bool))
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_identity_before_the_first_data():
    normalizer, x = RunningNormalizer(R, SIZE, clip=99.0), data(R, 5, SIZE)
    assert torch.equal(normalizer(x), x)
    normalizer.update(x, torch.tensor([[True] * 5, [False] * 5, [True] * 5]))
    assert torch.equal(normalizer(x)[1], x[1])
    assert not torch.equal(normalizer(x)[0], x[0])
    assert normalizer.count.tolist() == [[5.0], [0.0], [5.0]]


def test_a_run_without_valid_data_keeps_what_it_has():
    normalizer = RunningNormalizer(R, SIZE)
    normalizer.update(data(R, 5, SIZE))
    before = {name: x.clone() for name, x in normalizer.state_dict().items()}
    normalizer.update(torch.full((R, 4, SIZE), NAN), torch.zeros(R, 4, dtype=torch.bool))
    normalizer.update(torch.zeros(R, 0, SIZE))
    torch.testing.assert_close(dict(normalizer.state_dict()), before)


@pytest.mark.parametrize("bad", [NAN, float("inf")])
def test_what_is_not_finite_stays_out(bad):
    """Of run 1 all, and one feature of one observation of run 0."""
    normalizer, other, x = RunningNormalizer(R, SIZE), RunningNormalizer(R, SIZE), data(R, 5, SIZE)
    for each in (normalizer, other):
        each.update(data(R, 4, SIZE, seed=1))
    valid = torch.ones(R, 5, dtype=torch.bool)
    valid[1], valid[0, 2] = False, False
    other.update(x, valid)
    x[1], x[0, 2, 1] = bad, bad
    normalizer.update(x)
    torch.testing.assert_close(normalizer.state_dict(), other.state_dict(), rtol=0, atol=0)
    assert normalizer.count.tolist() == [[8.0], [4.0], [9.0]]


@pytest.mark.parametrize("middle", [(200,), (4, 50), ()])
def test_normalised_data_have_mean_0_and_variance_1(middle):
    normalizer, x = RunningNormalizer(R, SIZE), data(R, 200, SIZE, offset=7.0)
    x *= torch.tensor([1.0, 10.0, 0.1]).view(R, 1, 1)
    normalizer.update(x)
    y = normalizer(x.view(R, *middle, SIZE) if middle else x[:, 0])
    assert y.shape == (R, *middle, SIZE) and y.dtype == torch.float32
    if middle:
        flat = y.flatten(1, -2)
        torch.testing.assert_close(flat.mean(1), torch.zeros(R, SIZE), rtol=0, atol=1e-4)
        torch.testing.assert_close(flat.var(1, unbiased=False), torch.ones(R, SIZE))
    else:
        torch.testing.assert_close(y, normalizer(x)[:, 0])


def test_clip():
    x = torch.tensor([[[1e9], [-1e9], [2.0]]])
    assert RunningNormalizer(1, 1)(x).flatten().tolist() == [10.0, -10.0, 2.0]
    assert RunningNormalizer(1, 1, clip=1.5)(x).flatten().tolist() == [1.5, -1.5, 1.5]


def test_a_constant_feature_is_zero():
    normalizer = RunningNormalizer(1, 1)
    normalizer.update(torch.full((1, 9, 1), 0.1))
    assert normalizer(torch.full((1, 1, 1), 0.1)).item() == pytest.approx(0.0, abs=1e-3)


def test_runs_are_apart():
    together, x = RunningNormalizer(R, SIZE), data(R, 6, SIZE)
    spoilt, y = RunningNormalizer(R, SIZE), x.clone()
    y[1] = NAN
    together.update(x)
    spoilt.update(y)
    alone = RunningNormalizer(1, SIZE)
    alone.update(x[2:])
    torch.testing.assert_close(alone(x[2:])[0], together(x)[2])
    for k in (0, 2):
        assert torch.equal(spoilt(x)[k], together(x)[k])


def test_one_run_as_a_plain_module():
    normalizer, x = RunningNormalizer(R, SIZE), data(R, 4, 6, SIZE)
    normalizer.update(x, torch.tensor([True, False, True]).view(R, 1, 1).expand(R, 4, 6))
    for k in range(R):
        plain = run_module(normalizer, k)
        torch.testing.assert_close(plain(x[k]), normalizer(x)[k])
        torch.testing.assert_close(plain(x[k, 0, 0]), normalizer(x)[k, 0, 0])
    normalizer.update(100 + x)
    assert not torch.equal(plain(x[2]), normalizer(x)[2])  # as it stood


def test_statistics_are_buffers():
    one, other = RunningNormalizer(R, SIZE), RunningNormalizer(R, SIZE)
    buffers = [one.mean, one.var, one.count]
    one.update(data(R, 6, SIZE))
    assert all(x is y for x, y in zip(buffers, one.buffers(), strict=True))  # in place
    assert all(x.dtype == torch.float64 for x in one.buffers())
    other.load_state_dict(one.state_dict())
    x = data(R, 6, SIZE, seed=1)
    assert torch.equal(one(x), other(x)) and not list(one.parameters())
    third = RunningNormalizer(R, SIZE)
    polyak_update(third, one, 0.01)
    assert torch.equal(one(x), third(x))


def test_gradients_pass_to_the_observations_only():
    normalizer = RunningNormalizer(1, 1)
    normalizer.update(torch.tensor([[[0.0], [4.0]]]))
    x = torch.ones(1, 1, 1, requires_grad=True)
    normalizer.update(x)
    normalizer(x).sum().backward()
    assert x.grad.item() == pytest.approx(1 / normalizer.var.sqrt().item())


def test_bad_input_is_refused():
    normalizer, x = RunningNormalizer(R, SIZE), data(R, 5, SIZE)
    for shape in [(R, 5, 3), (R + 1, 5, SIZE), (1, 5, SIZE), (SIZE,)]:
        for call in (normalizer, normalizer.update):
            with pytest.raises(
                ValueError, match=r"observations must have shape \(3, ..., 2\), got \("
            ):
                call(torch.zeros(shape))
    with pytest.raises(ValueError, match="observations must be floating point, got torch.uint8"):
        normalizer(torch.zeros(R, 5, SIZE, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"valid must be bool \(3, 5\), got torch.bool \(3, 4\)"):
        normalizer.update(x, torch.ones(R, 4, dtype=torch.bool))
    with pytest.raises(
        ValueError, match=r"valid must be bool \(3, 5\), got torch.float32 \(3, 5\)"
    ):
        normalizer.update(x, torch.ones(R, 5))
    for sizes in [(0, 2), (3, 0)]:
        with pytest.raises(ValueError, match="num_runs and size must be at least 1"):
            RunningNormalizer(*sizes)
    with pytest.raises(ValueError, match="clip must be positive, got 0"):
        RunningNormalizer(R, SIZE, clip=0)
