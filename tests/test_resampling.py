"""Images in other sizes, adaptive pools, convolution and pools over three axes: against PyTorch to second order, errors."""

import numpy as np
import pytest
from torch_oracle import agree

import tapegrad as tg
from tapegrad.errors import ShapeError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def functional():
    return pytest.importorskip("torch").nn.functional


# (name, arrays, arguments, keywords)
CALLS = [
    *[("interpolate", [normal(2, 3, *[5, 4, 3][:n])], (), {"mode": mode, **options}) for mode, n, aligned in [
        ("nearest", 1, [None]), ("nearest", 2, [None]), ("nearest", 3, [None]), ("nearest-exact", 2, [None]),
        ("linear", 1, [None, True]), ("bilinear", 2, [None, False, True]), ("trilinear", 3, [None, True]),
        ("bicubic", 2, [None, True]), ("area", 1, [None]), ("area", 2, [None])]
      for align in aligned for options in [
        {"size": 7, "align_corners": align}, {"size": 2, "align_corners": align},
        {"scale_factor": 2, "align_corners": align}, {"scale_factor": 1.7, "align_corners": align},
        {"scale_factor": 0.6, "align_corners": align, "recompute_scale_factor": True}]],
    ("unfold", [normal(2, 3, 6, 5)], (3,), {}), ("unfold", [normal(2, 3, 6, 5)], ((2, 3), (1, 2), (1, 0), (2, 1)), {}),
    ("fold", [normal(2, 12, 20)], ((5, 6), 2), {}), ("fold", [normal(2, 18, 9)], ((4, 5), (2, 3), (1, 2), (1, 1), (2, 1)), {}),
    ("pixel_shuffle", [normal(2, 8, 3, 2)], (2,), {}), ("pixel_unshuffle", [normal(2, 2, 6, 3)], (3,), {}),
    *[(f"adaptive_{kind}_pool{n}d", [normal(2, 3, *[7, 5][:n])], (size,), {})
      for kind in ("avg", "max") for n, sizes in [(1, [1, 3, 7]), (2, [1, (3, 2), (None, 4), 5])] for size in sizes],
    ("adaptive_avg_pool2d", [normal(3, 4, 6)], ((2, 3),), {}), ("adaptive_max_pool1d", [normal(3, 8)], (4,), {}),
    ("conv3d", [normal(2, 4, 4, 5, 3), normal(6, 2, 2, 3, 1), normal(6)], (), {"stride": (1, 2, 1), "padding": 1, "groups": 2}),
    ("conv_transpose3d", [normal(1, 2, 2, 3, 2), normal(2, 3, 2, 1, 2), normal(3)], (2, 0, 1), {}),
    ("max_pool3d", [normal(2, 2, 4, 5, 4)], (2,), {"stride": 1, "padding": 1}),
    ("avg_pool3d", [normal(2, 2, 4, 5, 4)], ((2, 3, 2),), {"padding": 1, "count_include_pad": False}),
    ("group_norm", [normal(3, 6, 4), normal(6, seed=1), normal(6, seed=2)], (), {"num_groups": 3}),
    ("group_norm", [normal(3, 4)], (), {"num_groups": 2}),
]


def called(f, arrays, arguments, options):
    if "num_groups" in options:
        return f(arrays[0], options["num_groups"], *arrays[1:])
    return f(*arrays, *arguments, **options)


ids = [f"{name} {arguments or ''}{options or ''}" for name, _, arguments, options in CALLS]


@pytest.mark.parametrize("name, arrays, arguments, options", CALLS, ids=ids)
def test_agrees_with_pytorch(name, arrays, arguments, options):
    agree(lambda *xs: called(getattr(tg, name), xs, arguments, options),
          lambda *xs: called(getattr(functional(), name), xs, arguments, options), arrays, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name, arrays, arguments, options", [call for call in CALLS if "interp" not in call[0]][::2]
                         + [call for call in CALLS if "interp" in call[0]][::9])
def test_derivatives_against_differences(name, arrays, arguments, options):
    assert tg.gradcheck(lambda *xs: called(getattr(tg, name), xs, arguments, options), *[x[:1] if x.ndim > 3 and k == 0 else x
                        for k, x in enumerate(arrays)])


def test_float32_is_kept():
    x = tg.tensor(normal(1, 4, 6, 4), dtype="f4", requires_grad=True)
    for z in (tg.interpolate(x, 3, mode="bicubic"), tg.interpolate(x, scale_factor=1.5, mode="bilinear"), tg.unfold(x, 2),
              tg.adaptive_avg_pool2d(x, 3), tg.adaptive_max_pool2d(x, 3), tg.pixel_shuffle(x, 2), tg.group_norm(x, 2)):
        assert z.dtype == np.float32


def test_elements_that_tie_share_the_delta():
    x = tg.tensor(np.ones((1, 4)), requires_grad=True)
    tg.adaptive_max_pool1d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, 0.5)


@pytest.mark.parametrize("call, error, words", [
    (lambda: tg.interpolate(normal(2, 3), 4), ShapeError, "interpolate: input float64 \\(2, 3\\)"),
    (lambda: tg.interpolate(normal(1, 1, 4), 4, mode="bilinear"), ValueError, "mode='bilinear' for 1 axes"),
    (lambda: tg.interpolate(normal(1, 1, 4)), ValueError, "give size or scale_factor"),
    (lambda: tg.interpolate(normal(1, 1, 4), 3, 2.0), ValueError, "and not both"),
    (lambda: tg.interpolate(normal(1, 1, 4), 3, align_corners=True), ValueError, "align_corners with mode='nearest'"),
    (lambda: tg.interpolate(normal(1, 1, 4), scale_factor=-1.0), ValueError, "scale_factor=-1.0"),
    (lambda: tg.pixel_shuffle(normal(3, 2, 2), 2), ShapeError, "pixel_shuffle: input .* a factor of 2"),
    (lambda: tg.pixel_unshuffle(normal(3, 3, 2), 2), ShapeError, "pixel_unshuffle"),
    (lambda: tg.fold(normal(1, 4, 5), 3, 2), ShapeError, "fold: input .* 4\\)"),
    (lambda: tg.adaptive_avg_pool1d(normal(1, 4), 0), ValueError, "adaptive_avg_pool1d: output_size=\\(0,\\)"),
    (lambda: tg.adaptive_max_pool2d(np.zeros((1, 0, 3)), 1), ShapeError, "without elements to pool"),
    (lambda: tg.group_norm(normal(2, 5), 2), ShapeError, "group_norm: x float64 \\(2, 5\\) in 2 groups"),
    (lambda: tg.group_norm(normal(2, 4), 2, np.ones(2)), ShapeError, "group_norm: a parameter")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
