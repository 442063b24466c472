"""Convolution and pooling: against PyTorch to second order, against NumPy's convolve, precision, and errors."""

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad import errors


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def functional():
    return pytest.importorskip("torch").nn.functional


CONVOLUTIONS = [
    ("conv1d", (2, 3, 8), (4, 3, 3), {}), ("conv1d", (2, 3, 8), (4, 3, 3), {"stride": 2, "padding": 1}),
    ("conv1d", (3, 8), (4, 3, 2), {"padding": "same"}), ("conv1d", (2, 4, 9), (6, 2, 3), {"groups": 2, "dilation": 2}),
    ("conv1d", (2, 3, 8), (4, 3, 8), {"padding": "valid"}), ("conv1d", (1, 4, 6), (4, 1, 3), {"groups": 4, "padding": (2,)}),
    ("conv2d", (2, 3, 6, 5), (4, 3, 3, 2), {}), ("conv2d", (2, 3, 6, 5), (4, 3, 3, 2), {"stride": 2, "padding": 1}),
    ("conv2d", (2, 2, 7, 8), (4, 2, 3, 2), {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)}),
    ("conv2d", (2, 3, 5, 5), (2, 3, 4, 3), {"padding": "same", "dilation": (1, 2)}),
    ("conv2d", (3, 6, 5), (4, 3, 1, 1), {}), ("conv2d", (2, 4, 5, 4), (6, 2, 2, 3), {"groups": 2, "padding": 1, "stride": 2}),
    ("conv_transpose1d", (2, 3, 5), (3, 4, 3), {}), ("conv_transpose1d", (3, 5), (3, 2, 3), {"stride": 2, "padding": 1}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 3, "output_padding": 2, "groups": 2, "dilation": 2}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"output_padding": 2, "dilation": 3}),
    ("conv_transpose2d", (2, 3, 4, 3), (3, 4, 3, 2), {}),
    ("conv_transpose2d", (2, 3, 4, 3), (3, 4, 3, 2),
     {"stride": (1, 2), "padding": 3, "output_padding": (3, 1), "dilation": (4, 2)}),
    ("conv_transpose2d", (2, 4, 4, 3), (4, 2, 3, 2),
     {"stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0), "groups": 2}),
]


WIDE = [                                                # padding beyond which parts of the kernel cover nothing
    ("conv1d", (1, 1, 256), (1, 1, 2), {"padding": 2_000_000, "dilation": 4_000_000}),
    ("conv1d", (40, 2, 4), (3, 2, 11), {"padding": 5}),
    ("conv2d", (60, 2, 3, 1), (3, 2, 3, 10), {"padding": (3, 5), "stride": (2, 1)}),
    ("conv2d", (60, 2, 1, 3), (3, 2, 10, 3), {"padding": (5, 1)}),
]


@pytest.mark.filterwarnings("ignore:Using padding:UserWarning")    # PyTorch, of its copies
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name, x, W, options", CONVOLUTIONS)
def test_convolutions_agree_with_pytorch(name, x, W, options, biased):
    count = W[0] if "transpose" not in name else W[1] * options.get("groups", 1)
    arrays = [normal(*x), normal(*W, seed=1)] + ([normal(count, seed=2)] if biased else [])
    agree(lambda *xs: getattr(tg, name)(*xs, **options), lambda *xs: getattr(functional(), name)(*xs, **options), arrays)


DIRECT = [                                              # terms and channels out enough for kernels/direct.py, and beside it
    ((3, 4, 5, 6), (16, 4, 3, 3), {"padding": 1}), ((3, 16, 4, 4), (32, 16, 3, 3), {"padding": (1, 1)}),
    ((6, 5, 7, 6), (14, 5, 3, 3), {"stride": 2, "padding": (2, 0), "dilation": (1, 2)}),
    ((3, 16, 3, 2), (12, 16, 2, 2), {"padding": (4, 3)}), ((2, 32, 5, 3), (40, 32, 1, 1), {}),
    ((2, 8, 9, 11), (48, 8, 2, 3), {"stride": (4, 5), "padding": (0, 4)}), ((20, 16, 2, 1), (16, 16, 2, 1), {}),
    ((1, 12, 6, 5), (24, 12, 3, 2), {"padding": (2, 1), "dilation": (2, 1)}),
    ((2, 32, 4, 4), (13, 32, 1, 2), {"padding": "same"}), ((4, 32, 5), (16, 32, 1), {}),
    ((3, 16, 17), (13, 16, 4), {"padding": 5}), ((5, 12, 9), (32, 12, 3), {"stride": 4}),
    ((2, 16, 4, 4), (32, 8, 3, 3), {"groups": 2, "padding": 1}),
]


def by_loops(x, W, b, stride=1, padding=0, dilation=1, groups=1):
    """The convolution, position by position, in float64."""
    n = x.ndim - 2
    stride, dilation = (np.broadcast_to(option, n) for option in (stride, dilation))
    if padding == "same":
        total = dilation * (np.array(W.shape[2:]) - 1)
        widths = [(k // 2, k - k // 2) for k in total]
    else:
        widths = [(k, k) for k in np.broadcast_to(padding, n)]
    x, W = np.pad(x.astype(float), ((0, 0), (0, 0), *widths)), W.astype(float)
    positions = (np.array(x.shape[2:]) - dilation * (np.array(W.shape[2:]) - 1) - 1) // stride + 1
    z, each = np.zeros((len(x), len(W), *positions)), len(W) // groups
    for f in range(len(W)):
        channels = slice(f // each * W.shape[1], (f // each + 1) * W.shape[1])
        for o in np.ndindex(*positions):
            window = tuple([slice(at * by, at * by + (k - 1) * step + 1, step) for at, by, k, step in
                            zip(o, stride, W.shape[2:], dilation)])
            z[(slice(None), f, *o)] = (x[(slice(None), channels, *window)] * W[f]).reshape(len(x), -1).sum(1) + b[f]
    return z


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x, W, options", DIRECT)
def test_direct_convolutions_against_loops(x, W, options, dtype):
    arrays = [normal(*shape, seed=i).astype(dtype) for i, shape in enumerate((x, W, W[:1]))]
    leaves, name = [tg.tensor(y, requires_grad=True) for y in arrays], f"conv{len(x) - 2}d"
    z, expected = getattr(tg, name)(*leaves, **options), by_loops(*arrays, **options)
    assert z.dtype == dtype and z.shape == expected.shape
    close = {"rtol": 300 * np.finfo(dtype).eps, "atol": 300 * np.finfo(dtype).eps}
    np.testing.assert_allclose(z.numpy(), expected, **close)
    d = normal(*z.shape, seed=5).astype(dtype)
    z.backward(tg.tensor(d))
    for i, (leaf, direction) in enumerate(zip(leaves, [normal(*y.shape, seed=6) for y in arrays])):
        moved = list(arrays)            # the convolution is linear in each of its operands, and in the bias but for a constant
        moved[i] = direction
        if i < 2:
            moved[2] = np.zeros_like(arrays[2])
        change = by_loops(*moved, **options) - (by_loops(*arrays[:2], 0 * arrays[2], **options) if i == 2 else 0)
        np.testing.assert_allclose((leaf.grad.astype(float) * direction).sum(), (d * change).sum(),
                                   rtol=1e-3 if dtype is np.float32 else 1e-10, atol=1e-3 if dtype is np.float32 else 1e-10)


@pytest.mark.filterwarnings("ignore:Using padding:UserWarning")
@pytest.mark.parametrize("x, W, options", [case for case in DIRECT if "groups" not in case[2]])
def test_direct_convolutions_agree_with_pytorch(x, W, options):
    name = f"conv{len(x) - 2}d"
    agree(lambda *xs: getattr(tg, name)(*xs, **options), lambda *xs: getattr(functional(), name)(*xs, **options),
          [normal(*shape, seed=i) for i, shape in enumerate((x, W, W[:1]))])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "W", "d"])
def test_what_is_not_finite_reaches_what_depends_on_it_only(where, bad):
    """Neither the zeros around an input nor the filling of vectors spread it."""
    random, ones = np.random.default_rng(0), {"x": (3, 4, 5, 6), "W": (16, 4, 3, 3), "d": (3, 16, 5, 6)}
    arrays = {name: random.uniform(1, 2, shape).astype("f4") for name, shape in ones.items()}
    arrays[where][(1, 2, 1, 2)] = bad
    x, W = (tg.tensor(arrays[name], requires_grad=True) for name in "xW")
    z = tg.conv2d(x, W, padding=1)
    expected = by_loops(arrays["x"], arrays["W"], np.zeros(16), padding=1)
    np.testing.assert_array_equal(np.isfinite(z.numpy()), np.isfinite(expected))
    z.backward(tg.tensor(arrays["d"]))
    dx, dW = np.zeros((3, 4, 7, 8)), np.zeros(W.shape)
    wide = np.pad(arrays["x"].astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for n, f, i, j in np.ndindex(3, 16, 5, 6):
        dx[n, :, i:i + 3, j:j + 3] += arrays["d"][n, f, i, j] * arrays["W"][f].astype(float)
        dW[f] += arrays["d"][n, f, i, j] * wide[n, :, i:i + 3, j:j + 3]
    for found, expected in (x.grad, dx[:, :, 1:-1, 1:-1]), (W.grad, dW):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
        np.testing.assert_allclose(found[np.isfinite(expected)], expected[np.isfinite(expected)], 1e-5)


@pytest.mark.parametrize("name, x, W, options", WIDE)
def test_kernels_that_reach_far_beyond_the_input(name, x, W, options):
    x, W, n = tg.tensor(normal(*x), requires_grad=True), tg.tensor(normal(*W, seed=1), requires_grad=True), len(x) - 2
    widths = ((0, 0), (0, 0), *[(width, width) for width in np.broadcast_to(options["padding"], n)])
    other = {key: value for key, value in options.items() if key != "padding"}
    found, expected = getattr(tg, name)(x, W, **options), getattr(tg, name)(tg.pad(x, widths), W, **other)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12, atol=1e-12)
    d = normal(*found.shape, seed=2)
    for c, e in zip(tg.autograd.grad(found, [x, W], d), tg.autograd.grad(expected, [x, W], d)):
        np.testing.assert_allclose(c.data, e.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", [
    lambda x, W: tg.conv2d(x, W, padding="same"), lambda x, W: tg.conv2d(x, W, stride=2, padding=1, dilation=(1, 2)),
    lambda x, W: tg.conv_transpose2d(x, W.reshape(2, 3, 2, 2), stride=2, padding=1),
    lambda x, W: tg.max_pool2d(x, 2, 1, 1) * W.sum(),
    lambda x, W: tg.avg_pool2d(x * x, 2, 1, 1, count_include_pad=False) * W.sum()])
def test_derivatives_against_differences(f):
    assert tg.gradcheck(f, normal(1, 2, 3, 4), normal(3, 2, 2, 2, seed=1), order=2)


POOLS = [
    ("max_pool1d", (2, 3, 8), (2,), {}), ("max_pool1d", (3, 8), (3,), {"stride": 2, "padding": 1}),
    ("max_pool1d", (2, 3, 8), (3,), {"stride": 1, "dilation": 2}),
    ("max_pool2d", (2, 3, 6, 5), (2,), {}), ("max_pool2d", (2, 3, 6, 5), ((3, 2),), {"stride": (2, 1), "padding": (1, 0)}),
    ("max_pool2d", (3, 7, 7), (3,), {"stride": 2, "padding": 1, "dilation": 2}),
    ("avg_pool1d", (2, 3, 8), (3,), {}), ("avg_pool1d", (3, 8), (3,), {"stride": 2, "padding": 1}),
    ("avg_pool1d", (2, 3, 7), (2,), {"stride": 1, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 6, 5), (2,), {}), ("avg_pool2d", (2, 3, 6, 5), ((3, 2),), {"stride": (2, 1), "padding": 1}),
    ("avg_pool2d", (3, 6, 5), (3,), {"stride": 2, "padding": 1, "count_include_pad": False}),
    *[(name, (2, 3, *[9, 8][:n]), (3,), {"stride": stride, "padding": padding, "ceil_mode": True, **more})
      for n in (1, 2) for name, more in (
          (f"max_pool{n}d", {}), (f"avg_pool{n}d", {}), (f"avg_pool{n}d", {"count_include_pad": False}))
      for stride, padding in ((2, 0), (4, 1), (5, 1), (3, 1), (7, 1))],
    ("max_pool2d", (2, 3, 9, 8), (2,), {"stride": 3, "dilation": 2, "ceil_mode": True}),
    ("avg_pool2d", (3, 6, 5), (3,), {"stride": 2, "padding": 1, "divisor_override": 5}),
]


@pytest.mark.parametrize("name, x, arguments, options", POOLS)
def test_pools_agree_with_pytorch(name, x, arguments, options):
    x = np.random.default_rng(0).permutation(np.prod(x)).reshape(x) * 0.1     # no ties, which are shared differently
    agree(lambda x: getattr(tg, name)(x, *arguments, **options),
          lambda x: getattr(functional(), name)(x, *arguments, **options), [x])


def test_the_greatest_elements_of_a_window_share_evenly():
    x = tg.tensor([[1.0, 1.0, 0.0, 2.0]], requires_grad=True)
    tg.max_pool1d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0.5, 0.5, 0, 1]])


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("m, n", [(1, 1), (5, 1), (5, 2), (5, 3), (6, 4), (4, 6), (3, 3)])
def test_convolve(m, n, mode):
    x, y = normal(m), normal(n, seed=1)
    np.testing.assert_allclose(tg.convolve(x, y, mode).data, np.convolve(x, y, mode), rtol=1e-13, atol=1e-14)
    assert tg.gradcheck(lambda x, y: tg.convolve(x, y, mode), x, y, order=2)


