"""The product of a sparse matrix, which is a constant, with a vector or a matrix. See functions/sparse.py."""

from tapegrad.primitives.registry import HOLOMORPHIC, primitive

primitive("sparse_matmul", lambda x, S: S.matrix @ x, lambda F, d, _z, _x, S: F.sparse_matmul(d, S.T), complex=HOLOMORPHIC,
          fresh=True)
