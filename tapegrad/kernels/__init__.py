"""Kernels compiled by numba: elementwise functions, and fast paths of products, sums, softmax and optimisers."""
