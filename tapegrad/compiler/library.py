"""Kernels that are not elementwise: sums, extrema and the softmax family, as text. Operand 0 is the result.

Sums over many elements are added up in float64, or in several parts: no less exact than NumPy's pairwise sums.
The eager kernels of the softmax family and of one-hot rows (kernels/jit) take whole arrays; these are text, because they read
and write parts of the program's memory, with strides, and are compiled into one module with the elementwise kernels around.
"""

from math import prod

import numpy as np

from tapegrad.compiler import products
from tapegrad.compiler.text import REAL
from tapegrad.graph.graph import operands_of
from tapegrad.kernels.limits import SPARSE
from tapegrad.primitives.node import Node

SHORT = 16              # columns of a row whose softmax takes libm's exp: that of others is vectorised
COLUMN_SUMS = """def kernel(p):
    R, C, z, x, s = p[0], p[1], p[2], p[4], p[5]
    for c in range(C):
        put(z, c, get(x, c, 1, 2, number), 0, 2, number)
    for r in range(1, R):
        for c in range(C):
            put(z, c, get(z, c, 0, 2, number) + get(x, r * s + c, 1, 2, number), 0, 2, number)
"""
COLUMN_EXTREMA = """def kernel(p):
    R, C, z, x, s = p[0], p[1], p[2], p[4], p[5]
    for c in range(C):
        put(z, c, get(x, c, 1, 2, number), 0, 2, number)
    for r in range(1, R):
        for c in range(C):
            y, top = get(x, r * s + c, 1, 2, number), get(z, c, 0, 2, number)
            put(z, c, y if y {sign} top or y != y else top, 0, 2, number)
"""
ROW_SUMS = """def kernel(p):
    R, C, z, t, x, s = p[0], p[1], p[2], p[3], p[4], p[5]
    for r in range(R):
        total = 0.0
        for c in range(C):
            total = added(total, get(x, r * s + c, 1, 2, number))
        put(z, r * t, number({result}), 0, 2, number)
"""
CHANNEL_SUMS = """def kernel(p):
    N, C, z, x, K = p[0], p[1], p[2], p[4], p[7]
    for k in range(K):
        total = 0.0
        for n in range(N):
            for c in range(C):
                total = added(total, get(x, (n * K + k) * C + c, 1, 2, number))
        put(z, k, number({result}), 0, 2, number)
"""
TOTAL = """def kernel(p):
    R, C, z, x, s = p[0], p[1], p[2], p[4], p[5]
    total, parts = 0.0, zeros(16)
    for r in range(R):
        whole = C // 16 * 16
        for c in range(0, whole, 16):
            for k in range(16):
                parts[k] += get(x, r * s + c + k, 1, 2, number)
        for c in range(whole, C):
            total += get(x, r * s + c, 1, 2, number)
    for k in range(16):
        total += parts[k]
    put(z, 0, number({result}), 0, 2, number)
"""
ROW_EXTREMA = """def kernel(p):
    R, C, z, t, x, s = p[0], p[1], p[2], p[3], p[4], p[5]
    for r in range(R):
        top = get(x, r * s, 1, 2, number)
        for c in range(1, C):
            y = get(x, r * s + c, 1, 2, number)
            if y {sign} top or y != y:
                top = y
        put(z, r * t, top, 0, 2, number)
"""
_TOP = """def kernel(p):
    R, C, z, t, x, s = p[0], p[1], p[2], p[3], p[4], p[5]
    for r in range(R):
        top, total = get(x, r * s, 1, N, number), number(0)
        if C > SHORT:
            highest = order(top)
            for c in range(1, C):
                highest = max(highest, order(get(x, r * s + c, 1, N, number)))
            top = of_order(highest)
            for c in range(C):
                y = exp(get(x, r * s + c, 1, N, number) - top)
                total = added(total, y)
                KEEP
        else:
            for c in range(1, C):
                y = get(x, r * s + c, 1, N, number)
                if y > top or y != y:
                    top = y
            for c in range(C):
                y = np.exp(get(x, r * s + c, 1, N, number) - top)
                total += y
                KEEP
"""
_TOP = _TOP.replace("SHORT", str(SHORT))
_KEEP = "put(z, r * t + c, y, 0, 2, number)"
SOFTMAX = _TOP.replace("N", "2").replace("KEEP", _KEEP) + """
        factor = number(1) / total
        for c in range(C):
            put(z, r * t + c, get(z, r * t + c, 0, 2, number) * factor, 0, 2, number)
"""
LOG_SOFTMAX = _TOP.replace("N", "2").replace("KEEP", "") + """
        total = np.log(total)
        for c in range(C):
            put(z, r * t + c, get(x, r * s + c, 1, 2, number) - top - total, 0, 2, number)
"""
CROSS_ENTROPY = _TOP.replace("N", "3").replace("KEEP", "") + """
        k = get(p[6], r, 2, 3, int64)
        if k < 0:
            k += C
        chosen = get(x, r * s + k, 1, 3, number) - top if 0 <= k < C else number(np.nan)
        put(z, r, np.log(total) - chosen, 0, 3, number)
"""


