"""The product of a sparse matrix, which is a constant, with a vector or a matrix. Loading it loads SciPy's sparse matrices.

The matrix is that of `data`, `indices` and `indptr`, rows in SciPy's compressed form, of this shape; or its transpose.
"""

from scipy.sparse import csr_array

from tapegrad.primitives.registry import HOLOMORPHIC, primitive


def _product(x, data, indices, indptr, shape, transposed):
    S = csr_array((data, indices, indptr), shape)
    return (S.T if transposed else S) @ x


primitive("sparse_matmul", _product,
          lambda F, d, _z, _x, data, indices, indptr, shape, transposed:
          F.sparse_matmul(d, data, indices, indptr, shape, not transposed), complex=HOLOMORPHIC, fresh=True)
