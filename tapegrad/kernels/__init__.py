"""Kernels: elementwise functions, and fast versions of products, sums, softmax and optimiser steps, compiled by numba; programs
of kernels from text, compiled by llvmlite."""
