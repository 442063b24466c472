"""Reductions over axes, under NumPy's names."""

from tapegrad.functions.arguments import normalized_axis
from tapegrad.record import recorded


def sum(x, axis=None, keepdims=False):
    """The sum over `axis` (None for all, an int, or a tuple). Derivative: d, spread over the summed axes."""
    return recorded.sum(x, normalized_axis("sum", x, axis), keepdims)


def mean(x, axis=None, keepdims=False):
    """The arithmetic mean over `axis`. Derivative: d / n, spread over the n elements."""
    return recorded.mean(x, normalized_axis("mean", x, axis), keepdims)


def max(x, axis=None, keepdims=False):
    """The greatest element over `axis`. Derivative: d to the greatest; elements that tie share it evenly."""
    return recorded.max(x, normalized_axis("max", x, axis), keepdims)


def min(x, axis=None, keepdims=False):
    """The least element over `axis`. Derivative: d to the least; elements that tie share it evenly."""
    return recorded.min(x, normalized_axis("min", x, axis), keepdims)


def argmax(x, axis=None, keepdims=False):
    """The position of the greatest element, in the flattened tensor or along `axis`. Not differentiable."""
    return recorded.argmax(x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """The position of the least element, in the flattened tensor or along `axis`. Not differentiable."""
    return recorded.argmin(x, axis, keepdims)