# Products with an indicator matrix: see products.looked_up. What is not finite makes 0 times it NaN.

POSITIONS = """def kernel(p):
    R, C, z, x, s = p[0], p[1], p[2], p[4], p[5]
    size = 1 + min(ONES, C // SPARSE)
    put(z, 0, 0, 0, 2, int32)
    put(z, 1, 0, 0, 2, int32)
    for r in range(R):
        found, row = 0, 2 + r * size
        for low in range(0, C, BLOCK):
            start = min(low, C - BLOCK)
            there = nonzeros(x, r * s + start, 1, 2, number) >> (low - start)
            while there != 0:
                k = low + lowest(there)
                there &= there - 1
                found += 1
                if get(x, r * s + k, 1, 2, number) != number(1) or found == size:
                    return
                put(z, row + found, k, 0, 2, int32)
        put(z, row, found, 0, 2, int32)
    put(z, 0, 1, 0, 2, int32)
"""
_FINITE = """
    infinity, top = bits(number(np.inf)), bits(number(0))
    for r in range(1 if {stride} == C else {rows}):
        for c in range({rows} * C if {stride} == C else C):
            top = max(top, bits(get({x}, r * {stride} + c, 3, 4, number)) & infinity)
    finite = top != infinity
"""
# Adds to row `to` of z row `of` of y, for each one in row r of x, or all of them times the elements of x.
_ADDED = """        if finite:
            row = 2 + r * size
            for i in range(row + 1, row + 1 + get(at, row, 1, 4, int32)):
                k = int64(get(at, i, 1, 4, int32))
                for c in range(C):
                    put(z, {to} * t + c, get(z, {to} * t + c, 0, 4, number)
                        + get({y}, {of} * {stride} + c, 3, 4, number), 0, 4, number)
        else:
            for k in range(K):
                for c in range(C):
                    put(z, {to} * t + c, get(z, {to} * t + c, 0, 4, number) + get(x, r * sx + k, 2, 4, number)
                        * get({y}, {of} * {stride} + c, 3, 4, number), 0, 4, number)
"""
LOOK_UP = """def kernel(p):
    R, C, z, t, at, x, sx, y, sy = p[0], p[1], p[2], p[3], p[4], p[6], p[7], p[8], p[9]
    K, size = p[11], 1 + min(ONES, p[11] // SPARSE)
    if get(at, 0, 1, 4, int32) == 0:
        return""" + _FINITE.format(rows="K", x="y", stride="sy") + """
    for r in range(R):
        for c in range(C):
            put(z, r * t + c, number(0), 0, 4, number)
""" + _ADDED.format(to="r", of="k", y="y", stride="sy")
COLLECT = """def kernel(p):
    R, C, z, t, at, x, sx, d, sd = p[0], p[1], p[2], p[3], p[4], p[6], p[7], p[8], p[9]
    K, size = p[11], 1 + min(ONES, p[11] // SPARSE)
    if get(at, 0, 1, 4, int32) == 0:
        return""" + _FINITE.format(rows="R", x="d", stride="sd") + """
    for k in range(1 if t == C else K):
        for c in range(K * C if t == C else C):
            put(z, k * t + c, number(0), 0, 4, number)
    for r in range(R):
""" + _ADDED.format(to="k", of="r", y="d", stride="sd")
POSITIONS, LOOK_UP, COLLECT = [text.replace("ONES", str(products.ONES)).replace("SPARSE", str(SPARSE))
                               for text in (POSITIONS, LOOK_UP, COLLECT)]
