"""What makes each claim of chapter 19 false; see __init__.py."""

from broken_claims import CACHE_LOST, Broken

NOTHING_LEARNED = "runs[1].log['{0}'] = runs[1].log['{0}'] * 0 + runs[1].log['{0}'][0]"

BROKEN = [
    Broken("it bends down", "rival_reward = rival_reward + 1", "rivals above the frontier"),
    Broken("it bends down", "frontier_reward = frontier_kl**2", "a curve that bends up"),
    Broken("old policy as anchor", "wrong = both", "the old policy holds, too"),
    Broken("old policy as anchor", "both = wrong", "the reference does not hold"),
    Broken("every run closes", "gaps[0.1][3, -1] = gaps[0.1][3, 0] / 10", "one run stays behind"),
    Broken("every run closes", "gaps[0.3] = gaps[0.3] - 1", "better than the optimum"),
    Broken("every run closes", "trained[1.0].kl[:] = 1.0", "another place on the frontier"),
    Broken(
        "the anchor is lost three times",
        "broken['2. KL to the old policy'] = broken['right']",
        "the old policy is an anchor",
    ),
    Broken(
        "the anchor is lost three times",
        "broken['3. KL in the loss'] = broken['right']",
        "k1 in the loss holds the policy",
    ),
    Broken(
        "the anchor is lost three times",
        "broken['4. wrong sign'] = broken['right']",
        "the sign does not matter",
    ),
    Broken("within 0.2 of it", "result.kl[2, -1] = 2.0", "one run misses its target"),
    Broken("within 0.2 of it", "result.reward[:] = 0.5", "far below the frontier"),
    Broken(
        "orders more than 72%",
        "judge = reward_model.RewardModel(sft.model, sft.tokenizer)",
        "a reward model that has learned nothing",
    ),
    Broken("rise in all three runs", NOTHING_LEARNED.format("utility"), "no run for the better"),
    Broken("rise in all three runs", NOTHING_LEARNED.format("reward"), "the proxy does not rise"),
    Broken("orders more than 72%", CACHE_LOST, "samples are word salad"),
    Broken("200 other answers", CACHE_LOST, "samples are word salad"),
    Broken("200 other answers", "runs[0].models['policy'] = sft.model", "nothing was learned"),
    Broken("the truth is best at KL", "truth = believed", "the truth never turns"),
    Broken("the truth is best at KL", "covariance = -covariance", "it turns elsewhere"),
    Broken(
        "all three end above any of these",
        "curves['utility'][1] += 10",
        "more comparisons are a cure",
    ),
    Broken("all three end above any of these", "curves['utility'][2] -= 10", "a price is no cure"),
    Broken(
        "all three end above any of these", "curves['reward'][:] = 0.0", "the proxy does not rise"
    ),
    Broken(
        "repeat themselves", "over.arrays['samples'][2] = over.arrays['samples'][0]", "all repeat"
    ),
    Broken("DPO's best policy", "gradient = gradient + 1", "the optimum is not stationary"),
    Broken("DPO's best policy", "entropy = entropy - 0.1", "the loss could be lower"),
    Broken("DPO's best policy", "loss = loss + 1; entropy = entropy + 1", "another is better"),
]
