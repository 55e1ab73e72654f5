"""Mutants of the networks, policies, normalisers and files of chapters 11 to 20."""

from mutation import Mutant

_NETWORKS = [
    Mutant(
        "deep.parts.networks",
        "nn.init.orthogonal_(matrix, gain, generator=generator)",
        "nn.init.orthogonal_(matrix, gain, generator=generators[0])",
        "all runs draw from one stream in turn",
    ),
    Mutant(
        "deep.parts.networks",
        "nn.init.orthogonal_(matrix, gain, generator=generator)",
        "nn.init.orthogonal_(matrix, gain)",
        "weights from the global seed",
    ),
    Mutant(
        "deep.parts.networks",
        "nn.init.orthogonal_(matrix, gain, generator=generator)",
        "nn.init.normal_(matrix, 0.0, gain, generator=generator)",
        "normal weights, not orthogonal ones",
    ),
    Mutant(
        "deep.parts.networks",
        "gain=math.sqrt(2)",
        "gain=1.0",
        "the hidden gain is lost",
    ),
    Mutant(
        "deep.parts.networks",
        "Linear(sizes[-2], sizes[-1], generators, gain=gain)",
        "Linear(sizes[-2], sizes[-1], generators)",
        "the last layer's gain is lost",
    ),
    Mutant(
        "deep.parts.networks",
        "torch.baddbmm(self.bias, x, self.weight)",
        "torch.baddbmm(self.bias, x, self.weight.mean(0, keepdim=True).expand_as(self.weight))",
        "one matrix for all runs, their mean",
    ),
    Mutant(
        "deep.parts.networks",
        "torch.baddbmm(self.bias, x, self.weight)",
        "torch.bmm(x, self.weight)",
        "no bias",
    ),
    Mutant(
        "deep.parts.networks",
        "y.view(*x.shape[:-1], out_size)",
        "y.view(len(x), *x.shape[-2:0:-1], out_size)",
        "environments and times change places",
    ),
    Mutant(
        "deep.parts.networks",
        "self.weight[k].detach().T.clone(memory_format=own)",
        "self.weight[0].detach().T.clone(memory_format=own)",
        "always run 0",
    ),
    Mutant(
        "deep.parts.networks",
        "self.bias[k, 0].detach().clone(memory_format=own)",
        "self.bias[k, 0].detach()",
        "the plain module shares its bias",
    ),
    Mutant(
        "deep.parts.networks",
        "return network.value(hidden) + advantage - advantage.mean(-1, keepdim=True)",
        "return network.value(hidden) + advantage",
        "the advantage is not centred",
    ),
    Mutant(
        "deep.parts.networks",
        "advantage.mean(-1, keepdim=True)",
        "advantage.mean()",
        "the advantage centred over the batch and the runs",
    ),
    Mutant(
        "deep.parts.networks",
        "advantage.mean(-1, keepdim=True)",
        "advantage.amax(-1, keepdim=True)",
        "the maximum in the place of the mean",
    ),
    Mutant("deep.parts.networks", "old.lerp_(new, tau)", "old.lerp_(new, 1 - tau)", "tau swapped"),
    Mutant(
        "deep.parts.networks",
        "old.lerp_(new, tau)",
        "old.add_(new, alpha=tau)",
        "the old value is kept",
    ),
    Mutant("deep.parts.networks", "if tau == 1 or", "if", "a hard sync that keeps NaN"),
    Mutant(
        "deep.parts.networks", "not isinstance(old, nn.Parameter)", "False", "buffers are averaged"
    ),
    Mutant(
        "deep.parts.networks",
        "return torch.linalg.vector_norm(whole, dim=1)",
        "return torch.linalg.vector_norm(whole).expand(len(whole))",
        "one norm over the stack of runs",
    ),
    Mutant(
        "deep.parts.networks",
        "return torch.linalg.vector_norm(whole, dim=1)",
        "return torch.linalg.vector_norm(whole, dim=1).mean().expand(len(whole))",
        "the mean of the runs' norms",
    ),
    Mutant(
        "deep.parts.networks",
        "return torch.linalg.vector_norm(whole, dim=1)",
        "return whole.abs().amax(dim=1)",
        "the largest entry in the place of the norm",
    ),
    Mutant("deep.parts.networks", ".clamp(max=1.0)", "", "small gradients are made larger"),
    Mutant(
        "deep.parts.networks",
        ".clamp(max=1.0)",
        ".clamp(max=1.0).amin().expand_as(norms)",
        "the largest gradient scales all runs",
    ),
    Mutant(
        "deep.parts.networks",
        "    return norms\n",
        "    return norms * scale\n",
        "the norms after clipping",
        within="clip_gradients_per_run",
    ),
]

