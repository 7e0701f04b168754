"""Atomic writes: a file or folder is either complete or absent."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ripen.core.errors import DataError

# No space, over quota, over the limit on a file's size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` when the block ends.

    When the block raises, the temporary file is removed and `path` is unchanged.

    Raises
    ------
    DataError
        If the disk is full.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with _full_disk_reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            # Without fsync, a power cut after the rename may leave an empty file under the name.
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder at `path`, removed when the block raises.

    Raises
    ------
    DataError
        If the disk is full.
    """
    with _full_disk_reported(path):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        try:
            yield path
        except BaseException:  # Ctrl-C too: half a folder would pass for a complete one
            shutil.rmtree(path, ignore_errors=True)
            raise


@contextmanager
def _full_disk_reported(path: Path) -> Iterator[None]:
    """Turn the error of a full disk into a DataError of one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = os.strerror(error.errno)
        raise DataError(
            f"{path}: cannot be written: {reason}. Free some space, then run it again"
        ) from None
