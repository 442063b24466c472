# ruff: noqa: F821 -- the free names of the kernels are bound once per precision, in bound_kernel()
"""The steps of the optimisers: their formulas, and numba kernels that apply them to all parameters of a precision in one call.

A formula is written once, in Python without literals (numba would widen float32): a kernel calls it on numbers, and where
there is no compiler optim.py calls it on arrays.

Why objects' addresses. Asking an ndarray for the address of its elements takes 1 us in Python, longer than moving a bias, so
a kernel is given id(x) (addresses.py). The caller has checked that the arrays are C-contiguous and of the size that the
kernel goes through.

Why running means in one array. They belong to the optimiser, so those of all parameters stand one behind the other, and
those of parameter k are at offsets[k] .. offsets[k + 1]. Importing this file imports and compiles nothing.
"""

from functools import cache

import numpy as np

from tapegrad.kernels import elementwise as kernels
from tapegrad.kernels import ndarray as addresses

# ---- formulas ----

def decayed(x, g, weight_decay):
    """The gradient with that of weight_decay |x|^2 / 2."""
    return g + weight_decay * x if weight_decay else g       # 0 times an infinite x would be NaN


def sgd(x, g, lr, weight_decay):
    """The new x."""
    return x - lr * decayed(x, g, weight_decay)


def momentum_sgd(x, g, v, lr, weight_decay, momentum, nesterov):
    """The new (x, v)."""
    d = decayed(x, g, weight_decay)
    v = momentum * v + d
    return x - lr * (d + momentum * v if nesterov else v), v


def adam(x, g, m, v, rate, floor, old_m, new_m, old_v, new_v, weight_decay, shrink):
    """The new (x, m, v); old_m = beta1, new_m = 1 - beta1, for v likewise; shrink = 1 where the decay is not AdamW's."""
    g = decayed(x, g, weight_decay)
    m = m + new_m * (g - m) if new_m < old_m else g - old_m * (g - m)       # from the nearer one: g - m is rounded
    v = old_v * v + new_v * (g * g)
    return shrink * x - rate * m / (np.sqrt(v) + floor), m, v


def without_bias(t, lr, beta1, beta2, eps):
    """(rate, floor) of step t: with them adam() moves by lr * m' / (sqrt(v') + eps), m' = m / (1 - beta1^t), v' likewise."""
    scale = (1 - beta2 ** t) ** 0.5
    return lr * scale / (1 - beta1 ** t), eps * scale


FORMULAS = decayed, sgd, momentum_sgd, adam, without_bias

# ---- kernels; `places` are id(x) and id(g) of each parameter, or `none` twice ----

def sgd_kernel(places, none, offsets, v, steps, lr, weight_decay, momentum, nesterov):
    lr, weight_decay, factor = number(lr), number(weight_decay), number(momentum)
    for k in range(steps.size):
        if places[2 * k] == none:
            continue
        low, size = offsets[k], offsets[k + 1] - offsets[k]
        x, g = carray(elements(places[2 * k] + DATA), size), carray(elements(places[2 * k + 1] + DATA), size)
        steps[k] += 1
        if momentum:
            velocity = v[low:low + size]
            for i in range(size):
                x[i], velocity[i] = momentum_sgd(x[i], g[i], velocity[i], lr, weight_decay, factor, nesterov)
        else:
            for i in range(size):
                x[i] = sgd(x[i], g[i], lr, weight_decay)


def adam_kernel(places, none, offsets, m, v, steps, lr, beta1, beta2, eps, weight_decay, shrink):
    old_m, new_m, old_v, new_v = number(beta1), number(1 - beta1), number(beta2), number(1 - beta2)
    weight_decay, shrink = number(weight_decay), number(shrink)
    for k in range(steps.size):
        if places[2 * k] == none:
            continue
        low, size = offsets[k], offsets[k + 1] - offsets[k]
        x, g = carray(elements(places[2 * k] + DATA), size), carray(elements(places[2 * k + 1] + DATA), size)
        mean, square = m[low:low + size], v[low:low + size]
        steps[k] += 1
        rate, floor = without_bias(steps[k], lr, beta1, beta2, eps)
        rate, floor = number(rate), number(floor)
        for i in range(size):
            x[i], mean[i], square[i] = adam(
                x[i], g[i], mean[i], square[i], rate, floor, old_m, new_m, old_v, new_v, weight_decay, shrink)


KERNELS = {             # and their parameters: i int64, f float64, n of the precision; [] an array
    "sgd": (sgd_kernel, "i[] i i[] n[] i[] f f f f"),
    "adam": (adam_kernel, "i[] i i[] n[] n[] i[] f f f f f f"),
}

# ---- compiling ----

OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy"}     # here: numba renews its cache when this file is edited


def bound_kernel(numba, name, number):
    """(the kernel for arrays of the dtype `number`, its signature)"""
    scalars = {"i": numba.int64, "f": numba.float64, "n": numba.from_dtype(number)}
    names = addresses.tools(numba, number) | {"np": np, "number": number.type}
    for formula in FORMULAS:
        names[formula.__name__] = numba.njit(**OPTIONS)(kernels.bound(formula, names))
    kernel, parameters = KERNELS[name]
    types = [scalars[text[0]][::1] if text.endswith("[]") else scalars[text] for text in parameters.split()]
    return kernels.bound(kernel, names), numba.void(*types)


@cache
def fused(name, number):
    """The kernel "sgd" or "adam" for the dtype `number`; None unless it is float32 or float64 and there is a compiler.

    Compiled at the first call or loaded from numba's cache; where no cache can be written, there is none.
    """
    numba = kernels.compiler() if number in (np.float32, np.float64) else None
    if numba is None or not addresses.known_layout():
        return None
    return kernels.compiled(*bound_kernel(numba, name, number), **OPTIONS)