TAKE = """def kernel(p):
    R, C, z, t, at, y, s = p[0], p[1], p[2], p[3], p[4], p[6], p[7]
    for r in range(R):
        k = get(at, r, 1, 3, int64)
        for c in range(C):
            put(z, r * t + c, get(y, k * s + c, 2, 3, number), 0, 3, number)
"""
SPREAD = """def kernel(p):
    R, C, z, t, at, d, s = p[0], p[1], p[2], p[3], p[4], p[6], p[7]
    for k in range(p[9]):
        for c in range(C):
            put(z, k * t + c, number(0), 0, 3, number)
    for r in range(R):
        k = get(at, r, 1, 3, int64)
        for c in range(C):
            put(z, k * t + c, get(z, k * t + c, 0, 3, number) + get(d, r * s + c, 2, 3, number), 0, 3, number)
"""
_TURNED = """def kernel(p):
    R, C, z, t, x, s = p[0], p[1], p[2], p[3], p[4], p[5]{unless}
    for low in range(0, C, 16):
        for r in range(R):
            for c in range(low, min(low + 16, C)):
                put(z, c * t + r, get(x, r * s + c, 1, {n}, number), 0, {n}, number)
"""
TURNED = _TURNED.format(unless="", n=2)
TURNED_WHERE = _TURNED.format(unless="""
    if get(p[6], 0, 2, 3, int32) == 0:
        return""", n=3)


OTHERS = {row.name: (row, text) for row, text in (
    (products.POSITIONS, POSITIONS), (products.TURNED, TURNED), (products.TURNED_WHERE, TURNED_WHERE))}


def reduction(node):
    """The text of the kernel of the library that computes a node, or None."""
    name, x = node.row.name, node.operands[0] if node.operands else None
    if name in OTHERS and node.row is OTHERS[name][0]:
        return OTHERS[name][1]
    if node.dtype not in REAL or not isinstance(x, Node) or x.dtype != node.dtype or x.size == 0 or x.ndim == 0:
        return None
    if name == "transpose":
        return TURNED if products.base_of(node)[1] else None
    if not node.static and name not in ("sum_rows", "softmax_cross_entropy"):
        return None
    if name == "sum_rows":
        return COLUMN_SUMS if x.ndim == 2 else None
    if name in ("softmax", "log_softmax"):
        return (SOFTMAX if name == "softmax" else LOG_SOFTMAX) if node.static[0] in (-1, x.ndim - 1) else None
    if name == "softmax_cross_entropy":
        return CROSS_ENTROPY if _are_classes(node) else None
    if name not in ("sum", "mean", "max", "min"):
        return None
    axes, n = node.static[0], x.ndim
    if axes is None or len(axes) == n:
        result = {"sum": "total", "mean": f"total / {float(x.size)}"}
        return TOTAL.format(result=result[name]) if name in result else None
    if tuple(axes) == (n - 1,):
        if name in ("max", "min"):
            return ROW_EXTREMA.format(sign=">" if name == "max" else "<")
        return ROW_SUMS.format(result=f"total / {float(x.shape[-1])}" if name == "mean" else "total")
    if is_by_channel(node):
        return CHANNEL_SUMS.format(result=f"total / {float(x.size // x.shape[1])}" if name == "mean" else "total")
    if name == "mean" or tuple(axes) != tuple(range(len(axes))):
        return None
    return COLUMN_SUMS if name == "sum" else COLUMN_EXTREMA.format(sign=">" if name == "max" else "<")


def is_by_channel(node):
    """Whether a node sums over all axes but the second."""
    n = node.operands[0].ndim
    axes = node.static[0] if node.row.name in ("sum", "mean") else None
    return n > 2 and axes is not None and tuple(axes) == (0, *range(2, n))


def matrix_of(node):
    """The rows and columns of the operand that a kernel of the library reads: the rows are those that are reduced, if it
    reduces over the first axes."""
    shape = node.operands[0].shape
    axes = node.static[0] if node.static and node.row.name in ("sum", "mean", "max", "min") else None
    if axes is not None and len(axes) < len(shape) and tuple(axes) == tuple(range(len(axes))):
        return prod(shape[:len(axes)]), prod(shape[len(axes):])
    return prod(shape[:-1]), shape[-1] if shape else 1


def _are_classes(node):
    classes = node.operands[1] if len(node.operands) > 1 else node.static[0]
    return getattr(classes, "dtype", None) == np.int64 and classes.shape == node.shape and len(operands_of(node)) <= 2
