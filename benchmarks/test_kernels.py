"""The activations' kernels, forward and derivative, beside NumPy's expressions and PyTorch's kernels."""

import pytest
from activations import MAKERS, NUMPY, SIZES, activation_step


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("library", MAKERS)
def test_forward_and_derivative(benchmark, library, name, dtype, size):
    pytest.importorskip(library)
    benchmark(activation_step(library, name, size, dtype))
