"""One thread everywhere, set before NumPy is loaded; peers are skipped where they are not installed."""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
