"""Random streams: run k's stream depends on (seed, k) and on nothing else."""

import pytest
import torch

from rlbook.ground.seeding import Streams, generator, run_generators


def draw(stream, size=8):
    return torch.rand(size, generator=stream, dtype=torch.float64)


def test_the_stream_is_the_same_on_every_machine():
    assert generator(0, 3).initial_seed() == 7915610567561976438
    assert generator(7).initial_seed() == 4474668368857168768


def test_the_stream_depends_on_seed_and_run_only():
    torch.manual_seed(1)
    first = draw(generator(5, 2))
    torch.manual_seed(2)
    torch.rand(10)
    generator(5, 1)
    assert torch.equal(first, draw(generator(5, 2)))


def test_making_a_stream_leaves_the_global_one_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    draw(generator(0, 0))
    assert torch.equal(torch.rand(3), expected)


def test_streams_of_all_seeds_and_runs_differ():
    keys = [(seed, run) for seed in range(30) for run in (None, *range(30))]
    firsts = {draw(generator(seed, run), 1).item() for seed, run in keys}
    assert len(firsts) == len(keys)


def test_neighbouring_runs_are_uncorrelated():
    x = torch.stack([draw(stream, 2000) for stream in run_generators(0, 20)])
    off_diagonal = torch.corrcoef(x)[~torch.eye(20, dtype=torch.bool)]
    assert off_diagonal.abs().max() < 5 / 2000**0.5


def test_a_run_alone_has_the_stream_that_it_has_among_ten():
    ten = [draw(stream) for stream in run_generators(4, 10)]
    alone = [draw(stream) for stream in run_generators(4, run_ids=[3, 0])]
    assert torch.equal(alone[0], ten[3]) and torch.equal(alone[1], ten[0])


def test_generators_do_not_share_state():
    a, b = run_generators(4, 2)
    expected = draw(generator(4, 1))
    draw(a, 100)
    assert torch.equal(draw(b), expected)


def test_bad_input_is_refused():
    for arguments in ((-1,), (0, -2)):
        with pytest.raises(ValueError, match="must not be negative"):
            generator(*arguments)
    for arguments in ({}, {"num_runs": 2, "run_ids": [0]}):
        with pytest.raises(ValueError, match="exactly one of num_runs and run_ids"):
            run_generators(0, **arguments)


def test_row_k_of_all_draws_depends_on_seed_and_run_only():
    all_runs, alone = Streams(5, range(4)), Streams(5, [2])
    for draw_block in (
        lambda s: s.uniform(3, 2),
        lambda s: s.normal(7),
        lambda s: s.integers(10, 6),
        lambda s: s.permutations(9),
        lambda s: s.spawn(1).uniform(3),
    ):
        assert torch.equal(draw_block(all_runs)[2], draw_block(alone)[0])


def test_blocks_have_a_run_axis_and_the_asked_dtype():
    streams = Streams(0, [7, 1])
    assert streams.uniform(3, 2, dtype=torch.float64).dtype == torch.float64
    assert streams.normal().shape == (2,)
    integers = streams.integers(3, 1000)
    assert integers.dtype == torch.long and integers.unique().tolist() == [0, 1, 2]
    assert streams.permutations(50).sort(dim=1).values.tolist() == [list(range(50))] * 2
    assert 0 <= streams.uniform(1000).min() < streams.uniform(1000).max() < 1


def test_spawned_families_are_independent_of_each_other_and_of_the_first():
    streams = Streams(0, [0, 1])
    families = [streams, streams.spawn(0), streams.spawn(1), streams.spawn(0).spawn(1)]
    firsts = {float(x) for family in families for x in family.uniform(dtype=torch.float64)}
    assert len(firsts) == 8
    assert torch.equal(Streams(0, [0, 1]).spawn(1).uniform(), Streams(0, [0, 1]).spawn(1).uniform())


def test_streams_go_on_from_a_saved_state():
    streams = Streams(3, [0, 4])
    streams.normal(5)
    state = streams.state()
    expected = streams.uniform(4)
    again = Streams(3, [0, 4])
    again.load_state(state)
    assert torch.equal(again.uniform(4), expected)
    with pytest.raises(ValueError, match="state has 2 rows, for 1 runs"):
        Streams(3, [0]).load_state(state)


def test_permutations_are_the_order_of_float64_numbers():
    numbers = Streams(5, [0, 3]).uniform(20, dtype=torch.float64)
    assert Streams(5, [0, 3]).permutations(20).equal(numbers.argsort(dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_streams_draw_in_the_dtype_that_is_asked_for(dtype):
    streams, alone = Streams(5, [3]), generator(5, 3)
    assert streams.normal(4, dtype=dtype)[0].equal(
        torch.empty(4, dtype=dtype).normal_(generator=alone)
    )
    assert streams.uniform(4, dtype=dtype)[0].equal(
        torch.empty(4, dtype=dtype).uniform_(generator=alone)
    )


def test_spawned_streams_stay_on_the_device_unless_another_is_given():
    streams, other = Streams(0, [0]), torch.device("cpu")
    assert streams.spawn(1).device == "cpu"
    assert streams.spawn(1, other).device is other


@pytest.mark.parametrize(
    ("seed", "run_ids", "words"),
    [(0, [], "run_ids is empty"), (-1, [0], "not be negative"), (0, [1, -2], "not be negative")],
)
def test_streams_refuse_bad_seeds_and_runs(seed, run_ids, words):
    with pytest.raises(ValueError, match=words):
        Streams(seed, run_ids)
