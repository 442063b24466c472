"""Kernels compiled by numba: elementwise functions, and fast versions of products, sums, softmax and optimiser steps."""
