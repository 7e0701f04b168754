"""Process-wide settings that the first net makes: kept memory, and one thread after a fork.

Every pass of a net allocates the same arrays again. By default glibc returns arrays of this size to
the system when they are freed, and each new one is zeroed page by page: a third of SqueezeNet's
time. With the settings below it keeps what the largest pass needed, as Caffe does.

A forked child (`multiprocessing`, by default on Linux until Python 3.13) has none of its parent's
threads, but OpenMP would wait for them for ever. So a child computes with one thread.
"""

import ctypes
import os
from functools import cache

import torch

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # glibc's malloc.h


@cache
def prepare_process() -> None:
    """Keep freed memory, and let forked children compute with one thread."""
    os.register_at_fork(after_in_child=_one_thread)
    _keep_memory()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _keep_memory() -> None:
    """Keep freed memory in this process, if the C library is glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
