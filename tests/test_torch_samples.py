"""PyTorch's own samples of its operators: values, and first and second derivatives in random directions, are PyTorch's.

A short run takes the first sample of each operator and dtype; TAPEGRAD_SAMPLES=all takes all of them, in a few minutes.
A sample may be refused with an error where tapegrad does not offer what it asks for (REFUSED).
"""

import os
import sys
import types
import unittest
import warnings
from itertools import islice

import numpy as np
import pytest

import tapegrad as tg

torch = pytest.importorskip("torch")
sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))     # asked for, and not used
samples = pytest.importorskip("torch.testing._internal.common_methods_invocations")

from torch_operators import DIFFERENT, OPERATORS, REFUSED, SYMMETRIC, THEIRS, WITHOUT_MEANING  # noqa: E402

COUNT = None if os.environ.get("TAPEGRAD_SAMPLES") == "all" else 1
DTYPES = {torch.float64: np.float64, torch.float32: np.float32, torch.complex128: np.complex128, torch.int64: np.int64,
          torch.uint8: np.uint8}
NUMPY = DTYPES | {torch.bool: np.bool_, torch.int32: np.int32, torch.complex64: np.complex64, torch.float16: np.float16}
TOLERANCE = {"d": 1e-9, "D": 1e-9, "f": 1e-4, "l": 1e-6, "q": 1e-6, "B": 2e-3}      # NumPy makes float16 of uint8
OPERATIONS = [pytest.param(op, dtype, id=f"{op.name}{op.variant_test_name and '-'}{op.variant_test_name}-{dtype.__name__}")
              for op in samples.op_db if op.name in OPERATORS
              for theirs, dtype in DTYPES.items() if theirs in op.dtypes]


def both(argument, leaves):
    """An argument of a sample for tapegrad and for PyTorch; tensors that require a gradient are entered into `leaves`."""
    if isinstance(argument, torch.Tensor):
        theirs = argument.detach().resolve_conj().resolve_neg().clone().requires_grad_(argument.requires_grad)
        ours = tg.tensor(theirs.detach().numpy(), requires_grad=argument.requires_grad)
        if argument.requires_grad:
            leaves.append((ours, theirs))
        return ours, theirs
    if isinstance(argument, (list, tuple)):
        pairs = [both(part, leaves) for part in argument]
        kind = list if isinstance(argument, list) else tuple
        return kind(ours for ours, _ in pairs), kind(theirs for _, theirs in pairs)
    return NUMPY.get(argument, argument) if isinstance(argument, torch.dtype) else argument, argument


def results(z):
    return [part for item in z for part in results(item)] if isinstance(z, (list, tuple)) else [z]


def plain(z):
    return z.numpy(force=True) if isinstance(z, torch.Tensor) else np.asarray(z.data if isinstance(z, tg.Tensor) else z)


def compare(what, ours, theirs, tolerance, least=1e-3):
    """The same shape, and numbers that differ by no more than a part of the greatest of them."""
    a, b = plain(ours), plain(theirs)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, PyTorch's is {b.shape}"
    kind = complex if "c" in a.dtype.kind + b.dtype.kind else float
    a, b = a.astype(kind), b.astype(kind)
    size = np.max(np.abs(b[np.isfinite(b)]), initial=least)
    np.testing.assert_allclose(a, b, tolerance, tolerance * size, err_msg=what)


def total(parts, seed, F):
    """A real number that depends on all elements: the random direction of a derivative."""
    number = 0.0
    for k, z in enumerate(parts):
        rng, dtype = np.random.default_rng([seed, k]), plain(z).dtype
        weight = rng.uniform(0.5, 1.5, tuple(z.shape))
        if dtype.kind == "c":
            weight = weight + 1j * rng.uniform(0.5, 1.5, tuple(z.shape))
        weight = weight.astype(dtype)
        product = z * (torch.as_tensor(weight) if F is torch else weight)
        number = number + F.sum(F.real(product) if dtype.kind == "c" else product)
    return number


def gradients(number, leaves, F):
    if not getattr(number, "requires_grad", False):
        return [None] * len(leaves)
    return F.autograd.grad(number, leaves, create_graph=True, allow_unused=True)


