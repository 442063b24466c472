"""Limits of size, sparsity and width for which kernels are used; otherwise NumPy computes, and numba is not loaded."""

LOOKED_UP = 2048        # elements of x for x @ y: a smaller dense product is as fast as the look-up (kernels/onehot.py)
COLLECTED = 1024        # elements of x, for w += x.T @ d
SPARSE = 16             # x may have rows * max(1, columns // SPARSE) ones
ADDED = 256             # elements of w for w += x @ y, and of d for b += d.sum(axis=0) (kernels/blas.py)
POINTS = 2048           # elements of d for x[i, j] += d in the flattened x (primitives/indexing.py)
SCATTERED = 256         # elements of rows for x[ids] += rows (kernels/rows.py)
NARROW = 32             # elements of x for softmax(x) and the like (kernels/softmax.py)
COLUMNS = 512           # elements of x for x.sum(-1) column by column, where a row has a few (primitives/reductions.py)
BLOCKED = 32            # rows of a Cholesky factor for its derivative by halves (primitives/decompositions.py)
TRIANGULAR = 64         # rows of x for np.linalg.solve(x, y) by substitution (kernels/triangular.py)
NORMALISED = 128        # elements of x for layer_norm(x), group_norm(x) and batch_norm(x) (kernels/normalisation.py)
LINEAR = 1024           # elements of x for x @ W.T + b (kernels/blas.py)
ATTENDED = 1024         # elements of x for attention (kernels/attention.py)
CONVOLVED = 256         # elements of x, or of d, for a convolution (kernels/convolution.py)
POOLED = 256            # elements of x for pooling (kernels/pooling.py)
