"""Every kind of array, in every place for one: dtypes, byte orders, memory layouts, numbers, scalars, no elements.

The calls are those of the docstrings' examples. Values and dtypes are those of NumPy's function where it has one, else those
that the same numbers give in float64; a gradient is that of the same numbers in a plain array of float64. What is refused,
is refused with an error of the kind that NumPy raises.
"""

import warnings

import numpy as np
import pytest
from test_every_argument import FUNCTIONS, examples_call, loss, plain

import tapegrad as tg

MODULES = {"": np, "linalg": np.linalg, "fft": np.fft}
WRITING = {"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask", "setitem"}      # into their first operand
RANDOM = {"dropout", "multinomial", "rand_like", "randn_like"}
OF_FEWER_KINDS = {"apply_over_axes", "poly", "polyfit", "polymul", "sort_complex", "trim_zeros"}    # test_numpy_names.py
NAMES = sorted(set(FUNCTIONS) - {"empty", "empty_like", "linalg.matrix_transpose", "linalg.vecdot"} - WRITING - RANDOM
               - OF_FEWER_KINDS)
AS_SUMS = {"addmv", "fold"}                             # integers are added in their dtype, as by + and @
REAL, COMPLEX = "i1 u1 ? i8 >i4 f2 f4 f8 g >f4 >f8".split(), "F D G".split()
NOT_OF_LINALG = {"f2", "g", "G"}                        # NumPy's has no routines for them
PRECISION = {"e": 2e-2, "f": 1e-4, "F": 1e-4}
ERRORS = (TypeError, ValueError, IndexError, RuntimeError, ArithmeticError)

# Where the dtype of the result is not NumPy's, and why; the values are compared all the same.
FINER = "i1 u1 ?".split()
OTHER_DTYPES = {
    **dict.fromkeys(("deg2rad", "degrees", "modf", "rad2deg", "radians", "tanh"), (FINER, "more precise than NumPy's float16")),
    **dict.fromkeys(("append", "corrcoef", "cov", "quantile"), ("f2 f4 >f4 F g".split(), "Python numbers do not widen it")),
    **dict.fromkeys(("conj", "conjugate"), (["?"], "a bool is its own conjugate")),
    **dict.fromkeys(("median", "nanmedian"), (["F"], "complex128")), "nanquantile": (["g"], "that of a"),
    "linalg.lstsq": (None, "the rank is an int"), **dict.fromkeys(("linalg.eig", "linalg.eigvals", "roots"), (None, "complex")),
}
REFUSED = {
    **dict.fromkeys(("choose", "take"), "indices that are booleans"), **dict.fromkeys(("corrcoef", "cov"), "one observation"),
    **dict.fromkeys(("cumulative_prod", "cumulative_sum"), "a scalar"),
    **dict.fromkeys(("nanmedian", "nanpercentile", "nanquantile"), "no elements"),
}


def untensored(x):
    if type(x) in (list, tuple):
        return type(x)(map(untensored, x))
    return x.data.copy() if isinstance(x, tg.Tensor) else x


def cast(dtype):
    def to(x):
        x = x if np.dtype(dtype).kind == "c" else x.real
        return (np.abs(x) if np.dtype(dtype).kind == "u" else x).astype(dtype)

    return to


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")

    def mapped(x):
        held = np.memmap(folder / f"{len(list(folder.iterdir()))}.bin", x.dtype, "w+", shape=x.shape or (1,))
        held[...] = x
        return held.reshape(x.shape)

    return {
        "read-only": read_only, "memory-mapped": mapped, "fortran": lambda x: np.array(x, order="F"),
        "reversed": lambda x: x[::-1].copy()[::-1] if x.ndim else x,
        "strided": lambda x: np.repeat(x, 2, -1)[..., ::2] if x.ndim else x,
        "list": lambda x: x.tolist(), "number": lambda x: x.ravel()[0].item(), "scalar": lambda x: x.ravel()[0],
        "0-d": lambda x: np.array(x.ravel()[0]), "empty": lambda x: x[:0] if x.ndim else np.zeros(0),
    }


def places(name):
    """(the arguments of the example, the places of arrays among them with their values, the options)."""
    args, kwargs = examples_call(name, FUNCTIONS[name])
    args, kwargs = untensored(tuple(args)), {key: untensored(option) for key, option in kwargs.items()}
    found = []
    for i, arg in enumerate(args):
        if not isinstance(arg, (bool, int, str, slice, type(None))) and not callable(arg):
            try:
                array = np.asarray(arg)
            except ValueError:                          # arrays of several shapes
                continue
            if array.dtype.kind in "fiuc" and array.size:
                found.append((i, array))
    return args, found, kwargs


