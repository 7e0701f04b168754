"""Pin the numeric kernels, so that results are the same bytes on any x86-64 processor with AVX2.

numpy, MKL, OpenBLAS, oneDNN and torch choose kernels by processor, and kernels differ in the last
bits. The variables below restrict each library to kernels that all such processors have.
`docs/explanations/portability.md` has the experiments behind them, and the differences that remain.
"""

import os
import sys
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


def hold(reproducibility: Literal["portable", "fast"], threads: int) -> None:
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
    wanted = dict.fromkeys(THREADS, str(threads))
    if reproducibility == "portable":
        wanted |= PORTABLE
    late = [name for name in ("numpy", "torch") if name in sys.modules]
    if late and any(os.environ.get(key) != value for key, value in wanted.items()):
        raise RuntimeError(
            f"hold() was called too late: {late[0]} is already imported. Call it before the "
            "import, or set the same variables before Python starts"
        )
    os.environ.update(wanted)
    if reproducibility == "portable":
        os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # numpy refuses to import with both set