def test_modes_and_vectors_of_convolve():
    np.testing.assert_array_equal(tg.convolve(2.0, [1.0, 3.0]).data, np.convolve(2.0, [1.0, 3.0]))
    with pytest.raises(ValueError, match="mode='middle'"):
        tg.convolve([1.0, 2.0], [1.0], "middle")
    for x in ([], [[1.0]]):
        with pytest.raises(errors.ShapeError, match="convolve: .*vectors"):
            tg.convolve(x, [1.0])


@pytest.mark.parametrize("f", [
    lambda x, W: tg.conv2d(x, W, np.ones(4, "f4"), padding=1), lambda x, W: tg.conv_transpose2d(x, W.reshape(3, 4, 2, 2)),
    lambda x, W: tg.max_pool2d(x, 2, padding=1) * W.sum(),
    lambda x, W: tg.avg_pool2d(x, 3, 2, 1, count_include_pad=False) * W.sum()])
def test_float32_is_kept(f):
    x, W = (tg.tensor(normal(*shape), dtype="f4", requires_grad=True) for shape in ((2, 3, 5, 5), (4, 3, 2, 2)))
    z = f(x, W)
    z.sum().backward()
    assert z.dtype == x.grad.dtype == W.grad.dtype == np.float32


def test_operands_of_any_layout_and_no_images():
    x, W = normal(5, 6, 3, 2).transpose(3, 2, 0, 1), normal(4, 3, 3, 3)[:, :, ::-1]
    held = tg.tensor(np.zeros(x.shape))
    held.data = x
    np.testing.assert_allclose(tg.conv2d(held, W).data, tg.conv2d(np.ascontiguousarray(x), np.ascontiguousarray(W)).data)
    none = tg.tensor(np.zeros((0, 3, 5, 5)), requires_grad=True)
    for z in (tg.conv2d(none, W, padding=1), tg.conv2d(none, W[:3, :1], groups=3), tg.conv_transpose2d(none, W[:3]),
              tg.max_pool2d(none, 2), tg.avg_pool2d(none, 2)):
        assert z.shape[0] == 0
        z.sum().backward()
    assert none.grad.shape == (0, 3, 5, 5)


