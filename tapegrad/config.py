"""The configuration: versions, the BLAS of matrix products, threads and kernels; and settings that would be faster."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib.metadata import version
from typing import Any

import numpy as np

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
    if not threads and (os.cpu_count() or 1) > 1:
        advice.append("small products are faster on one thread: set OPENBLAS_NUM_THREADS=1 before Python starts")
    if kernels.compiler() is None:
        advice.append("numba is missing or disabled: activations run on NumPy, two to five times slower")
    return advice


def configuration() -> dict[str, Any]:
    """The configuration that show_config() prints, as a dict."""
    numba = kernels.compiler()
    core = blas_core()
    threads = {name: os.environ[name] for name in THREADS if name in os.environ}
    return {
        "tapegrad": version("tapegrad"),
        "python": f"{platform.python_version()} on {platform.system()}, {platform.machine()}",
        "numpy": np.__version__,
        "numba": numba.__version__ if numba else "not in use",
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"].get("name", "unknown"),
        "blas kernels": core or "unknown",
        "processors": os.cpu_count(),
        "threads": threads or "not limited",
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
