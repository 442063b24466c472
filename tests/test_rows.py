"""Rows of matrices: those of a delta that are not 0."""

import numpy as np
import pytest

from tapegrad.kernels.rows import any_of


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2", "i4", "c16"])
@pytest.mark.parametrize("shape", [(40, 1), (40, 7), (40, 64), (40, 2, 3), (40,), (40, 0), (0, 3)])
def test_rows_that_are_not_zero(dtype, shape):
    x = np.zeros(shape, dtype)
    assert not any_of(x).any() and any_of(x).shape == shape[:1]
    if not x.size:
        return
    x.reshape(40, -1)[[0, 3, 39], [0, -1, 0]] = 1
    x.reshape(40, -1)[5, -1] = -0.0
    if x.dtype.kind != "i":
        x.reshape(40, -1)[7, 0] = np.nan
    expected = [0, 3, 7, 39] if x.dtype.kind != "i" else [0, 3, 39]
    for same in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        np.testing.assert_array_equal(np.flatnonzero(any_of(same)), expected)
