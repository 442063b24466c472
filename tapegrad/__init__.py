"""tapegrad: reverse-mode automatic differentiation on a tape that you can read.

In the order in which to read the code:

    registers    what stands behind a name on the tape: an entry, a leaf
    tape         the Wengert list, one per thread; how entries leave it
    listing      the names under which it is read
    primitives   the registry: a row per operation, G and DG side by side
    kernels      the numba kernels of the rows that have one
    tensor       the array and its register; value semantics
    record       how a row becomes a function that appends to the tape
    sweep        the reverse sweep
    functions, network, operators    what users call
    optim        gradient descent
"""

from tapegrad import optim, operators
from tapegrad.functions import (
    absolute, add, argmax, argmin, astype, broadcast_to, ceil, concatenate, cos, divide, equal, exp, floor, floor_divide,
    greater, greater_equal, isfinite, isinf, isnan, less, less_equal, log, logical_and, logical_not, logical_or, matmul,
    max, maximum, mean, min, minimum, multiply, negative, not_equal, ones_like, power, reshape, rint, sign, sin, sqrt,
    square, stack, subtract, sum, tanh, transpose, true_divide, where, zeros_like,
)
from tapegrad.network import cross_entropy, log_softmax, logsumexp, one_hot, relu, sigmoid, softmax
from tapegrad.tape import enable_grad, no_grad, tape
from tapegrad.tensor import Tensor, tensor

abs = absolute

__version__ = "0.1.0"
