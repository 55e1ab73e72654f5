"""Policies of R runs: the numbers of torch.distributions, and draws that keep runs apart."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Categorical, Normal

from rlbook.deep.parts.networks import MLP, run_module
from rlbook.deep.parts.normalization import RunningNormalizer
from rlbook.deep.parts.policies import CategoricalPolicy, GaussianPolicy, make_policy
from rlbook.ground.draws import inverse_cdf
from rlbook.ground.seeding import Streams, generator, run_generators

R, A = 3, 4
MIDDLES = [(5,), (2, 4), (1,)]
BELOW_ONE = 1 - 2**-24  # the largest float32 below 1
NAN, INF = float("nan"), float("inf")


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def categorical(run_ids=range(R)) -> CategoricalPolicy:
    return CategoricalPolicy(MLP((3, 16, A), run_generators(0, run_ids=run_ids), gain=2.0))


def gaussian(run_ids=range(R)) -> GaussianPolicy:
    policy = GaussianPolicy(MLP((3, 16, A), run_generators(0, run_ids=run_ids)))
    policy.log_std.data = torch.stack([random(1, A, seed=run) for run in run_ids])
    return policy


def envs(**changes) -> SimpleNamespace:
    discrete = {"num_actions": A, "action_size": None}
    return SimpleNamespace(**{"num_runs": R, "observation_size": 3} | discrete | changes)


# --- log-probabilities and entropies


@pytest.mark.parametrize("middle", MIDDLES)
def test_categorical_agrees_with_torch(middle):
    policy, x = categorical(), random(R, *middle, 3)
    actions = torch.randint(A, (R, *middle), generator=generator(2))
    torchs = Categorical(logits=policy.network(x))
    log_probs, entropy = policy.log_prob_and_entropy(x, actions)
    assert log_probs.shape == entropy.shape == (R, *middle)
    torch.testing.assert_close(log_probs, torchs.log_prob(actions))
    torch.testing.assert_close(entropy, torchs.entropy())
    assert torch.equal(policy.log_prob(x, actions), log_probs)
    assert torch.equal(policy.entropy(x), entropy)
    of_parameters = policy.log_prob_and_entropy_of(policy.parameters_of(x), actions)
    torch.testing.assert_close(of_parameters, (log_probs, entropy), rtol=0, atol=0)
    torch.testing.assert_close(policy.distribution(x).probs, torchs.probs)
    assert torch.equal(policy.parameters_of(x), policy.network(x))
    assert torch.equal(policy(x), policy.parameters_of(x))
    assert torch.equal(policy.greedy(x), torchs.probs.argmax(-1))


@pytest.mark.parametrize("middle", MIDDLES)
def test_gaussian_agrees_with_torch(middle):
    policy, x = gaussian(), random(R, *middle, 3)
    actions = 5 * random(R, *middle, A, seed=2)
    mean = policy.network(x)
    std = policy.log_std.exp().reshape(R, *[1] * len(middle), A).expand_as(mean)
    log_probs, entropy = policy.log_prob_and_entropy(x, actions)
    assert log_probs.shape == entropy.shape == (R, *middle)
    torch.testing.assert_close(log_probs, Normal(mean, std).log_prob(actions).sum(-1))
    torch.testing.assert_close(entropy, Normal(mean, std).entropy().sum(-1))
    assert torch.equal(policy.log_prob(x, actions), log_probs)
    assert torch.equal(policy.entropy(x), entropy)
    of_parameters = policy.log_prob_and_entropy_of(policy.parameters_of(x), actions)
    torch.testing.assert_close(of_parameters, (log_probs, entropy), rtol=0, atol=0)
    torch.testing.assert_close(policy.distribution(x).log_prob(actions), log_probs)
    torch.testing.assert_close(policy.distribution(x).entropy(), entropy)
    for ours, wanted in zip(policy.parameters_of(x), (mean, std.log()), strict=True):
        torch.testing.assert_close(ours, wanted)
    assert torch.equal(policy.greedy(x), mean)


def test_gaussian_by_hand():
    policy = GaussianPolicy(MLP((1, 2), run_generators(0, 1)), initial_log_std=math.log(2.0))
    policy.network.layers[0].weight.data.zero_()
    x, actions = torch.zeros(1, 1, 1), torch.tensor([[[2.0, 0.0]]])
    density = math.exp(-0.5) / (2 * math.sqrt(2 * math.pi)) / (2 * math.sqrt(2 * math.pi))
    assert policy.log_prob(x, actions).item() == pytest.approx(math.log(density))
    assert policy.entropy(x).item() == pytest.approx(math.log(2 * math.pi * math.e * 4))
    noise = torch.tensor([[[1.5, -1.0]]])
    torch.testing.assert_close(policy.sample(x, noise), torch.tensor([[[3.0, -2.0]]]))


def test_standard_deviation_begins_at_one():
    policy = GaussianPolicy(MLP((3, 2), run_generators(0, R)))
    assert policy.log_std.shape == (R, 1, 2) and (policy.log_std == 0).all()


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_kl_is_of_old_from_new(make):
    old, new, x = make().double(), make(range(R, 2 * R)).double(), random(R, 2, 5, 3).double()
    kl = old.kl(old.parameters_of(x), new.parameters_of(x))
    torchs = torch.distributions.kl_divergence(old.distribution(x), new.distribution(x))
    torch.testing.assert_close(kl, torchs)
    assert (old.kl(old.parameters_of(x), old.parameters_of(x)) == 0).all()


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_gradients_are_those_of_torch(make):
    policy, x, noise = make().double(), random(R, 6, 3).double(), random(R, 6, A).double()
    actions = policy.sample(x, noise if make is gaussian else torch.rand(R, 6).double())
    log_probs, entropy = policy.log_prob_and_entropy(x, actions)
    ours = torch.autograd.grad((log_probs + 0.3 * entropy).sum(), policy.parameters())
    torchs = policy.distribution(x)
    objective = torchs.log_prob(actions) + 0.3 * torchs.entropy()
    torch.testing.assert_close(ours, torch.autograd.grad(objective.sum(), policy.parameters()))
    for k in range(R):  # the whole sum's gradient is, for run k, that of its own part
        alone = torch.autograd.grad(
            policy.log_prob(x, actions)[k].sum() + 0.3 * policy.entropy(x)[k].sum(),
            policy.parameters(),
        )
        for all_runs, own in zip(ours, alone, strict=True):
            torch.testing.assert_close(all_runs[k], own[k])
            assert (own[[j for j in range(R) if j != k]] == 0).all()


# --- draws


def test_inverse_cdf_by_hand():
    probabilities = torch.tensor([0.25, 0.5, 0.0, 0.25])
    uniforms = torch.tensor([0.0, 0.2, 0.25, 0.5, 0.7499, 0.75, 0.9, BELOW_ONE, 1.0])
    actions = inverse_cdf(probabilities.expand(9, 4), uniforms)
    assert actions.tolist() == [0, 0, 1, 1, 1, 3, 3, 3, 3] and actions.dtype == torch.long


def test_inverse_cdf_never_takes_the_impossible():
    """Zeros at both ends and inside, sums that round above and below 1, uniforms at the ends."""
    stream = generator(3)
    logits = 10 * torch.randn(20_000, 7, generator=stream)
    logits[torch.rand(20_000, 7, generator=stream) < 0.4] = -INF
    logits[:, 3] = torch.where(logits.amax(-1) == -INF, 0.0, logits[:, 3])
    probabilities = logits.softmax(-1)
    for u in (0.0, 1e-45, 2**-24, 0.5, BELOW_ONE, 1.0, 1 - 1e-12):
        actions = inverse_cdf(probabilities, torch.full((20_000,), u, dtype=torch.float64))
        assert (probabilities.gather(-1, actions.unsqueeze(-1)) > 0).all()


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_inverse_cdf_gives_each_action_its_share(seed, size):
    stream = generator(seed)
    probabilities = (3 * torch.randn(size, generator=stream)).softmax(-1)
    uniforms = (torch.arange(10_000) + 0.5) / 10_000
    actions = inverse_cdf(probabilities.expand(10_000, size), uniforms)
    shares = actions.bincount(minlength=size) / 10_000
    torch.testing.assert_close(shares, probabilities, rtol=0, atol=2e-4)
    assert (actions.diff() >= 0).all()


def test_inverse_cdf_of_nan_is_an_action():
    assert 0 <= inverse_cdf(torch.full((3,), NAN), torch.tensor(0.5)) < 3


@pytest.mark.parametrize("make", [categorical, gaussian])
@pytest.mark.parametrize("middle", MIDDLES)
def test_draws(make, middle):
    policy, x = make(), random(R, *middle, 3)
    noise = policy.draw_noise(Streams(0, range(R)), *middle)
    actions = policy.sample(x, noise)
    assert not actions.requires_grad
    if make is categorical:
        assert noise.shape == actions.shape == (R, *middle)
        assert torch.equal(actions, inverse_cdf(policy.distribution(x).probs, noise))
    else:
        assert noise.shape == actions.shape == (R, *middle, A)
        mean, log_std = policy(x)
        torch.testing.assert_close((actions - mean) / log_std.exp(), noise)


def test_noise_is_uniform_for_one_and_normal_for_the_other():
    uniform = categorical().draw_noise(Streams(0, range(R)), 1000)
    assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.05
    normal = gaussian().draw_noise(Streams(0, range(R)), 1000)
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_a_run_alone_acts_as_among_others(make):
    x = random(R, 5, 3)
    together, alone = make(), make([2])
    actions = together.sample(x, together.draw_noise(Streams(7, range(R)), 5))
    own = alone.sample(x[2:], alone.draw_noise(Streams(7, [2]), 5))
    torch.testing.assert_close(actions[2], own[0])
    torch.testing.assert_close(together.log_prob(x, actions)[2], alone.log_prob(x[2:], own)[0])
    torch.testing.assert_close(together.entropy(x)[2], alone.entropy(x[2:])[0])


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_a_broken_run_breaks_no_other(make):
    policy, broken, x = make(), make(), random(R, 5, 3)
    for parameter in broken.parameters():
        parameter.data[1] = NAN
    noise = policy.draw_noise(Streams(0, range(R)), 5)
    actions = policy.sample(x, noise)
    others = broken.sample(x, noise)
    for k in (0, 2):
        assert torch.equal(others[k], actions[k])
        assert torch.equal(broken.log_prob(x, actions)[k], policy.log_prob(x, actions)[k])
        assert torch.equal(broken.entropy(x)[k], policy.entropy(x)[k])
        assert torch.equal(broken.greedy(x)[k], policy.greedy(x)[k])


# --- making and converting


@pytest.mark.parametrize("changes", [{}, {"num_actions": None, "action_size": 2}])
@pytest.mark.parametrize("hidden", [(), (8,), (16, 8)])
def test_make_policy_fits_the_action_space(changes, hidden):
    policy = make_policy(envs(**changes), hidden, run_generators(0, R), activation="relu")
    assert type(policy) is (GaussianPolicy if changes else CategoricalPolicy)
    outputs = changes.get("action_size", A)
    weights = [layer.weight for layer in policy.network.layers[::2]]
    sizes = (3, *hidden, outputs)
    assert [tuple(w.shape) for w in weights] == [
        (R, *s) for s in zip(sizes, sizes[1:], strict=False)
    ]
    assert torch.linalg.matrix_norm(weights[-1], 2).max().item() == pytest.approx(0.01, rel=1e-4)
    assert all(isinstance(layer, nn.ReLU) for layer in policy.network.layers[1::2])


def test_a_new_policy_explores():
    policy, x = make_policy(envs(), (64, 64), run_generators(0, R)), random(R, 50, 3)
    torch.testing.assert_close(
        policy.entropy(x), torch.full((R, 50), math.log(A)), atol=1e-3, rtol=0
    )
    assert isinstance(policy.network.layers[1], nn.Tanh)


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_one_run_is_a_plain_module(make):
    policy, x = make(), random(R, 5, 3)
    for k in range(R):
        plain = run_module(policy, k)
        torch.testing.assert_close(
            plain(x[k]), policy(x)[k] if make is categorical else tuple(y[k] for y in policy(x))
        )
        parameters = [p.numel() for p in plain.parameters()]
        assert sum(parameters) * R == sum(p.numel() for p in policy.parameters())


def test_the_plain_log_std_is_a_copy():
    policy = gaussian()
    plain = run_module(policy, 1)
    plain.log_std.data += 1.0
    torch.testing.assert_close(plain.log_std - 1.0, policy.log_std[1, 0])
    assert plain.log_std.requires_grad and plain.log_std.is_leaf


def test_a_normaliser_may_stand_before_the_network():
    normalizer = RunningNormalizer(R, 3)
    normalizer.update(5 + 2 * random(R, 50, 3))
    network = nn.Sequential(normalizer, MLP((3, 8, A), run_generators(0, R)))
    policy, x = GaussianPolicy(network), 5 + 2 * random(R, 6, 3, seed=9)
    assert policy.normalizer is normalizer
    with pytest.raises(ValueError, match="network must begin with a RunningNormalizer, got MLP"):
        _ = categorical().normalizer
    assert policy.log_std.shape == (R, 1, A)
    for k in range(R):
        torch.testing.assert_close(run_module(policy, k)(x[k]), tuple(y[k] for y in policy(x)))


# --- bad input


def test_bad_actions_are_refused():
    x = torch.zeros(R, 5, 3)
    for call in (categorical().log_prob, categorical().log_prob_and_entropy):
        with pytest.raises(
            ValueError, match=r"actions must be long \(3, 5\), got .*int64 \(3, 4\)"
        ):
            call(x, torch.zeros(R, 4, dtype=torch.long))
        with pytest.raises(ValueError, match=r"actions must be long \(3, 5\), got torch.float32"):
            call(x, torch.zeros(R, 5))
        with pytest.raises(ValueError, match=r"actions must be long .*got torch.int32"):
            call(x, torch.zeros(R, 5, dtype=torch.int32))
    for call in (gaussian().log_prob, gaussian().log_prob_and_entropy):
        with pytest.raises(
            ValueError, match=r"actions must be floating point \(3, 5, 4\), got .* \(3, 5\)"
        ):
            call(x, torch.zeros(R, 5))


def test_bad_noise_is_refused():
    x = torch.zeros(R, 5, 3)
    with pytest.raises(
        ValueError, match=r"noise must be floating point \(3, 5\), got .*\(3, 5, 4\)"
    ):
        categorical().sample(x, torch.zeros(R, 5, A))
    with pytest.raises(
        ValueError, match=r"noise must be floating point \(3, 5, 4\), got .*\(3, 5\)"
    ):
        gaussian().sample(x, torch.zeros(R, 5))


@pytest.mark.parametrize("make", [categorical, gaussian])
@pytest.mark.parametrize("shape", [(R + 1, 5, 3), (1, 5, 3), (R, 3)])
def test_bad_observations_are_refused(make, shape):
    for call in (make().entropy, make().greedy, make().parameters_of, make().distribution):
        with pytest.raises(ValueError, match=r"must have shape \(3, .*got \("):
            call(torch.zeros(shape))


def test_another_number_of_runs_is_refused():
    with pytest.raises(ValueError, match="generators must be one a run, 3, got 2"):
        make_policy(envs(), (8,), run_generators(0, 2))


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_old_parameters_keep_their_numbers_when_the_policy_moves_on(kind):
    """A view of log_std would follow every update, and KL(old || new) would not see it move."""
    streams = [torch.Generator().manual_seed(k) for k in range(2)]
    network = MLP((3, 2), streams)
    policy = CategoricalPolicy(network) if kind == "categorical" else GaussianPolicy(network)
    observations = torch.ones(2, 5, 3)
    with torch.no_grad():
        old = policy.parameters_of(observations)
        old = old if isinstance(old, tuple) else (old,)
        before = [x.clone() for x in old]
        for parameter in policy.parameters():
            parameter += 1.0
    for x, kept in zip(old, before, strict=True):
        assert torch.equal(x, kept)
