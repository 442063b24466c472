"""Which operands are large, sparse or narrow enough for a kernel: for others numba is not loaded, and NumPy always computes."""

LOOKED_UP = 2048        # elements of x: a smaller dense product x @ y takes no longer than the look-up (kernels/onehot.py)
COLLECTED = 1024        # elements of x, for w += x.T @ d
SPARSE = 16             # one in so many elements of x may be a one
ADDED = 256             # elements of w, for w += x @ y, and of d, for b += its rows (kernels/blas.py)
SCATTERED = 256         # elements of rows that are added to those of a matrix (kernels/rows.py)
NARROW = 32             # elements of x, for its softmax (kernels/softmax.py)
CLASSES = 32            # columns of x at most, for the same
