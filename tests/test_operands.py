"""Every public function of one array takes what NumPy's does: Python numbers, and lists, tensors among their elements."""

import warnings

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import functions
from tapegrad.tree import leaves

MORE = {                                                # what follows the first argument, where something has to
    "reshape": ((-1,),), "broadcast_to": ((2, 3),), "expand_dims": (0,), "moveaxis": (0, 0), "permute_dims": ((0,),),
    "resize": ((4,),),
    "roll": (1,), "rollaxis": (0,), "swapaxes": (0, 0), "array_split": (2,), "split": (2,), "hsplit": (2,), "tile": (2,),
    "repeat": (2,),
    "pad": (1,), "delete": (0,), "insert": (0, 1.0), "append": (3.0,), "take": ([0, 1],), "percentile": (50,),
    "quantile": (0.5,), "nanpercentile": (50,), "nanquantile": (0.5,), "partition": (1,), "topk": (1,), "astype": ("f4",),
    "getitem": (0,),    "clip": (0.5, 2.0),
    "full_like": (2.0,), "argpartition": (1,), "searchsorted": (0.5,), "take_along_axis": ([1, 0], 0)}
ROWS = [(name, f) for names in functions.FAMILIES.values() for name in names.split()
        if name not in ("setitem", "array", "tri") and callable(f := getattr(tg, name, None))]


def _given(x):
    parts = x if isinstance(x, (tuple, list)) else [x]
    return [np.asarray(part.data if isinstance(part, tg.Tensor) else part) for part in parts]


def _call(name, f, x):
    tg.manual_seed(0)                                   # for those that are random
    with np.errstate(all="ignore"):
        return f(x, *MORE.get(name, ()))


def _attempt(f, *arguments):
    """The result, or None where the function does not take such arguments."""
    try:
        with np.errstate(all="ignore"):
            return f(*arguments)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, AssertionError, ArithmeticError, OSError):
        return None


@pytest.mark.parametrize("name, f", ROWS, ids=[name for name, _ in ROWS])
@pytest.mark.parametrize("given", [2.0, [0.25, 0.5]], ids=["number", "list"])
def test_a_function_takes_numbers_and_lists_as_it_takes_arrays(name, f, given):
    wanted = _attempt(_call, name, f, np.array(given))
    if wanted is None:
        pytest.skip("not a function of one such array")
    for a, b in zip(_given(_call(name, f, given)), _given(wanted)):
        if name != "empty_like":
            np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("name, f", ROWS, ids=[name for name, _ in ROWS])
def test_a_function_takes_a_list_of_tensors_and_gives_each_its_delta(name, f):
    x = tg.tensor([0.25, 0.5], requires_grad=True)
    whole = _attempt(_call, name, f, x)
    if whole is None or not isinstance(whole, tg.Tensor):
        pytest.skip("not a function of one such tensor")
    parts = _call(name, f, [x[0], x[1]])
    if name != "empty_like":
        np.testing.assert_array_equal(parts.data, whole.data)
    assert parts.requires_grad == whole.requires_grad
    if whole.requires_grad:
        whole, parts = [tg.real(z) if z.dtype.kind == "c" else z for z in (whole, parts)]
        whole.sum().backward()
        wanted, x.grad = x.grad, None
        parts.sum().backward()
        np.testing.assert_allclose(x.grad, wanted)


def _modules():
    every = [(f"{module.__name__}.{name}", getattr(module, name))
             for module in (tg, tg.linalg, tg.fft) for name in sorted(dir(module))]
    return [(name, f) for name, f in every if callable(f) and not isinstance(f, type) and "._" not in name]


PAIRED, SQUARE = [0.25, 0.5], [[2.0, 0.5], [0.25, 3.0]]


@pytest.mark.parametrize("start", [PAIRED, SQUARE], ids=["vector", "matrix"])
@pytest.mark.parametrize("name, f", _modules(), ids=[name for name, _ in _modules()])
def test_no_delta_is_lost_by_a_list_as_any_of_the_operands(name, f, start):
    for place, count in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)):
        others = [np.array(start) + 0.125 * (k + 1) for k in range(count)]
        before, after = others[:place], others[place + 1:]
        x = tg.tensor(start, requires_grad=True)
        whole = None if "dropout" in name else _attempt(f, *before, x, *after)
        if not isinstance(whole, tg.Tensor) or not whole.requires_grad or whole.dtype.kind == "c":
            continue
        whole.sum().backward()
        wanted, x.grad = x.grad, None
        parts = _attempt(f, *before, [x[0], x[1]], *after)
        if parts.shape == whole.shape:                  # it may be several operands
            parts.sum().backward()
            if wanted is None:
                assert x.grad is None
            else:
                np.testing.assert_allclose(x.grad, wanted, err_msg=f"operand {place} of {count}")


AFTER = ((), (0,), (1,), (-1,), (None,), ((),), (0, 0), (0.0,), (None, None), (np.float64,))


@pytest.mark.parametrize("name, f", _modules(), ids=[name for name, _ in _modules()])
@pytest.mark.parametrize("recorded", (False, True))
def test_no_result_is_an_operand_or_another_result(name, f, recorded):
    """Otherwise a write into one would change the other."""
    given = [tg.tensor(np.full(shape, 0.5), requires_grad=recorded) * 1 for shape in ((), (1,), (2,), (2, 2), (1, 1, 1))]
    calls = [(x, *more) for x in given for more in (*AFTER, (x,), (x.shape,))] + [([x],) for x in given] + [
        (path, x) for x in given for path in ("...", "i", "i->i", "ij->ij")]
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = [z for z in leaves(_attempt(f, *call)) if isinstance(z, tg.Tensor)]
        assert not any(z is x for z in results for x in given), call
        assert len({id(z) for z in results}) == len(results), call
