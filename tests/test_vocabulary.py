"""That NumPy's functions are there, but for those that have no derivative."""

import inspect

import numpy as np
import pytest

import tapegrad as tg

# Functions of NumPy that have no derivative to speak of: about text, files, types, windows, sets, indices, dates, settings.
NOT_DIFFERENTIABLE = set("""
    array2string array_repr array_str asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray asmatrix bartlett
    base_repr binary_repr bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_right_shift blackman bmat
    broadcast_shapes busday_count busday_offset can_cast common_type copy datetime_as_string datetime_data diag_indices
    diag_indices_from einsum_path format_float_positional format_float_scientific frexp frombuffer fromfile fromfunction
    fromiter frompyfunc fromregex fromstring genfromtxt get_include get_printoptions getbufsize geterr geterrcall hamming
    hanning histogram histogram2d histogram_bin_edges histogramdd indices info intersect1d is_busday iscomplexobj isdtype
    isfortran isnat isrealobj isscalar issubdtype iterable ix_ kaiser load loadtxt mask_indices may_share_memory
    min_scalar_type mintypecode ndim nested_iters packbits printoptions promote_types ravel_multi_index require result_type
    save savetxt savez savez_compressed set_printoptions setbufsize setdiff1d seterr seterrcall setxor1d shape shares_memory
    show_config show_runtime size test tril_indices tril_indices_from triu_indices triu_indices_from typename union1d
    unique_all unique_counts unique_inverse unique_values unpackbits unravel_index
    row_stack in1d trapz msort product cumproduct sometrue alltrue round_ getbuffer
""".split())


def functions(module):
    names = getattr(module, "__all__", dir(module))
    return [name for name in names if callable(getattr(module, name, None)) and not name.startswith("_")
            and not inspect.isclass(getattr(module, name))]


@pytest.mark.parametrize("module, ours", [(np, tg), (np.linalg, tg.linalg), (np.fft, tg.fft)], ids=["numpy", "linalg", "fft"])
def test_nothing_is_missing(module, ours):
    assert not [name for name in functions(module) if not hasattr(ours, name) and name not in NOT_DIFFERENTIABLE]


def test_what_has_no_derivative_raises_when_numpy_calls_it():
    with pytest.raises(TypeError, match="np.packbits"):
        np.packbits(tg.tensor([1.0, 0.0], requires_grad=True))


def test_arrays_of_tensors():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    z = tg.array([[x[0], 3.0], [x[1] * x[0], 4.0]])
    assert z.tolist() == [[1, 3], [2, 4]]
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 1])
    assert tg.array([1, 2], dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("name, arguments", [
    ("zeros", ((2, 3),)), ("ones", (4,)), ("eye", (3,)), ("arange", (2.0, 5.0)), ("identity", (2,)), ("tri", (3,))])
def test_creation(name, arguments):
    x = getattr(tg, name)(*arguments, requires_grad=True)
    np.testing.assert_array_equal(x.data, getattr(np, name)(*arguments))
    assert x.requires_grad and x.is_leaf
    assert getattr(tg, name)(*arguments, dtype=np.float32).dtype == np.float32
