"""The numbered equations that no code checks, each with the reason why not.

An equation belongs here if it only says what a word or a symbol means, so that there is nothing
to compare. All others are checked by `check("3.4", ...)` in their chapter; a test proves that
every equation is in exactly one of the two places.
"""

DEFINITIONS: dict[str, str] = {
    # Chapter 00
    # Chapter 01
    # Chapter 02
    # Chapter 03
    "3.12": "says what `at least as good` means; its properties are counted in the next cells",
    # Chapter 04
    # Chapter 05
    # Chapter 06
    # Chapter 07
    # Chapter 08
    # Chapter 09
    # Chapter 10
}
