"""The independent oracle of derivatives: central differences, in float64."""

import numpy as np

import tapegrad as tg


def gradients(f, arrays, create_graph=False):
    """The gradients of sum(w * f(*arrays)) by the tape, with fixed weights w: (f's value, [gradient per array])."""
    xs = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    z = f(*xs)
    if not z.requires_grad:
        return z, [None] * len(xs)
    projected(z).backward(create_graph=create_graph)
    return z, [x.grad for x in xs]


def weights(shape, dtype=np.float64, seed=7):
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.5, 1.5, size=shape)
    return (w + 1j * rng.uniform(0.5, 1.5, size=shape) if np.dtype(dtype).kind == "c" else w).astype(dtype)


def projected(z):
    """sum(w z), for a tensor or an array; its real part where z is complex."""
    total = (z * weights(z.shape, z.dtype)).sum()
    return total.real if z.dtype.kind == "c" else total


def differences(f, arrays, step=1e-6):
    """The gradients of sum(w * f(*arrays)) by central differences, element by element."""
    def value(*xs):
        z = np.asarray(f(*xs))
        return float(projected(z if z.dtype.kind == "c" else z.astype(float)))

    found = []
    for k, x in enumerate(arrays):
        if x.dtype.kind != "f":
            found.append(None)
            continue
        g = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[i] += step
            down[i] -= step
            g[i] = (value(*arrays[:k], up, *arrays[k + 1:]) - value(*arrays[:k], down, *arrays[k + 1:])) / (2 * step)
        found.append(g)
    return found


def second_order(f, arrays):
    """The gradients of sum(v * gradient) for fixed v, by sweeping the recorded sweep; None where there is none."""
    xs = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    z = f(*xs)
    projected(z).backward(create_graph=True)
    total = 0.0
    for k, x in enumerate(xs):
        if x.requires_grad:
            total = total + (x.grad * weights(x.shape, seed=k)).sum()
            x.grad = None
    if total.requires_grad:
        total.backward()
    return [x.grad if x.grad is not None else np.zeros(x.shape) for x in xs]


def gradient_differences(f, arrays, step=1e-5):
    """What second_order should find: central differences of the tape's own first gradient, itself checked elsewhere."""
    def projected(*xs):
        return sum(float((g * weights(g.shape, seed=k)).sum())
                   for k, g in enumerate(gradients(f, xs)[1]) if g is not None)

    found = []
    for k, x in enumerate(arrays):
        g = np.zeros(x.shape)
        for i in np.ndindex(x.shape if x.dtype.kind == "f" else (0,)):
            up, down = x.copy(), x.copy()
            up[i] += step
            down[i] -= step
            g[i] = (projected(*arrays[:k], up, *arrays[k + 1:]) - projected(*arrays[:k], down, *arrays[k + 1:])) / (2 * step)
        found.append(g)
    return found


def jacobian(f, x, step=1e-6):
    """The derivative of an array f(x) of shape m by x of shape n, m + n, element by element."""
    columns = []
    for k in np.ndindex(x.shape):
        sides = []
        for side in (step, -step):
            moved = np.array(x)
            moved[k] += side
            sides.append(np.asarray(f(moved)))
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


def numeric(f, xs, i, step=1e-6):
    """The derivative by xs[i] of a function of arrays."""
    return jacobian(lambda x: f(*xs[:i], x, *xs[i + 1:]), xs[i], step)
