"""What makes each claim of chapter 00 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "beside the small prize: down",
        "world = GridWorld.from_text('S..a ....  .... ...b', rewards={'a': 2.0, 'b': 2.0},"
        " step_reward=0.0, slip=0.2).mdp(discount=0.9)\noptimum = value_iteration(world)",
        "two equal prizes: the near one is best",
    ),
    Broken("values_of[0]", "worth = lambda q: 5.0", "every table is as good as any other"),
    Broken(
        "values_of[0]",
        "walk = lambda walks, epsilon, alpha, luck, old=walk: old(walks, 0.3, alpha, luck)",
        "epsilon changes nothing",
    ),
    Broken(
        "no improvement that ten runs can show",
        "with_exploration = with_exploration[:, :1].expand(-1, 31)",
        "agents that learn nothing",
    ),
    Broken(
        "no improvement that ten runs can show",
        "with_exploration = with_exploration + 1",
        "runs above the optimum",
    ),
    Broken(
        "ten runs do not show that exploration helps",
        "no_exploration = with_exploration",
        "exploration makes no difference",
    ),
    Broken(
        "ten runs do not show that exploration helps",
        "with_exploration, no_exploration = no_exploration, with_exploration",
        "exploration hurts",
    ),
]
