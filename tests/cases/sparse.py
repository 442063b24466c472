"""The row of products with a sparse matrix."""

import numpy as np
import scipy.sparse

import tapegrad.primitives.sparse  # noqa: F401
from cases.case import Case
from tapegrad.functions.sparse import Constant

MATRIX = np.array([[0.0, 2.0, 0.0, 0.0], [1.5, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]], "f4")       # exact in both precisions

CASES = [
    Case("sparse_matmul", static=((Constant(scipy.sparse.csr_array(MATRIX)),), (Constant(scipy.sparse.csc_matrix(MATRIX)),)),
         shapes=[((4,),), ((4, 2),), ((4, 0),)], reference=lambda x, S: S.matrix.toarray() @ x),
]
