"""Databases of records, such as Caffe's of Datum messages: LMDB, read in the order of its keys.

py-lmdb writes them. They are read page by page (`lmdb_pages`), so that a script may have the same
database open. Up to `CHECKED` bytes every page is checked first, so that a damaged one is refused
before training begins.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import lmdb
from lmdb.verify import VerifyError, verify

from caffe.errors import FormatError
from caffe.formats import reason
from caffe.lmdb_pages import Damaged, Pages
from caffe.proto.caffe_pb2 import DataParameter

LEVELDB, LMDB = DataParameter.LEVELDB, DataParameter.LMDB
CHECKED = 2 << 30
_PREFIX, _SUFFIX = ".lmdb-", ".tmp"  # of the folder of a database that is not whole yet
_COMMIT = 1000  # records in one transaction, as Caffe's tools
_VERIFIED: set[tuple[int, ...]] = set()  # files that need no second check in the next epoch


def backend_of(name: str) -> int:
    """Return the backend of this name, as Caffe's tools take it.

    Raises
    ------
    FormatError
        If it is neither ``lmdb`` nor ``leveldb``.
    """
    if name.lower() not in ("lmdb", "leveldb"):
        raise FormatError(f"unknown database backend '{name}'. Allowed: lmdb")
    return LMDB if name.lower() == "lmdb" else LEVELDB


def records(source: str | os.PathLike[str], backend: int = LMDB) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a database, once through.

    The database must not be written meanwhile: it is read without locks, so that the folder stays
    untouched.

    Raises
    ------
    FormatError
        At the first record, if the database is missing, truncated, corrupt or empty.
    """
    empty = True
    try:
        for pair in _pages(Path(os.fsdecode(source)), backend):
            empty = False
            yield pair
    except Damaged as error:
        raise FormatError(f"{source}: the LMDB is truncated or corrupt: {error}") from None
    if empty:
        raise FormatError(f"{source}: the database holds no record. Needed: at least 1")


def _pages(folder: Path, backend: int) -> Pages:
    if backend == LEVELDB:
        raise _no_leveldb(folder)
    file = folder / "data.mdb"
    try:
        status = file.stat()
        state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if state not in _VERIFIED and 0 < status.st_size <= CHECKED:
            problems: list[str] = verify(str(folder))  # type: ignore[no-untyped-call]
            if problems:
                raise Damaged(problems[0])
            _VERIFIED.add(state)
        return Pages(file)
    except OSError as error:
        raise FormatError(f"{folder}: cannot be read as LMDB: {error.strerror}") from None
    except (VerifyError, ValueError) as error:
        raise FormatError(f"{folder}: cannot be opened as LMDB: {error}") from None


def _no_leveldb(folder: Path) -> FormatError:
    if (folder / "data.mdb").exists():
        return FormatError(f"{folder}: is an LMDB; the default is LEVELDB: set backend: LMDB")
    return FormatError(
        f"{folder}: LevelDB is not supported, as no maintained package reads it on every supported "
        "Python. Allowed: LMDB; convert_imageset -backend lmdb makes one from the images"
    )


class Writer:
    """Writes a new LMDB, completely or not at all; use it in a `with` statement.

    Parameters
    ----------
    target : path
        Folder to create; it must not exist.
    backend : int

    Raises
    ------
    FormatError
        If the folder exists or cannot be created, or the backend is LevelDB.
    """

    def __init__(self, target: str | os.PathLike[str], backend: int = LMDB) -> None:
        self._folder = folder = Path(target)
        self._made: Path | None = None  # its name as long as it is not whole
        self._held = -1  # open while its lock is held
        if backend == LEVELDB:
            raise _no_leveldb(folder)
        try:
            folder.mkdir(0o744)  # fails now, not after hours, if the name is taken
            folder.rmdir()
            _remove_abandoned(folder.parent)
            self._made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_PREFIX, suffix=_SUFFIX))
            self._made.chmod(0o755)
            self._held = os.open(self._made, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._held, fcntl.LOCK_EX)  # until this process ends, however it does
            # Without LMDB's file of locks: no other process knows the folder, and on a full disk
            # mapping that file would kill this one.
            self._environment = lmdb.open(str(self._made), map_size=1 << 24, lock=False)
        except (OSError, lmdb.Error) as error:
            self._remove()
            self._release()
            raise FormatError(
                f"{target}: a new database cannot be created there: {reason(error)}"
            ) from None
        self.count = 0
        self._pending: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        """Add a record; it replaces one with the same key."""
        self._pending.append((key, value))
        self.count += 1
        if len(self._pending) == _COMMIT:
            self.commit()

    def commit(self) -> None:
        """Write the records so far."""
        while self._pending:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.Error as error:
                raise FormatError(f"{self._folder}: cannot be written: {error}") from None
            else:
                self._pending.clear()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._finish(kind is None)
        finally:
            self._release()  # after the renaming: without its lock the folder counts as abandoned

    def _finish(self, good: bool) -> None:
        """Give the folder its name if all went well, else remove it."""
        try:
            try:
                if good:
                    self.commit()
            finally:
                self._environment.close()
            if good and self._made is not None:
                self._made.rename(self._folder)
        except OSError as error:
            raise FormatError(f"{self._folder}: cannot be written: {error.strerror}") from None
        finally:
            self._remove()

    def _remove(self) -> None:
        """Remove the folder, unless it has its name."""
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)

    def _release(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def _remove_abandoned(parent: Path) -> None:
    """Remove unfinished databases whose writers were killed: their locks are free."""
    for made in parent.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):  # another user's
            held = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # An empty one may be a writer's that has not locked it yet.
                if os.listdir(made) == ["data.mdb"]:
                    shutil.rmtree(made)
            finally:
                os.close(held)
