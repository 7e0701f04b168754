"""Where the memory of large arrays comes from.

Every pass of a net allocates the same arrays again. By default glibc returns arrays of this size to
the system when they are freed, and each new one is zeroed page by page: a third of SqueezeNet's
time. With the settings below it keeps what the largest pass needed, as Caffe does.
"""

import ctypes
from functools import cache

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # glibc's malloc.h


@cache
def keep_memory() -> None:
    """Keep freed memory in this process, if the C library is glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
