"""Windows over the last axes of an array: all that convolution and pooling need beside products and sums.

`windows` shows, for each offset inside the kernel, the elements that the kernel covers there as it moves:

    z[.., k1, k2, o1, o2] = x[.., o1 * stride + k1 * dilation, o2 * stride + k2 * dilation]

It is a view, without a copy. The offsets come before the positions so that rows of the output lie along rows of the input:
reshaped to (.., k1 k2, o1 o2) it is the matrix of which a convolution is one product. `unwindow` adds windows back into an
array of a given size, one pass per offset. Each is the other's derivative.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapegrad.primitives.registry import LINEAR, primitive


def _windows(x, kernel, positions, stride, dilation):
    outer = x.ndim - len(kernel)
    steps = x.strides[outer:]
    strides = (*x.strides[:outer], *(s * n for s, n in zip(dilation, steps)), *(s * n for s, n in zip(stride, steps)))
    return as_strided(x, (*x.shape[:outer], *kernel, *positions), strides, writeable=False)


def _unwindow(d, size, stride, dilation):
    n = len(size)
    kernel, positions = d.shape[-2 * n:-n], d.shape[-n:]
    x = np.zeros((*d.shape[:-2 * n], *size), d.dtype)
    for offset in np.ndindex(kernel):
        start = [k * step for k, step in zip(offset, dilation)]
        covered = tuple([slice(low, low + step * count, step) for low, step, count in zip(start, stride, positions)])
        x[(..., *covered)] += d[(..., *offset, *([slice(None)] * n))]
    return x


def _windows_dx(F, d, _z, x_shape, kernel, positions, stride, dilation):
    return F.unwindow(d, x_shape[-len(kernel):], stride, dilation)


def _unwindow_dx(F, d, _z, x_shape, size, stride, dilation):
    n = len(size)
    return F.windows(d, x_shape[-2 * n:-n], x_shape[-n:], stride, dilation)


primitive("windows", _windows, _windows_dx, complex=LINEAR, view=True)
primitive("unwindow", _unwindow, _unwindow_dx, complex=LINEAR)
