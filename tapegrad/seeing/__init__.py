"""Seeing: the tape as a table (show.py) and as a drawing (draw.py), of living entries or of a trace's notes."""

from tapegrad.seeing.draw import draw
from tapegrad.seeing.show import show

__all__ = ["draw", "show"]
