"""What goes wrong with a store of runs or of trials, in one line that says what to do next."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ripen.core.errors import StoreError

ERRORS = (SQLAlchemyError, sqlite3.Error, Timeout, OSError)
_LOCKED = "the store is locked by another {}. {}, and run again: what has ended is kept"
_READ_ONLY = "the store is read-only. Make it writable, or choose another (study.uri, tracking.uri)"
_FULL = "there is no room left. Finished trials are kept: make room, and run again"
_MEANINGS = (
    ("database is locked", _LOCKED.format("program", "Close it")),
    ("could not be acquired", _LOCKED.format("sweep or stage", "Wait for it")),
    ("readonly database", _READ_ONLY),
    ("read-only file system", _READ_ONLY),
    ("permission denied", "the store may not be written. Make it writable, or choose another"),
    ("unable to open database", "the store cannot be opened. Is its folder there, and writable?"),
    ("is full", _FULL),
    ("no space left", _FULL),
    # SQLite says so when not even its log has room.
    ("disk i/o error", "the disk gives errors, or has no room left. See to it, and run again"),
    (
        "out-of-date database schema",
        "the store was made by another version of MLflow. Copy it, then run: "
        "mlflow db upgrade {address}",
    ),
    (
        "table schema",
        "the store was made by another version of Optuna. Copy it, then run: "
        "optuna storage upgrade --storage {address}",
    ),
    ("not a database", "the file is no SQLite database. Move it away, or choose another"),
    ("malformed", "the database is damaged. Move it away; DVC's outputs are not touched"),
    ("connection refused", "nobody answers there. Is the server running, and the address right?"),
    ("could not translate host", "there is no such host"),
    ("password", "the server wants a user and a password: PGUSER and PGPASSWORD, or ~/.pgpass"),
)


@contextmanager
def speaking(uri: str, *others: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong with the store, `others` among it, into one line.

    Raises
    ------
    StoreError
        Saying what is wrong with which store, and what to do.
    """
    expected: tuple[type[Exception], ...] = (*ERRORS, *others)
    try:
        yield
    except expected as error:
        raise StoreError(explained(uri, error)) from None


def explained(uri: str, error: BaseException) -> str:
    """Return what is wrong with a store, in one line."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    said = " ".join(texts).lower()
    for sign, meaning in _MEANINGS:
        if sign in said:
            return f"{_shown(uri)}: {meaning.format(address=shlex.quote(uri))}"
    return f"{_shown(uri)}: {' '.join(texts[-1].split())}"


@contextmanager
def file_lock(uri: str, file: Path, timeout: float) -> Iterator[None]:
    """Hold a lock on a store's file; it is free again when its holder is gone, however that ended.

    Raises
    ------
    StoreError
        If it cannot be had in so many seconds.
    """
    with speaking(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=timeout)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _shown(uri: str) -> str:
    try:
        return make_url(uri).render_as_string(hide_password=True)
    except ArgumentError:  # a folder's path
        return uri
