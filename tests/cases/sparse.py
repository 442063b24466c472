"""The row of products with a sparse matrix."""

import numpy as np
import scipy.sparse

import tapegrad.primitives.sparse  # noqa: F401
from cases.case import Case

MATRIX = scipy.sparse.csr_array(np.array([[0, 2, 0, 0], [1.5, 0, 0, -1], [0, 0, 0, 0]], "f4"))     # exact in both precisions


def _reference(x, data, indices, indptr, shape, transposed):
    S = MATRIX.toarray()
    return (S.T if transposed else S) @ x


CASES = [
    Case("sparse_matmul", static=((MATRIX.data, MATRIX.indices, MATRIX.indptr, (3, 4), False),), reference=_reference,
         shapes=[((4,),), ((4, 2),), ((4, 0),)]),
]
