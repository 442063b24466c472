"""Rows of shapes and joining that are not in core.py."""

from cases.case import Case

CASES = [
    Case("roll", static=(((1,), (0,)), ((-2,), (1,)), ((1, 2), (0, 1)), ((1, 1), (0, 0))), shapes=[((3, 4),), ((0, 3),)]),
]
