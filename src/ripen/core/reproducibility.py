"""Hold the numbers to one path: the same bytes on any x86-64 processor with AVX2.

numpy, MKL, OpenBLAS, oneDNN and torch choose their kernels by the processor, and kernels differ in
the last bits. The settings below keep each of them to what every such processor has;
`docs/portability.md` says how that was found, which result needs which, and what still differs.
"""

import os
import sys
from typing import Literal

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    # All that numpy 2.4 dispatches to; its argsort in AVX2 would also crash the tests' emulator.
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def hold(reproducibility: Literal["portable", "fast"], threads: int) -> None:
    """Set the environment that numpy and torch read when they are imported.

    Parameters
    ----------
    reproducibility : "portable" or "fast"
        Whether to hold the kernels to those of every processor with AVX2.
    threads : int
        Threads of every library: the number is part of the result, because sums of other parts
        round otherwise.

    Raises
    ------
    RuntimeError
        If numpy or torch is imported already, and the environment it has read was another one.
    """
    wanted = dict.fromkeys(THREADS, str(threads))
    if reproducibility == "portable":
        wanted |= PORTABLE
    late = [name for name in ("numpy", "torch") if name in sys.modules]
    if late and any(os.environ.get(key) != value for key, value in wanted.items()):
        raise RuntimeError(
            f"hold() comes too late: {late[0]} is imported already; call it before the import, or "
            "set the same variables before Python starts"
        )
    os.environ.update(wanted)
    if reproducibility == "portable":
        os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # numpy refuses to be told both
