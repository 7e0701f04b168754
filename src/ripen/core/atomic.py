"""Atomic writes: a file or folder is either complete or absent."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ripen.core.errors import DataError, shown

# No space, over quota, over the limit on a file's size.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file in the same folder, which replaces `path` when the block ends.

    Its name is random, so that another user cannot put a link there in advance, and two processes
    that write the same file have separate temporary files. When the block raises, the temporary
    file is removed and `path` is unchanged.

    Raises
    ------
    DataError
        If the disk is full, or the folder cannot be written to.
    """
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            yield temporary
            # Without fsync, a power cut after the rename may leave an empty file under the name.
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):  # the original error says more
                temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def check_free(folder: Path, needed: int) -> None:
    """Refuse to write so many bytes before hours of writing end in a full disk.

    Raises
    ------
    OSError
        One of `FULL`, as writing would.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        needed, free = -(-needed // 10**6), free // 10**6
        raise OSError(errno.ENOSPC, f"{needed} MB are needed and {free} MB are free")


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder at `path`, removed when the block raises.

    Raises
    ------
    DataError
        If the disk is full, or the folder cannot be made.
    """
    with _reported(path):
        if path.is_symlink():
            raise OSError(errno.EEXIST, "it is a symbolic link", str(path))
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        try:
            yield path
        except BaseException:  # Ctrl-C too: half a folder would pass for a complete one
            shutil.rmtree(path, ignore_errors=True)
            raise


def _beside(path: Path) -> Path:
    """Create an empty file beside `path`, with the permissions of any other new file."""
    # The name of the target may be as long as a name can be: only its start is in the other.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    os.fchmod(handle, 0o666 & ~_UMASK)
    os.close(handle)
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # at import, since reading it changes it for a moment


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn the errors of writing `path` into a DataError of one line."""
    try:
        yield
    except OSError as error:
        # The block may read other files: their errors are its own.
        if error.errno not in FULL and not _concerns(error, path):
            raise
        reason = error.strerror or str(error)
        raise DataError(
            f"{shown(path)}: cannot be written: {reason}{_remedy(error, path)}"
        ) from None
    except ValueError as error:
        if "\0" not in str(path):
            raise
        raise DataError(f"{shown(path)}: cannot be written: {error}") from None


def _concerns(error: OSError, path: Path) -> bool:
    """Return whether an error is about `path`, its temporary file, or a folder above it."""
    if not isinstance(error.filename, str | os.PathLike):
        return False
    where, wanted = Path(os.path.abspath(error.filename)), Path(os.path.abspath(path))
    beside = where.parent == wanted.parent and where.suffix == ".tmp"
    return beside or where == wanted or where in wanted.parents or wanted in where.parents


def _remedy(error: OSError, path: Path) -> str:
    """Return what to do about an error, to follow its reason."""
    if error.errno in FULL:
        return ". Free some space, then run it again"
    if error.errno in _REFUSED:
        folder = next((each for each in path.parents if each.is_dir()), path.parent)
        return f". Make {shown(folder)} writable, or work in a copy of your own"
    if error.errno in _IN_THE_WAY:
        taken = [each for each in path.parents if each.exists() and not each.is_dir()]
        return f". Move {shown(taken[0] if taken else path)} away"
    return ""
