"""Where the memory of large arrays comes from.

Every pass of a net asks for the same arrays again. The C library gives back to the system each
array of this size when it is freed, and the next one comes zeroed page by page: a third of
SqueezeNet's time. Told to, it keeps what the largest pass needed, as Caffe does.
"""

import ctypes
from functools import cache

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # glibc's malloc.h


@cache
def keep_memory() -> None:
    """Let freed memory stay with this process, where the C library is glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none of Unix
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
