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
    functions    what users call, family by family
    operators    what + and x.sum() and np.sin(x) mean
    optim        gradient descent
    autograd, functional, checkpointing, gradcheck    derivatives of functions, of any order, and whether they are right
    extend       new primitives
"""

from tapegrad import autograd, operators, optim
from tapegrad.checkpointing import checkpoint
from tapegrad.extend import primitive
from tapegrad.functional import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tapegrad.gradcheck import gradcheck
from tapegrad.functions import (
    absolute, add, argmax, argmin, astype, broadcast_to, ceil, concatenate, cos, cross_entropy, divide, equal, exp, floor,
    floor_divide, greater, greater_equal, isfinite, isinf, isnan, less, less_equal, log, log_softmax, logical_and,
    logical_not, logical_or, logsumexp, matmul, max, maximum, mean, min, minimum, multiply, negative, not_equal, one_hot,
    ones_like, power, relu, reshape, rint, sigmoid, sign, sin, softmax, sqrt, square, stack, subtract, sum, tanh, transpose,
    true_divide, where, zeros_like,
)
from tapegrad.tape import enable_grad, no_grad, tape
from tapegrad.tensor import Tensor, tensor

abs = absolute

__version__ = "0.1.0"
