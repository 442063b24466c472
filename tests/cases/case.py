"""What a row of the table of tests says.

    operands   the domain of each operand: where its values are drawn from
    static     the static arguments to try, a tuple each
    reference  NumPy's function of (operands, *static); by default the one of the same name
    shapes     tuples of operand shapes; by default those that broadcast against each other
    seen       what of the result is compared and differentiated, where not all of it has a derivative
"""

from dataclasses import dataclass

import numpy as np

random = np.random.default_rng


def real(shape, seed):
    return random(seed).normal(size=shape)


def positive(shape, seed):
    return random(seed).uniform(0.5, 2.0, size=shape)


def away_from_zero(shape, seed):
    values = random(seed).normal(size=shape)
    return values + 0.2 * np.where(values < 0, -1, 1)


def distinct(shape, seed):
    """No two elements are near each other, so that a small step changes no order."""
    return random(seed).permutation(np.arange(np.prod(shape, dtype=int))).reshape(shape) * 0.37 - 1.0


def condition(shape, seed):
    return random(seed).random(size=shape) < 0.5


def half_zero(shape, seed):
    return real(shape, seed) * condition(shape, seed + 1)


ONE = [((3, 4),), ((),), ((0, 3),), ((2, 1, 3),)]
TWO = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((), ()), ((0, 3), (3,)), ((2, 1, 3), (4, 1))]
THREE = [((3, 4), (3, 4), (3, 4)), ((3, 1), (4,), ()), ((0, 3), (3,), (1, 3)), ((), (), ())]
MATRICES = [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 2)), ((2, 3, 4), (2, 4, 2)),
            ((5, 1, 3, 4), (2, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,)), ((3, 4), (2, 4, 2)), ((0, 4), (4, 2))]


@dataclass
class Case:
    name: str
    operands: tuple = (real,)
    static: tuple = ((),)
    reference: object = None
    shapes: list = None
    variadic: bool = False
    seen: object = staticmethod(lambda z: z)

    def __post_init__(self):
        self.reference = self.reference or getattr(np, self.name)
        self.shapes = self.shapes or {1: ONE, 2: TWO, 3: THREE}[len(self.operands)]

    def __repr__(self):
        return self.name
