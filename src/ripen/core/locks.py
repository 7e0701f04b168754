"""Locks on files. The system frees one when its process ends, even killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ripen.core.errors import RipenError


@contextmanager
def hold(file: Path, busy: RipenError, timeout: float = 0) -> Iterator[None]:
    """Hold a lock on a file, which is created if needed, and stays.

    On a file system without locks none is held.

    Parameters
    ----------
    file : Path
    busy : RipenError
        What is raised where another process holds it.
    timeout : float
        Seconds to wait for it.

    Raises
    ------
    RipenError
        `busy`.
    OSError
        If the file cannot be made.
    """
    lock = FileLock(file, timeout=timeout)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise busy from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()
