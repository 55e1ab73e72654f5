"""The labs: for each chapter, a function that draws one figure, and a few sliders around it."""

from rlbook.book.labs.playing import play, strip

__all__ = ["play", "strip"]