_POLICIES = [
    Mutant(
        "deep.parts.policies",
        "logits.log_softmax(-1).gather",
        "logits.log_softmax(0).gather",
        "softmax over the runs",
    ),
    Mutant(
        "deep.parts.policies",
        "logits.log_softmax(-1).gather",
        "logits.gather",
        "logits as log-probabilities",
    ),
    Mutant(
        "ground.draws",
        "(cumulative > threshold.unsqueeze(-1))",
        "(cumulative >= threshold.unsqueeze(-1))",
        "u = 0 takes a first action of probability zero",
        tests="test_policies.py",
    ),
    Mutant(
        "ground.draws",
        ".clamp(max=below_one)",
        "",
        "u = 1 exceeds no cumulative probability",
        tests="test_policies.py",
    ),
    Mutant(
        "ground.draws",
        "(cumulative > threshold.unsqueeze(-1)).byte().argmax(-1)",
        "(cumulative <= threshold.unsqueeze(-1)).sum(-1)",
        "counts the actions below, and zeros among them",
        tests="test_policies.py",
    ),
    Mutant(
        "deep.parts.policies",
        "torch.full_like(last.bias, initial_log_std)",
        "torch.full_like(last.bias[:1], initial_log_std)",
        "one standard deviation for all runs",
    ),
    Mutant(
        "deep.parts.policies",
        "Normal(mean, log_std.exp())",
        "Normal(mean, log_std.abs())",
        "log_std used as std in the distribution",
    ),
    Mutant(
        "deep.parts.policies",
        "(actions - mean) * (-log_std).exp()",
        "(actions - mean) / log_std",
        "log_std used as std in the log-probability",
    ),
    Mutant(
        "deep.parts.policies",
        "(actions - mean) * (-log_std).exp()",
        "(actions - mean) * log_std.exp()",
        "the sign of log_std",
    ),
    Mutant(
        "deep.parts.policies",
        "0.5 * standardised.square() + log_std",
        "0.5 * standardised.square()",
        "the density without its normalisation",
    ),
    Mutant(
        "deep.parts.policies",
        "return log_probs.sum(-1)",
        "return log_probs.mean(-1)",
        "the mean over action dimensions",
    ),
    Mutant(
        "deep.parts.policies",
        "0.5 * (1 + math.log(2 * math.pi))).sum(-1)",
        "0.5 * math.log(2 * math.pi)).sum(-1)",
        "the entropy lacks one half for each dimension",
    ),
    Mutant(
        "deep.parts.policies",
        "mean + log_std.exp() * noise",
        "mean + (2 * log_std).exp() * noise",
        "the variance as standard deviation",
    ),
    Mutant(
        "deep.parts.policies",
        "mean + log_std.exp() * noise",
        "(mean + log_std.exp() * noise).tanh()",
        "squashed",
    ),
    Mutant(
        "deep.parts.policies",
        "return streams.normal(",
        "return streams.uniform(",
        "uniform noise for a Gaussian",
    ),
    Mutant(
        "deep.parts.policies",
        "return self.network(observations).argmax(-1)",
        "return self.network(observations).argmin(-1)",
        "greedy for the worst",
    ),
    Mutant(
        "deep.parts.policies", "gain=0.01", "gain=1.0", "a new policy that is not nearly uniform"
    ),
    Mutant("deep.parts.policies", "self.log_std[k, 0]", "self.log_std[0, 0]", "run 0's log_std"),
]

_NORMALIZATION = [
    Mutant(
        "deep.parts.normalization",
        "valid.flatten(1) & x.isfinite().all(-1)",
        "x.isfinite().all(-1)",
        "invalid entries count",
    ),
    Mutant(
        "deep.parts.normalization",
        "new = keep.sum(1)",
        "new = torch.ones_like(keep, dtype=torch.long).sum(1)",
        "invalid entries count in the number only",
    ),
    Mutant(
        "deep.parts.normalization",
        "torch.where(keep, x, 0.0).sum(1)",
        "(x * keep).sum(1)",
        "a mask by a product lets NaN in",
    ),
    Mutant(
        "deep.parts.normalization",
        "torch.where(keep, x, 0.0).sum(1) / new.clamp(min=1)",
        "(torch.where(keep, x, 0.0).sum(1) / new.clamp(min=1)).mean(0, keepdim=True)",
        "the mean over runs",
    ),
    Mutant(
        "deep.parts.normalization",
        "        squares += delta.square() * self.count * share\n",
        "",
        "the variance forgets that the means differ",
    ),
    Mutant(
        "deep.parts.normalization",
        "self.mean += delta * share",
        "self.mean += 0.5 * delta",
        "the mean of the batches' means",
    ),
    Mutant(
        "deep.parts.normalization",
        "squares / total.clamp(min=1)",
        "squares / (total - 1).clamp(min=1)",
        "the variance that divides by n - 1",
    ),
    Mutant(
        "deep.parts.normalization",
        "F64 = torch.float64",
        "F64 = torch.float32",
        "statistics in single precision",
    ),
    Mutant(
        "deep.parts.normalization",
        "(self.var + 1e-8).rsqrt()",
        "1 / self.var",
        "variance for deviation",
    ),
    Mutant(
        "deep.parts.normalization",
        "torch.where(self.count > 0, (self.var + 1e-8).rsqrt(), 1.0)",
        "torch.where(self.count > 0, (self.var + 1e-8).rsqrt(), 0.0)",
        "all zeros before the first data",
    ),
    Mutant(
        "deep.parts.normalization",
        ".clamp(-self.clip, self.clip)",
        "",
        "no clip",
        within="RunningNormalizer.forward",
    ),
    Mutant(
        "deep.parts.normalization", "self._scale()[k]", "self._scale()[0]", "the scale of run 0"
    ),
]

_SAVING = [
    Mutant(
        "ground.saving",
        'x.detach().to("cpu", copy=True).contiguous()',
        "x.detach().contiguous()",
        "shared memory is refused",
    ),
    Mutant(
        "ground.saving",
        'path.with_name(f".{path.name}.{os.getpid()}.part")',
        "path",
        "a crash destroys the old file",
    ),
    Mutant(
        "ground.saving", "unfinished.unlink(missing_ok=True)", "pass", "a crash leaves its debris"
    ),
    Mutant(
        "ground.saving",
        "if not isinstance(key, str):",
        "if False:",
        "numbers as keys turn into strings",
    ),
]

NETWORKS = [*_NETWORKS, *_POLICIES, *_NORMALIZATION, *_SAVING]