def test_windows_are_a_view_that_writing_does_not_reach():
    x = tg.tensor(np.arange(4.0), requires_grad=True)
    z = tg.convolve(x, [1.0, 1.0], "valid")
    x.data[:] = 7
    (z * z).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 8, 16, 10])


@pytest.mark.parametrize("call, kind, words", [
    (lambda x, W: tg.conv2d(x, W[:, :2]), errors.ShapeError, ["(2, 3, 5, 5)", "(4, 2, 3, 3)", "3 channels", "for 2"]),
    (lambda x, W: tg.conv2d(x[0, 0], W), errors.ShapeError, ["(5, 5)", "channels"]),
    (lambda x, W: tg.conv2d(x, W[0]), errors.ShapeError, ["(3, 3, 3)", "channels out"]),
    (lambda x, W: tg.conv2d(x, W, np.zeros(3)), errors.ShapeError, ["(3,)", "4 channels out"]),
    (lambda x, W: tg.conv2d(x, W, dilation=3), errors.ShapeError, ["(7, 7)", "(5, 5)"]),
    (lambda x, W: tg.conv2d(x, W, stride=0), ValueError, ["stride=0", "at least 1"]),
    (lambda x, W: tg.conv2d(x, W, stride=1.5), ValueError, ["stride=1.5", "integer"]),
    (lambda x, W: tg.conv2d(x, W, padding=-1), ValueError, ["padding=-1", "at least 0"]),
    (lambda x, W: tg.conv2d(x, W, padding=(1, 1, 1)), ValueError, ["padding=(1, 1, 1)", "2"]),
    (lambda x, W: tg.conv2d(x, W, padding="same", stride=2), ValueError, ["same", "stride"]),
    (lambda x, W: tg.conv2d(x, W, padding="full"), ValueError, ["'full'"]),
    (lambda x, W: tg.conv2d(x, W, groups=0), ValueError, ["groups=0"]),
    (lambda x, W: tg.conv2d(x, W[:, :1], groups=3), errors.ShapeError, ["groups=3"]),
    (lambda x, W: tg.conv_transpose2d(x, W), errors.ShapeError, ["3 channels", "for 4"]),
    (lambda x, W: tg.conv_transpose2d(x[:, :1], W[:1], padding=4), errors.ShapeError, ["padding=(4, 4)", "(7, 7)"]),
    (lambda x, W: tg.conv_transpose2d(x[:, :1], W[:1], output_padding=1), ValueError, ["output_padding=1"]),
    (lambda x, W: tg.max_pool2d(x, 6), errors.ShapeError, ["(6, 6)", "(5, 5)"]),
    (lambda x, W: tg.max_pool2d(x, 2, padding=2), ValueError, ["padding=(2, 2)", "kernel_size=(2, 2)"]),
    (lambda x, W: tg.avg_pool2d(x, 0), ValueError, ["kernel_size=0"]),
    (lambda x, W: tg.avg_pool2d(x, 2, divisor_override=0), ValueError, ["divisor_override=0"]),
    (lambda x, W: tg.avg_pool2d(x[0, 0], 2), errors.ShapeError, ["(5, 5)"])])
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call(tg.tensor(normal(2, 3, 5, 5)), tg.tensor(normal(4, 3, 3, 3)))
    for word in words:
        assert word in str(caught.value)
    assert "conv" in str(caught.value) or "pool" in str(caught.value)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "?", "f2"])
def test_padding_of_maxima_is_the_least_number_of_the_dtype(dtype):
    x = np.array([[-3, -5, -7, -1]]).astype(dtype)
    z = tg.max_pool1d(x, 2, 1, 1)
    assert z.dtype == x.dtype
    np.testing.assert_array_equal(z.data[0], [x[0, 0], *np.maximum(x[0, 1:], x[0, :-1]), x[0, 3]])
    with pytest.raises(errors.DtypeError, match="max_pool1d: complex"):
        tg.max_pool1d(x.astype(complex), 2)
