"""The instructions of compiled programs: see kernels/program.py. kernels/jit/interpreter.py runs them."""

CALL, PRODUCT_32, PRODUCT_64, COPY, STOP, BATCH_32, BATCH_64 = range(7)
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112            # values from cblas.h
PARAMETERS = 8192       # words for the addresses of a program's arrays and the parameters of a kernel
