"""The table of primitives against PyTorch, where it is installed: value, first and second derivative of every row it has."""

import numpy as np
import pytest
from cases import CASES
from oracle import weights
from test_table import CELLS, drawn, function, to_float32

import tapegrad as tg

torch = pytest.importorskip("torch")


def axes(f):
    """A reduction of PyTorch by (axis, keepdims), where None means all axes."""
    return lambda x, axis, keepdims: f(x, tuple(range(x.ndim)) if axis is None else axis, keepdims)


def product(x, axis, keepdims):
    for i in sorted(range(x.ndim) if axis is None else axis, reverse=True):
        x = x.prod(i, keepdim=keepdims)
    return x


def spread(f):
    return lambda x, axis, ddof, keepdims: f(x, tuple(range(x.ndim)) if axis is None else axis, correction=ddof,
                                             keepdim=keepdims)


def indexed(index):
    plain = [torch.as_tensor(i) if isinstance(i, np.ndarray) else i for i in (index if isinstance(index, tuple) else (index,))]
    return tuple(plain)


def scattered(d, index, shape):
    return torch.zeros(shape, dtype=d.dtype).index_put(indexed(index), d, accumulate=True)


def assigned(x, y, index):
    z = x.clone()
    z[indexed(index)] = y
    return z


def not_with_pytorch(case, shapes, static):
    """Why PyTorch cannot be asked about a cell, or None."""
    if to_float32(case, static):
        return "too coarse"
    parts = [i for argument in static for i in (argument if isinstance(argument, tuple) else (argument,))]
    if any(isinstance(i, slice) and (i.step or 1) < 0 for i in parts):
        return "no negative steps"
    if case.name == "scatter" and isinstance(parts[0], slice):
        return "index_put takes no slices"
    if case.name == "setitem" and any(isinstance(i, np.ndarray) and len(set(i.tolist())) < i.size for i in parts):
        return "an element that is written twice gets both deltas there"
    if case.name == "clip" and len(set(shapes)) > 1:
        return "clamp's derivative does not broadcast"
    if case.name in ("solve", "matmul", "fmod", "remainder", "where") and 0 in [n for shape in shapes for n in shape]:
        return "derivatives fail without elements"
    return None


same = {name: getattr(torch, name) for name in """
    add subtract multiply divide negative exp log sqrt square absolute sin cos tanh sigmoid relu maximum minimum where matmul
    exp2 expm1 arctan sinh cosh arcsinh log2 log10 log1p reciprocal tan arcsin arccos arctanh arccosh hypot logaddexp logaddexp2
    arctan2 remainder fmod copysign fmax fmin erf erfc""".split()}
THEIRS = same | {
    "power": torch.pow, "strong_multiply": torch.multiply, "direction": torch.divide,
    "fabs": torch.abs, "alias": torch.clone, "conjugate": torch.conj,
    "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3),
    "clip": torch.clamp, "sum": axes(torch.sum), "mean": axes(torch.mean), "max": axes(torch.amax), "min": axes(torch.amin),
    "prod": product, "var": spread(torch.var), "std": spread(torch.std),
    "reshape": torch.reshape, "broadcast_to": torch.broadcast_to, "roll": torch.roll,
    "transpose": lambda x, order: x.permute(*(order if order is not None else range(x.ndim)[::-1])),
    "concatenate": lambda *xs: torch.concatenate(xs[:-1], xs[-1]), "stack": lambda *xs: torch.stack(xs[:-1], xs[-1]),
    "getitem": lambda x, index: x[indexed(index)], "scatter": scattered, "setitem": assigned,
    "softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": lambda x, axis: torch.logsumexp(x, axis, True),
    "cumsum": torch.cumsum, "cumprod": torch.cumprod, "sort": lambda x, axis: torch.sort(x, axis).values,
    "softmax_cross_entropy": lambda x, classes: torch.nn.functional.cross_entropy(
        x.movedim(-1, 1), torch.as_tensor(classes), reduction="none"),
    "softplus": torch.nn.functional.softplus, "hardtanh": torch.nn.functional.hardtanh,
    "solve": torch.linalg.solve, "inv": torch.linalg.inv, "det": torch.linalg.det,
}
CELLS = [cell for cell in CELLS if cell.values[0].name in THEIRS and not not_with_pytorch(*cell.values)]


def test_every_name_is_a_row():
    assert set(THEIRS) < {case.name for case in CASES}


@pytest.mark.parametrize("case, shapes, static", CELLS)
def test_value_and_derivatives(case, shapes, static):
    arrays = drawn(case, shapes)
    ours = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    theirs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    z, t = function(case, static)(*ours), THEIRS[case.name](*theirs, *static)
    np.testing.assert_allclose(z.data, t.detach().numpy(), rtol=1e-12, atol=1e-14)

    (z * weights(z.shape)).sum().backward(create_graph=True)
    leaves = [x for x in theirs if x.requires_grad]
    first = torch.autograd.grad((t * torch.tensor(weights(z.shape))).sum(), leaves, create_graph=True, allow_unused=True)
    total, total_theirs = tg.tensor(0.0), torch.zeros((), dtype=torch.float64)
    for k, (x, g) in enumerate(zip([x for x in ours if x.requires_grad], first)):
        if g is None or x.grad is None:
            assert (g is None or not g.any()) and (x.grad is None or not x.grad.data.any())
            continue
        np.testing.assert_allclose(x.grad.data, g.numpy(force=True), rtol=1e-10, atol=1e-12)
        total = total + (x.grad * weights(x.shape, seed=k)).sum()
        total_theirs = total_theirs + (g * torch.tensor(weights(x.shape, seed=k))).sum()
        x.grad = None

    if total_theirs.requires_grad:
        second = torch.autograd.grad(total_theirs, leaves, allow_unused=True)
        if total.requires_grad:
            total.backward()
        for x, g in zip([x for x in ours if x.requires_grad], second):
            found, wanted = 0.0 if x.grad is None else x.grad, 0.0 if g is None else g.numpy(force=True)
            np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)