def or_zeros(g, x):
    return np.zeros(tuple(x.shape)) if g is None else g


def check(op, sample, dtype, derivatives=True):
    """Whether a sample has been compared; False if tapegrad refuses it with an error."""
    leaves = []
    (x, u), (xs, us) = both(sample.input, leaves), both(sample.args, leaves)
    options = {key: both(option, leaves) for key, option in sample.kwargs.items()}
    theirs = {key: theirs for key, (_, theirs) in options.items()}
    if (op.name, op.variant_test_name) in SYMMETRIC:
        x, u = (x + tg.conj(tg.matrix_transpose(x))) / 2, (u + u.mH) / 2
    wanted = op.op(u, *us, **theirs)
    wanted = results(THEIRS.get(op.name, lambda z: z)(wanted))
    try:
        z = OPERATORS[op.name](x, *xs, **{key: ours for key, (ours, _) in options.items() if key not in WITHOUT_MEANING})
    except (TypeError, ValueError, RuntimeError, IndexError, OverflowError) as error:
        assert str(error), "an error without a message"
        return False
    z, tolerance = results(z), TOLERANCE[np.dtype(dtype).char]
    if op.name == "nn.functional.hardsigmoid":          # PyTorch's 1 / 6 has the precision of float32
        tolerance = max(tolerance, 1e-7)
    assert len(z) == len(wanted)
    for a, b in zip(z, wanted):
        compare("value", a, b, tolerance)

    pairs = [(a, b) for a, b in zip(z, wanted) if isinstance(b, torch.Tensor) and b.requires_grad]
    ours, theirs = [a for a, _ in leaves], [b for _, b in leaves]
    if not pairs or not derivatives:
        return True
    least = max(1.0, *[np.max(np.abs(plain(b)), initial=0) for b in theirs]) if dtype is np.float32 else 1.0
    try:
        first = gradients(total([a for a, _ in pairs], 1, tg), ours, tg)
    except tg.errors.DtypeError:
        return False
    expected = gradients(total([b for _, b in pairs], 1, torch), theirs, torch)
    for a, b, u in zip(first, expected, theirs):
        compare("first derivative", or_zeros(a, u), or_zeros(b, u), 10 * tolerance, least)
    pairs = [(or_zeros(a, b), b) for a, b in zip(first, expected) if b is not None and b.requires_grad]
    try:
        wanted = gradients(total([b for _, b in pairs], 2, torch), theirs, torch)
    except RuntimeError:
        return True                                     # PyTorch has no second derivative
    for a, b, u in zip(gradients(total([a for a, _ in pairs], 2, tg), ours, tg), wanted, theirs):
        compare("second derivative", or_zeros(a, u), or_zeros(b, u), 100 * tolerance, least)
    return True


@pytest.mark.parametrize("op, dtype", OPERATIONS)
def test_samples(op, dtype):
    kind = np.dtype(dtype).kind
    what, reason = DIFFERENT.get((op.name, kind)) or DIFFERENT.get((op.name, op.variant_test_name)) or ("", "")
    if what == "values":
        pytest.skip(reason)
    theirs = next(there for there, here in DTYPES.items() if here is dtype)
    differentiable = op.supports_autograd and kind in "fc" and theirs in op.supported_backward_dtypes("cpu")
    torch.manual_seed(0)
    compared = refused = 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for sample in islice(op.sample_inputs_func(op, "cpu", theirs, differentiable), COUNT):
            tg.tape().entries.clear()
            if check(op, sample, dtype, what != "derivatives"):
                compared += 1
            else:
                refused += 1
    if refused:
        words = REFUSED.get(op.name) or REFUSED.get((op.name, kind))
        assert words, f"{refused} samples of {compared + refused} are refused"
        if not compared:
            pytest.skip(f"not offered: {words}")


def test_the_lists_name_operators():
    names = {op.name for op in samples.op_db}
    assert names >= {*OPERATORS}
    assert {*OPERATORS} >= {name if isinstance(name, str) else name[0] for name in (*REFUSED, *DIFFERENT, *THEIRS, *SYMMETRIC)}
