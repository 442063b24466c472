"""A tensor plus a product, under PyTorch's names: beta input + alpha product.

The input is broadcast against the product, which has the shape of the sum; where beta is 0 it is not read, and may be NaN.
Derivative: beta d to the input; to what is multiplied, that of the product, of alpha d. Raises ShapeError for shapes that do
not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import as_tensor, floats
from tapegrad.functions.elementwise import matmul, multiply
from tapegrad.functions.products import outer
from tapegrad.functions.reductions import sum
from tapegrad.functions.tensor import Tensor
from tapegrad.typing import TensorLike


def _is(number: TensorLike, constant: int) -> bool:
    return type(number) in (int, float) and number == constant


def _sum(name: str, product: Callable[[Any, Any], Tensor], axes: tuple[int, int], input: TensorLike, x: TensorLike,
         y: TensorLike, beta: TensorLike, alpha: TensorLike) -> Tensor:
    x, y, input = as_tensor(x), as_tensor(y), as_tensor(input)
    fits = (x.ndim, y.ndim) == axes and (name == "addr" or x.shape[-1] == y.shape[-2 if y.ndim > 1 else 0]) and (
        x.ndim < 3 or x.shape[0] == y.shape[0])
    if not fits:
        raise ShapeError(f"{name}: {describe(x)} and {describe(y)}; they have {axes[0]} and {axes[1]} axes, and fit together")
    z = product(x, y)
    z = z if _is(alpha, 1) else z * alpha
    if input.ndim > z.ndim or any(n not in (1, m) for n, m in zip(input.shape[::-1], z.shape[::-1])):
        raise ShapeError(f"{name}: an input {describe(input)} for a product {describe(z)}, against which it is broadcast")
    if _is(beta, 0):
        return z
    return z + (input if _is(beta, 1) else input * beta)


def addmm(input: TensorLike, mat1: TensorLike, mat2: TensorLike, *, beta: TensorLike = 1, alpha: TensorLike = 1) -> Tensor:
    """beta input + alpha mat1 mat2, of matrices. Derivative: see the file's header; here alpha d mat2^T to mat1.

    >>> tg.addmm([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]], alpha=10)
    tensor([[11., 22.],
            [31., 42.]])
    """
    return _sum("addmm", matmul, (2, 2), input, mat1, mat2, beta, alpha)


def addmv(input: TensorLike, mat: TensorLike, vec: TensorLike, *, beta: TensorLike = 1, alpha: TensorLike = 1) -> Tensor:
    """beta input + alpha mat vec, of a matrix and a vector.

    >>> tg.addmv([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], [3.0, 4.0], beta=10)
    tensor([13., 24.])
    """
    return _sum("addmv", matmul, (2, 1), input, mat, vec, beta, alpha)


def addr(input: TensorLike, vec1: TensorLike, vec2: TensorLike, *, beta: TensorLike = 1, alpha: TensorLike = 1) -> Tensor:
    """beta input + alpha vec1 vec2^T, the outer product of two vectors.

    >>> tg.addr(tg.ones((2, 2)), [1.0, 2.0], [3.0, 4.0])
    tensor([[4., 5.],
            [7., 9.]])
    """
    return _sum("addr", outer, (1, 1), input, vec1, vec2, beta, alpha)


def baddbmm(input: TensorLike, batch1: TensorLike, batch2: TensorLike, *, beta: TensorLike = 1,
            alpha: TensorLike = 1) -> Tensor:
    """beta input + alpha batch1 batch2, matrix by matrix: (b, n, m) and (b, m, p) give (b, n, p).

    >>> tg.baddbmm(1.0, [[[2.0]], [[3.0]]], [[[4.0]], [[5.0]]]).tolist()
    [[[9.0]], [[16.0]]]
    """
    return _sum("baddbmm", matmul, (3, 3), input, batch1, batch2, beta, alpha)


def addbmm(input: TensorLike, batch1: TensorLike, batch2: TensorLike, *, beta: TensorLike = 1,
           alpha: TensorLike = 1) -> Tensor:
    """beta input + alpha times the sum of the products of matrices: (b, n, m) and (b, m, p) give (n, p).

    >>> tg.addbmm(1.0, [[[2.0]], [[3.0]]], [[[4.0]], [[5.0]]])
    tensor([[24.]])
    """
    return _sum("addbmm", lambda x, y: sum(matmul(x, y), 0), (3, 3), input, batch1, batch2, beta, alpha)


def addcmul(input: TensorLike, tensor1: TensorLike, tensor2: TensorLike, *, value: TensorLike = 1) -> Tensor:
    """input + value tensor1 tensor2, element by element. Derivative: d, value tensor2 d, value tensor1 d.

    >>> tg.addcmul([1.0, 2.0], [3.0, 4.0], [5.0, 6.0], value=0.5)
    tensor([ 8.5, 14. ])
    """
    z = multiply(tensor1, tensor2)
    return as_tensor(input) + (z if _is(value, 1) else z * value)


def addcdiv(input: TensorLike, tensor1: TensorLike, tensor2: TensorLike, *, value: TensorLike = 1) -> Tensor:
    """input + value tensor1 / tensor2, element by element. Derivative: that of the sum and the quotient.

    >>> tg.addcdiv([1.0, 2.0], [3.0, 4.0], [6.0, 8.0], value=2)
    tensor([2., 3.])
    """
    z = as_tensor(tensor1) / tensor2
    return as_tensor(input) + (z if _is(value, 1) else z * value)


def lerp(input: TensorLike, end: TensorLike, weight: TensorLike) -> Tensor:
    """(1 - weight) input + weight end: the line from the input, at weight 0, to `end`, at 1, both exactly.

    Derivative: (1 - weight) d, weight d, and (end - input) d.

    >>> tg.lerp([0.0, 1.0], [10.0, 3.0], 0.25)
    tensor([2.5, 1.5])
    >>> tg.grad(lambda w: tg.lerp(1.0, 5.0, w))(0.5)
    array(4.)
    """
    x = floats(input)
    w: Any = weight if type(weight) in (int, float) else floats(weight)
    z: Tensor = x * (1 - w) + as_tensor(end, beside=x) * w
    return z
