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
