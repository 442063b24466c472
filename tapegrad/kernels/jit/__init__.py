"""Code compiled by numba. Imported when a kernel is first used (kernels/compile.py)."""
