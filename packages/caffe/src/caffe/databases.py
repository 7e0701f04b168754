"""Databases of records, such as Caffe's of Datum messages: LMDB, read in the order of its keys.

LMDB forbids opening a file twice in one process, and Caffe's train and test nets often read the
same one, so readers share an open environment. LMDB trusts its files and would crash on a damaged
one, so they are checked first: every page up to `CHECKED` bytes, only the length beyond that.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from weakref import WeakValueDictionary

import lmdb
from lmdb.verify import VerifyError, verify

from caffe.errors import FormatError
from caffe.proto.caffe_pb2 import DataParameter

LEVELDB, LMDB = DataParameter.LEVELDB, DataParameter.LMDB
CHECKED = 2 << 30
_COMMIT = 1000  # records in one transaction, as Caffe's tools
_OPEN: WeakValueDictionary[tuple[int, int], lmdb.Environment] = WeakValueDictionary()


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
    environment = _environment(Path(source), backend)
    try:
        with environment.begin() as transaction:
            empty = True
            for key, value in transaction.cursor():
                empty = False
                yield key, value
    except lmdb.Error as error:
        raise FormatError(f"{source}: the database is corrupt: {error}") from None
    if empty:
        raise FormatError(f"{source}: the database holds no record. Needed: at least 1")


def _environment(folder: Path, backend: int) -> lmdb.Environment:
    if backend == LEVELDB:
        raise _no_leveldb(folder)
    file = folder / "data.mdb"
    try:
        status = file.stat()
    except OSError as error:
        raise FormatError(f"{folder}: cannot be read as LMDB: {error.strerror}") from None
    key = (status.st_dev, status.st_ino)
    known = _OPEN.get(key)
    if known is None:
        known = _OPEN[key] = _opened(folder, status.st_size)
    return known


def _opened(folder: Path, size: int) -> lmdb.Environment:
    try:
        problems: list[str] = verify(str(folder)) if size <= CHECKED else []  # type: ignore[no-untyped-call]
        if problems:
            raise FormatError(f"{folder}: the LMDB is truncated or corrupt: {problems[0]}")
        environment = lmdb.open(str(folder), readonly=True, lock=False)
    except (VerifyError, lmdb.Error) as error:
        raise FormatError(f"{folder}: cannot be opened as LMDB: {error}") from None
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < needed:
        raise FormatError(f"{folder}: the LMDB is truncated: {size} bytes of {needed}")
    return environment


def _no_leveldb(folder: Path) -> FormatError:
    if (folder / "data.mdb").exists():
        return FormatError(f"{folder}: is an LMDB; the default is LEVELDB: set backend: LMDB")
    return FormatError(
        f"{folder}: LevelDB is not supported, as no maintained package reads it on every supported "
        "Python. "
        "Allowed: LMDB; convert_imageset -backend lmdb makes one from the images"
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
        if backend == LEVELDB:
            raise _no_leveldb(folder)
        try:
            folder.mkdir(0o744)
            self._environment = lmdb.open(str(folder), map_size=1 << 24)
        except (OSError, lmdb.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise FormatError(
                f"{target}: a new database cannot be created there: {reason}"
            ) from None
        self.count = 0
        self._pending: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        """Add a record; it replaces one with the same key."""
        self._pending.append((key, value))
        self.count += 1
        if len(self._pending) == _COMMIT:
            self._commit()

    def _commit(self) -> None:
        while self._pending:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.Error as error:
                raise FormatError(f"the database cannot be written: {error}") from None
            else:
                self._pending.clear()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        whole = False
        try:
            if kind is None:
                self._commit()
                whole = True
        finally:
            self._environment.close()
            if not whole:
                shutil.rmtree(self._folder, ignore_errors=True)
