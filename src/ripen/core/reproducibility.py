"""Pin the numeric kernels, so that results are the same bytes on any x86-64 processor with AVX2.

numpy, MKL, OpenBLAS, oneDNN and torch choose kernels by processor, and kernels differ in the last
bits. The variables below restrict each library to kernels that all such processors have.
`docs/explanations/portability.md` has the experiments behind them, and the differences that remain.
"""

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    # Every feature that numpy 2.4 dispatches on. Its AVX2 argsort also crashes the tests' emulator.
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    # Layers fused at inference round differently from separate ones (`caffe.folded`).
    "CAFFE_FUSION": "0",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
HELD = (*PORTABLE, *THREADS)
"""The variables that `hold` sets."""
PRESSURE = Path("/proc/pressure/cpu")  # Linux since 4.20, unless it is turned off
BUSY = 20.0  # percent of the last ten seconds in which some process waited for a core
Reproducibility = Literal["portable", "fast"]


def hold(reproducibility: Reproducibility, threads: int) -> None:
    """Set the environment that numpy and torch read when they are imported.

    Parameters
    ----------
    reproducibility : "portable" or "fast"
        "portable" restricts the kernels to those of every processor with AVX2.
    threads : int
        Threads of every library. The number is part of the result: it decides how sums are split,
        and so how they round.

    Raises
    ------
    RuntimeError
        If numpy or torch is already imported, and has read different values.
    """
    wanted = _wanted(reproducibility, threads)
    late = [name for name in ("numpy", "torch") if name in sys.modules]
    if late and not held(reproducibility, threads):
        raise RuntimeError(
            f"hold() was called too late: {late[0]} is already imported. Call it before the "
            "import, or set the same variables before Python starts"
        )
    os.environ.update(wanted | waiting(_pressure(), threads, os.environ))
    if reproducibility == "portable":
        os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # numpy refuses to import with both set


def held(reproducibility: Reproducibility, threads: int) -> bool:
    """Return whether the environment is what `hold` makes of it."""
    wanted = _wanted(reproducibility, threads)
    return all(os.environ.get(key) == value for key, value in wanted.items())


def _wanted(reproducibility: Reproducibility, threads: int) -> dict[str, str]:
    portable = PORTABLE if reproducibility == "portable" else {}
    return dict.fromkeys(THREADS, str(threads)) | portable


def waiting(pressure: str, threads: int, given: Mapping[str, str]) -> dict[str, str]:
    """Return how OpenMP's threads wait for each other: no result depends on it.

    They spin for milliseconds, which is the fastest on a free machine. On a busy one they spin away
    the time of the very thread that they wait for, and with it nearly all of their own.

    Parameters
    ----------
    pressure : str
        Linux's account of processes that waited for a core; "" if there is none.
    threads : int
    given : mapping of str to str
        The environment, which a user may have set.
    """
    found = re.search(r"^some avg10=([\d.]+)", pressure)
    free = found is None or float(found[1]) < BUSY
    if free or threads == 1 or {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(given):
        return {}
    return {"GOMP_SPINCOUNT": "1000"}  # what libgomp itself chooses for more threads than cores


def derived_seed(seed: int, number: int) -> int:
    """Return a seed for one of many draws, which does not depend on how many there are."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4])


def _pressure() -> str:
    try:
        return PRESSURE.read_text(encoding="ascii")
    except OSError:
        return ""
