"""The configuration: versions, the BLAS of matrix products, threads and kernels; and settings that would be faster."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

import numpy as np

from tapegrad import __version__
from tapegrad.kernels import blas
from tapegrad.kernels import compile as kernels

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def blas_core() -> str:
    """The processor family whose kernels OpenBLAS uses, such as "Haswell" (AVX2) or "SkylakeX" (AVX-512); "" if unknown."""
    library = blas.library()
    for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
        function = getattr(library, name, None) if library is not None else None
        if function is not None:
            function.restype = ctypes.c_char_p
            return bytes(function()).decode()
    return ""


def get_num_threads() -> int | None:
    """The number of threads of a matrix product; None with a BLAS that cannot be asked.

    >>> tg.get_num_threads() is None or tg.get_num_threads() > 0
    True
    """
    known = blas.threads()
    return max([pool["num_threads"] for pool in _pools()], default=None) if known is None else known


def set_num_threads(n: int) -> None:
    """Have matrix products use n threads, in this process, NumPy's own products included.

    tapegrad itself leaves the number as it is: by default the BLAS takes as many threads as there are processors. That pays for
    large products on a machine with nothing else to do. On a busy one, threads wait for each other: an LSTM step (128
    names, 256 hidden units) took 25 times as long with two threads as with one. Small products gain nothing in any case.

    Works with the OpenBLAS of NumPy's wheels, and with others if threadpoolctl is installed. Raises ValueError unless n is an
    integer of at least 1, RuntimeError for a BLAS that cannot be told.

    >>> before = tg.get_num_threads()
    >>> tg.set_num_threads(1)
    >>> tg.get_num_threads()
    1
    >>> tg.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"set_num_threads: n={n!r}; it is an integer of at least 1")
    if blas.set_threads(int(n)):
        return
    if not _pools():
        raise RuntimeError("set_num_threads: NumPy's BLAS is not the OpenBLAS of its wheels: install threadpoolctl, or set "
                           f"{' or '.join(THREADS)} before Python starts")
    from threadpoolctl import threadpool_limits
    threadpool_limits(int(n), "blas")


def _pools() -> list[dict[str, Any]]:
    """What threadpoolctl, if it is installed, says of each BLAS that is loaded."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]


def has_avx512() -> bool:
    """Whether the processor has AVX-512, as NumPy detects."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {})
    names = [*found.get("baseline", ()), *found.get("found", ())]
    return any(name.startswith("AVX512") or name == "X86_V4" for name in names)


def _advice(core: str, threads: dict[str, str]) -> list[str]:
    advice = []
    if core in ("Haswell", "Zen") and has_avx512():
        cause = "OPENBLAS_CORETYPE is set to " + os.environ["OPENBLAS_CORETYPE"] if "OPENBLAS_CORETYPE" in os.environ else (
            "OpenBLAS does not recognise this processor; set OPENBLAS_CORETYPE=SkylakeX")
        advice.append(f"matrix products use AVX2 although the processor has AVX-512, at about half the speed: {cause}")
    if not threads and (os.cpu_count() or 1) > 1 and get_num_threads() != 1:
        advice.append("small products, and all on a busy machine, are faster on one thread: tapegrad.set_num_threads(1), or "
                      "set OPENBLAS_NUM_THREADS=1 before Python starts")
    if kernels.compiler() is None:
        advice.append("numba is missing or disabled: activations run on NumPy, two to five times slower")
    return advice


def configuration() -> dict[str, Any]:
    """The configuration that show_config() prints, as a dict."""
    numba = kernels.compiler()
    core = blas_core()
    threads = {name: os.environ[name] for name in THREADS if name in os.environ}
    return {
        "tapegrad": __version__,
        "python": f"{platform.python_version()} on {platform.system()}, {platform.machine()}",
        "numpy": np.__version__,
        "numba": numba.__version__ if numba else "not in use",
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"].get("name", "unknown"),
        "blas kernels": core or "unknown",
        "processors": os.cpu_count(),
        "blas threads": get_num_threads() or "unknown",
        "threads": threads or "not limited by the environment",
        "faster": _advice(core, threads),
    }


def show_config() -> None:
    """Print versions, the BLAS and its kernels, threads, and settings that would be faster. Imports numba.

    >>> tg.show_config()
    tapegrad ...
    python ...
    numpy ...
    """
    for name, value in configuration().items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{name:14}{line}")
