"""Typical wrong answers of appendix C, and what the checker must say to each."""


def _is_sound(terminated="[2]", truncated="[4]", gamma=0.9, lambda_=0.7, compare="[:]",
              v_next="torch.randn(8, generator=rng, dtype=torch.float64)"):  # fmt: skip
    return f"""
def is_sound(gae):
    from rlbook.formulas.returns import generalized_advantage_estimate

    rng = generator(0)
    r, v = torch.randn(2, 8, generator=rng, dtype=torch.float64)
    v_next = {v_next}
    terminated, truncated = torch.zeros(2, 8).bool()
    terminated[{terminated}] = True
    truncated[{truncated}] = True
    case = (r, v, v_next, terminated, truncated)
    right = generalized_advantage_estimate(*case, discount={gamma}, lambda_={lambda_})
    return torch.allclose(gae(*case, {gamma}, {lambda_}){compare}, right{compare})
"""


def _sees(
    places="range(1, len(tokens))", entry="t - 1", term="exp()", close="abs(total - 1) > 1e-6"
):
    return f"""
def sees_no_future(score, model, tokens, V):
    for t in {places}:
        total = 0.0
        for token in range(V):
            tried = tokens.clone()
            tried[t] = token
            total += float(score(model, tried)[{entry}].{term})
        if {close}:
            return False
    return True
"""


NONE = "[]"

WRONG = {
    "C.1": [
        ("def is_sound(gae):\n    return True", "takes a time limit for an end"),
        ("def is_sound(gae):\n    return False", "It said no to a right version"),
        (_is_sound(truncated=NONE), "takes a time limit for an end"),
        (_is_sound(terminated=NONE), "bootstraps through a termination"),
        (_is_sound(v_next="torch.zeros(8, dtype=torch.float64)"), "takes a time limit for an end"),
        (_is_sound(truncated="[7]"), "lets the trace run through a time limit"),
        (_is_sound(gamma=1.0), "lost the discount"),
        (_is_sound(lambda_=1.0), "lost lambda"),
        (_is_sound(lambda_=0.9), "exchanges gamma and lambda"),
        (_is_sound(compare="[7:]", terminated="[7]"), "takes a time limit for an end"),
        ("def is_sound(gae):\n    return 'yes'", "return True or False, not 'yes'"),
    ],
    "C.2": [
        ("def sees_no_future(score, model, tokens, V):\n    return True", "have read it (bug 26)"),
        (_sees(places="[len(tokens) - 1]"), "is right at the last place only"),
        (_sees(close="total != 1"), "with a tolerance"),
        (_sees(term="double()"), "It said no to a right score"),
        (_sees(entry="t - 2"), "It said no to a right score"),
        (
            "def sees_no_future(score, model, tokens, V):\n"
            "    return bool((score(model, tokens) <= 0).all())",
            "have read it (bug 26)",
        ),
    ],
}
