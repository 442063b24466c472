"""What is compiled by numba. Imported when a kernel is first asked for (kernels/compile.py)."""
