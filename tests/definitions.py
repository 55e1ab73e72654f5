"""The numbered equations that no code checks, each with the reason why not.

An equation belongs here if it only says what a word or a symbol means, so that there is nothing
to compare. All others are checked by `check("3.4", ...)` in their chapter; a test proves that
every equation is in exactly one of the two places.
"""

DEFINITIONS: dict[str, str] = {
    # Chapter 00
    "0.1": "says what the return is",
    # Chapter 01
    "1.1": "says what the return is",
    "1.3": "says what a policy is",
    "1.10": "says what the value of a state is",
    "1.11": "says what the value of an action is",
    # Chapter 02
    # Chapter 03
    "3.12": "says what `at least as good` means; its properties are counted in the next cells",
    # Chapter 04
    # Chapter 05
    # Chapter 06
    "6.6": "says what the advantage is",
    # Chapter 07
    "7.13": "names the conditions of Robbins and Monro; what they do is checked beside it",
    # Chapter 08
    # Chapter 09
    "9.5": "the hypotheses of a theorem on the step sizes; there is nothing to compare",
    # Chapter 10
    # Chapter 10b
    "10b.3": "says how an error is measured",
    # Chapter 11
    "11.10": "says what a softmax policy is",
    # Chapter 14
    "14.10": "says what a step of the algorithm is; its mean is Eq. (14.11), which is checked",
    # Chapter 15
    "15.14": "says which problem TRPO solves",
    # Chapter 16
    "16.3": "says what PPO-penalty maximises",
    # Chapter 19
    "19.2": "says what RLHF maximises",
    # Appendix F
    "F.1": "says what the expectation is",
    "F.4": "says what a conditional probability is",
    "F.6": "says what the gradient is",
    "F.8": "says what a matrix times a vector is",
}
