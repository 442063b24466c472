"""Rows of elementwise functions of one array and of two."""

import math

import numpy as np

from cases.case import Case, away_from_zero, distinct, positive, real


def inside(shape, seed):
    """Strictly between -1 and 1."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, size=shape)


def above_one(shape, seed):
    return 1 + positive(shape, seed)


def apart(shape, seed):
    """Other values than those of `distinct`, none of them near one of them."""
    return distinct(shape, seed) + 0.1


def between_integers(shape, seed):
    x = 4 * real(shape, seed)
    return np.floor(x) + 0.25 + 0.5 * (x - np.floor(x))


def _sinc(x, n):
    """sinc's n-th derivative: pi^n times the integral of t^n cos(pi x t + n pi / 2) over t from 0 to 1, by Gauss's rule."""
    t, w = np.polynomial.legendre.leggauss(40)
    t = (t + 1) / 2
    return np.pi ** n * np.sum(w / 2 * t ** n * np.cos(np.pi * np.asarray(x)[..., None] * t + n * math.pi / 2), axis=-1)


def _bessel(x, n):
    """I_n's power series: (x / 2)^(n + 2k) / (k! (n + k)!), summed over k."""
    return sum((np.asarray(x) / 2) ** (n + 2 * k) / (math.factorial(k) * math.factorial(n + k)) for k in range(30))


CASES = [
    *(Case(name) for name in ("exp2", "expm1", "arctan", "sinh", "cosh", "arcsinh")),
    *(Case(name, (positive,)) for name in ("log2", "log10", "log1p")),
    *(Case(name, (away_from_zero,)) for name in ("cbrt", "reciprocal", "fabs")),
    *(Case(name, (inside,)) for name in ("tan", "arcsin", "arccos", "arctanh")),
    Case("arccosh", (above_one,)),
    Case("sinc", static=((0,), (1,), (3,)), reference=_sinc),
    Case("i0", static=((0,), (1,), (2,)), reference=_bessel),
    *(Case(name, (real, real)) for name in ("hypot", "logaddexp", "logaddexp2")),
    Case("arctan2", (real, positive)), Case("direction", (real, away_from_zero), reference=np.divide),
    *(Case(name, (between_integers, lambda shape, seed: np.ones(shape))) for name in ("remainder", "fmod")),
    Case("copysign", (away_from_zero, away_from_zero)), Case("heaviside", (away_from_zero, real)),
    Case("fmax", (distinct, apart)), Case("fmin", (distinct, apart)),
    Case("clip", (distinct, lambda shape, seed: apart(shape, seed) * 0.5, lambda shape, seed: apart(shape, seed) * 0.5 + 1.23)),
]

CONSTANT = [Case("trunc", (away_from_zero,))]