def attempt(function, args, kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error


def flat(z):
    return [y for part in z for y in flat(part)] if isinstance(z, (list, tuple)) else [z]


def close(z, y, least=0.0):
    precision = max(PRECISION.get(x.dtype.char, 1e-9) for x in (z, y))
    wide = [x.astype("G") if x.dtype.kind in "biufc" else x for x in (z, y)]
    return z.shape == y.shape and np.allclose(*wide, precision, max(least, precision), equal_nan=True)


def compared(name, kind, ours, theirs):
    """What is wrong with a result, or None."""
    ours, theirs = flat(ours), flat(theirs)
    if len(ours) != len(theirs):
        return f"{len(ours)} results, not {len(theirs)}"
    for z, y in zip(ours, theirs):
        z, y = np.asarray(plain(z)), np.asarray(y)
        if not close(z, y):
            return f"{z.dtype} {z.shape} {z.ravel()[:3]}, not {y.dtype} {y.shape} {y.ravel()[:3]}"
        dtypes, _ = OTHER_DTYPES.get(name, ((), ""))
        if z.dtype.newbyteorder("=") != y.dtype.newbyteorder("=") and dtypes is not None and kind not in dtypes:
            return f"dtype {z.dtype}, not {y.dtype}"
    return None


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_numpy(name, layouts):
    module, _, short = name.rpartition(".")
    function, numpy = FUNCTIONS[name], getattr(MODULES[module], short, None)
    if not callable(numpy) or isinstance(numpy, type):
        pytest.skip("not a function of NumPy's")
    kinds = {dtype: cast(dtype) for dtype in REAL + COMPLEX} | layouts
    args, found, kwargs = places(name)
    wrong = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, array in found:
            for kind, of_kind in kinds.items():
                given = (*args[:i], of_kind(array), *args[i + 1:])
                theirs, ours = (attempt(f, given, kwargs) for f in (numpy, function))
                if isinstance(ours, Exception):
                    unknown = not isinstance(ours, ERRORS)
                    offered = not (isinstance(theirs, Exception) or name in REFUSED or module == "linalg" and kind in {
                        *COMPLEX, *NOT_OF_LINALG} or name == "corrcoef" and kind in COMPLEX)
                    what = f"{type(ours).__name__}: {ours}" if unknown or offered else None
                else:
                    what = None if isinstance(theirs, Exception) else compared(name, kind, ours, theirs)
                if what:
                    wrong.append(f"argument {i} as {kind}: {what}")
    assert not wrong, f"{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_integers_do_not_wrap_around(name):
    """Functions that NumPy does not have give what they give for the same numbers in float64."""
    module, _, short = name.rpartition(".")
    if callable(getattr(MODULES[module], short, None)) or name in AS_SUMS:
        pytest.skip("compared with NumPy")
    args, found, kwargs = places(name)
    wrong = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, array in [(i, array) for i, array in found if array.dtype.kind == "f"]:
            for kind, greater in [(kind, greater) for kind in ("i1", "u1", "?", "i8", ">i4") for greater in (False, True)]:
                x = cast(kind)(60 * array + 50 if greater else array)
                ours, wanted = (attempt(FUNCTIONS[name], (*args[:i], y, *args[i + 1:]), kwargs) for y in (x, x.astype(float)))
                if isinstance(ours, Exception) or isinstance(wanted, Exception):
                    if not (isinstance(ours, Exception) and isinstance(ours, ERRORS)):
                        wrong.append(f"argument {i} as {kind}: {ours!r}, as float64 {wanted!r}")
                elif not all(close(np.asarray(plain(z)), np.asarray(plain(y))) for z, y in zip(flat(ours), flat(wanted))):
                    wrong.append(f"argument {i} as {kind}: {ours!r}, as float64 {wanted!r}")
    assert not wrong, f"{name}: " + "; ".join(wrong)


def gradient(name, args, i, x, kwargs):
    tg.tape().entries.clear()
    leaf = tg.tensor(x, requires_grad=True)
    if x.ndim:
        leaf.data = x                                   # tensor() itself would copy to a contiguous array
    z = loss(FUNCTIONS[name](*args[:i], leaf, *args[i + 1:], **kwargs))
    if isinstance(z, tg.Tensor) and z.requires_grad:
        z.backward()
    return leaf.grad


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_plain_arrays(name, layouts):
    kinds = {dtype: cast(dtype) for dtype in ("f2", "f4", ">f4", "g", ">f8")} | {
        key: layouts[key] for key in ("read-only", "memory-mapped", "fortran", "reversed", "strided")}
    args, found, kwargs = places(name)
    wrong = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, array in found:
            if array.dtype != np.float64:
                continue
            wanted = attempt(gradient, (name, args, i, array.copy(), kwargs), {})
            if isinstance(wanted, Exception) or wanted is None:
                continue
            for kind, of_kind in kinds.items():
                x = of_kind(array)
                g = attempt(gradient, (name, args, i, x, kwargs), {})
                if isinstance(g, Exception):
                    if not (name.startswith(("linalg.", "roots")) and kind in NOT_OF_LINALG and isinstance(g, TypeError)):
                        wrong.append(f"argument {i} as {kind}: {g!r}")
                elif g is None or g.dtype.char != x.dtype.char or not close(g, wanted, np.max(np.abs(wanted)) * PRECISION.get(
                        g.dtype.char, 1e-9)):
                    wrong.append(f"argument {i} as {kind}: {g!r}, not {wanted!r}")
    assert not wrong, f"{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_masks_are_not_lost(name):
    """A masked array is refused, or what is made of it knows the mask."""
    args, found, kwargs = places(name)
    for i, array in [(i, array) for i, array in found if i == 0 or array.dtype.kind == "f"]:
        x = np.ma.masked_array(array, mask=np.ones(array.shape, bool))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            ours = attempt(FUNCTIONS[name], (*args[:i], x, *args[i + 1:]), kwargs)
        assert isinstance(ours, ERRORS), f"argument {i} of {name}: {ours!r}"
