"""Rows of matrices: those of a delta that are in use."""

import numpy as np
import pytest

from tapegrad.kernels.rows import used


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2", "i4", "c16"])
@pytest.mark.parametrize("shape", [(40, 1), (40, 7), (40, 64), (40, 2, 3), (40,), (40, 0), (0, 3)])
def test_rows_that_are_not_zero(dtype, shape):
    x = np.zeros(shape, dtype)
    assert used(x).tolist() == [] and used(x).dtype == int
    if not x.size:
        return
    x.reshape(40, -1)[[0, 3, 39], [0, -1, 0]] = 1
    expected = [0, 3, 39]
    if x.dtype.kind != "i":
        x.reshape(40, -1)[[7, 8], 0] = np.nan, -0.0             # a -0.0 is no +0
        expected[2:2] = 7, 8
    for same in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        assert used(same).tolist() == expected
