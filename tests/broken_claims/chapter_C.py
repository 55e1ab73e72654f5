"""What makes each claim of appendix C false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("caught ==", "caught.remove(14)", "one of the bugs was not caught"),
    Broken("caught ==", "caught.append(3)", "a bug was counted twice"),
]
