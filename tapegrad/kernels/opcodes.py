"""The instructions of compiled programs: see kernels/program.py, which writes them, and kernels/jit/generated.py, which runs them."""

CALL, PRODUCT_32, PRODUCT_64, COPY, STOP = range(5)
