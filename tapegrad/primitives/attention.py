"""Attention of several heads among the places of a sequence, on queries, keys and values that lie side by side.

    x                    (N, L, 3 E): q, k and v of E features; the heads are parts of these features
    attention_weights    w = softmax(scale q k^T + mask) of each head, (N, heads, L, L), against which the mask broadcasts; one
                         number for all changes nothing
    attention_output     w v of each head, side by side: (N, L, E)

By other rows the heads are a view of the features, copied for each product and back, and the three contributions to x are
added up; kernels multiply where the features lie.
"""

import numpy as np

from tapegrad.kernels import attention as kernels
from tapegrad.kernels import limits
from tapegrad.primitives.network import _softmax, _softmax_dx
from tapegrad.primitives.registry import arrays, primitive


def _features(x, first, last):
    """The index of parts of x: 0 are the queries, 1 the keys, 2 the values."""
    e = x.shape[2] // 3
    return Ellipsis, slice(first * e, last * e)


def _head(F, x, heads):
    """(N, heads, L, E / heads) of (N, L, E)."""
    n, length, e = x.shape
    return F.transpose(F.reshape(x, (n, length, heads, e // heads)), (0, 2, 1, 3))


def _part(F, x, i, heads):
    return _head(F, F.getitem(x, _features(x, i, i + 1)), heads)


def _side_by_side(F, x):
    """The reverse of _head."""
    n, heads, length, width = x.shape
    return F.reshape(F.transpose(x, (0, 2, 1, 3)), (n, length, heads * width))


def _matrix_transpose(F, x):
    return F.transpose(x, (0, 1, 3, 2))


def _queries(F, x, heads, scale):
    return _head(F, F.getitem(x, _features(x, 0, 1)) * scale, heads)


def _weights_by_products(F, x, mask, heads, scale):
    scores = F.matmul(_queries(F, x, heads, scale), _matrix_transpose(F, _part(F, x, 1, heads)))
    return F.softmax(scores if type(mask) in (int, float) else scores + mask, 3)


def _attention_weights(x, mask, heads, scale):
    q = _head(np, x[_features(x, 0, 1)] * scale, heads)
    k = _head(np, x[_features(x, 1, 2)], heads)
    return _softmax(np.matmul(q, _matrix_transpose(np, k)) + mask, 3)


def _attention_weights_dx(F, d, z, x, _mask, heads, scale):
    d = _softmax_dx(F, d, z, None, 3)
    dq = F.matmul(d, _part(F, x, 1, heads)) * scale
    dk = _matrix_transpose(F, F.matmul(_matrix_transpose(F, _queries(F, x, heads, scale)), d))
    both = F.concatenate((_side_by_side(F, dq), _side_by_side(F, dk)), 2)
    return F.scatter(both, _features(x, 0, 2), x.shape)


def _output_by_products(F, w, x, heads):
    return _side_by_side(F, F.matmul(w, _part(F, x, 2, heads)))


def _attention_output(w, x, heads):
    return _side_by_side(np, np.matmul(w, _head(np, x[_features(x, 2, 3)], heads)))


def _attention_output_dw(F, d, _z, _w, x, heads):
    return F.matmul(_head(F, d, heads), _matrix_transpose(F, _part(F, x, 2, heads)))


def _attention_output_dx(F, d, _z, w, x, heads):
    dv = F.matmul(_matrix_transpose(F, w), _head(F, d, heads))
    return F.scatter(_side_by_side(F, dv), _features(x, 2, 3), x.shape)


def _fast_attention_weights(x, mask, heads, scale):
    given = None if type(mask) in (int, float) else mask
    w = kernels.weights(x, given, heads, scale) if x.size >= limits.ATTENDED else None
    return _weights_by_products(arrays, x, mask, heads, scale) if w is None else w


def _fast_attention_weights_dx(F, d, z, x, mask, heads, scale):
    dx = np.zeros(x.shape, x.dtype)
    return dx if _add_attention_weights_dx(dx, d, z, x, mask, heads, scale) else \
        _attention_weights_dx(F, d, z, x, mask, heads, scale)


def _add_attention_weights_dx(held, d, z, x, _mask, heads, scale):
    return x.size >= limits.ATTENDED and kernels.add_weights_derivative(held, d, z, x, scale)


def _fast_attention_output(w, x, heads):
    z = kernels.output(w, x) if x.size >= limits.ATTENDED else None
    return _attention_output(w, x, heads) if z is None else z


def _attention_output_jointly(wanted, d, _z, w, x, heads):
    found = kernels.output_derivatives(d, w, x) if x.size >= limits.ATTENDED else None
    return _ATTENTION_OUTPUT.one_by_one(wanted, d, None, w, x, heads) if found is None else found


primitive("attention_weights", _attention_weights, _attention_weights_dx,
          lambda F, d, z, _x, _mask, heads, scale: _softmax_dx(F, d, z, None, 3), composition=_weights_by_products).fast(
    forward=_fast_attention_weights, rules=(_fast_attention_weights_dx, None), accumulate=(_add_attention_weights_dx, None))
_ATTENTION_OUTPUT = primitive(
    "attention_output", _attention_output, _attention_output_dw, _attention_output_dx, composition=_output_by_products).fast(
    forward=_fast_attention_output, jointly=_attention_output_jointly)
