"""What makes each claim of chapter 14 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("14.1", "errors = errors.flip(0)", "the factor is where it must not be"),
    Broken("14.1", "errors[0, 0] = 0.0", "the whole return is right with the factor, too"),
    Broken("14.1", "errors[0, 5] = 0.1", "the TD error is wrong with the factor"),
    Broken("14.2", "spread[17, 5] = 2 * spread[17, 2]", "a TD error is noisier than the return"),
    Broken("14.2", "relative = relative.flip(1)", "the ladder the other way round"),
    Broken("14.3", "mse[0.5][1] = mse[0.5][1] * 100", "the TD error is worse from the start"),
    Broken("14.3", "mse[0.9][1] = mse[0.9][1].flip(0)", "a better critic gives way sooner"),
    Broken("14.3", "mse[0.9] = mse[0.0]", "a better critic is as bad"),
    Broken("14.4", 'paths["0"] = paths["exact critic"]', "a blind actor finds the best policy"),
    Broken("14.4", 'paths["0.5"] = paths["0"]', "a fast critic does not help"),
    Broken("14.4", 'paths["0.05"] = paths["0.5"] + 1', "a slow critic is better"),
    Broken("at least half of the ten", "final = final - 400", "no run is solved"),
    Broken("assert low > 0.7", "low = 0.3", "three runs in ten"),
    Broken("swing >", "swing = swing - 400", "no pendulum is ever up"),
    Broken("14.7", "greedy = {name: greedy[kinds[0]] for name in kinds}", "no part matters"),
    Broken("14.7", 'greedy["no end"][3, -1] = 500.0', "a run without ends is solved"),
]
