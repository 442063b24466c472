"""The generator that an argument names."""

from __future__ import annotations

import numpy as np

from tapegrad.functions.random import generator


def drawn_from(rng: np.random.Generator | int | None) -> np.random.Generator:
    """The generator that an argument `rng` names: itself, one seeded by an int, or this thread's."""
    return generator() if rng is None else np.random.default_rng(rng)
