"""The kernels of kernels/optimisers.py, in one precision. `arrays` is a tuple: x and g of each parameter, or None twice."""

from types import SimpleNamespace

import numba
import numpy as np
from numba.extending import register_jitable

from tapegrad.kernels.jit.compiled import compiled
from tapegrad.kernels.jit.objects import address, elements, item, python_object
from tapegrad.kernels.steps import FORMULAS, adam, momentum_sgd, sgd, without_bias

OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy"}

for formula in FORMULAS:
    register_jitable(**OPTIONS)(formula)


@numba.njit
def array(arrays, k, size, number):
    return numba.carray(elements(item(arrays, k), number), size)


def functions(number):
    """{name: (function, signature)} for float32 or float64."""
    real, integers = numba.from_dtype(np.dtype(number)), numba.int64[::1]

    def sgd_step(arrays, none, offsets, v, steps, lr, weight_decay, momentum, nesterov):
        lr, weight_decay, factor = number(lr), number(weight_decay), number(momentum)
        for k in range(steps.size):
            if item(arrays, 2 * k) == address(none):
                continue
            low, size = offsets[k], offsets[k + 1] - offsets[k]
            x, g = array(arrays, 2 * k, size, number), array(arrays, 2 * k + 1, size, number)
            steps[k] += 1
            if momentum:
                velocity = v[low:low + size]
                for i in range(size):
                    x[i], velocity[i] = momentum_sgd(x[i], g[i], velocity[i], lr, weight_decay, factor, nesterov)
            else:
                for i in range(size):
                    x[i] = sgd(x[i], g[i], lr, weight_decay)

    def adam_step(arrays, none, offsets, m, v, steps, lr, beta1, beta2, eps, weight_decay, shrink):
        old_m, new_m, old_v, new_v = number(beta1), number(1 - beta1), number(beta2), number(1 - beta2)
        weight_decay, shrink = number(weight_decay), number(shrink)
        for k in range(steps.size):
            if item(arrays, 2 * k) == address(none):
                continue
            low, size = offsets[k], offsets[k + 1] - offsets[k]
            x, g = array(arrays, 2 * k, size, number), array(arrays, 2 * k + 1, size, number)
            mean, square = m[low:low + size], v[low:low + size]
            steps[k] += 1
            rate, floor = without_bias(steps[k], lr, beta1, beta2, eps)
            rate, floor = number(rate), number(floor)
            for i in range(size):
                x[i], mean[i], square[i] = adam(
                    x[i], g[i], mean[i], square[i], rate, floor, old_m, new_m, old_v, new_v, weight_decay, shrink)

    def signature(means, numbers):
        return numba.void(*[python_object] * 2, integers, *[real[::1]] * means, integers, *[numba.float64] * numbers)

    return {"sgd": (sgd_step, signature(1, 4)), "adam": (adam_step, signature(2, 6))}


def kernels(number):
    """sgd and adam for float32 or float64."""
    return SimpleNamespace(**{name: compiled(*made, **OPTIONS) for name, made in functions(number).items()})
