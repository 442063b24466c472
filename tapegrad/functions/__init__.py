"""What users call, family by family: arguments are put in order here, and the rows of the registry do the rest."""

from tapegrad.functions.elementwise import (
    absolute, add, astype, ceil, cos, divide, equal, exp, floor, floor_divide, greater, greater_equal, isfinite, isinf,
    isnan, less, less_equal, log, logical_and, logical_not, logical_or, matmul, maximum, minimum, multiply, negative,
    not_equal, ones_like, power, rint, sign, sin, sqrt, square, subtract, tanh, true_divide, where, zeros_like,
)
from tapegrad.functions.indexing import getitem, setitem
from tapegrad.functions.network import cross_entropy, log_softmax, logsumexp, one_hot, relu, sigmoid, softmax
from tapegrad.functions.reductions import argmax, argmin, max, mean, min, sum
from tapegrad.functions.shaping import broadcast_to, concatenate, reshape, stack, transpose
