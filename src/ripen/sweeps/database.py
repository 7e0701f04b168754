"""The relational store itself: its address, its lock, and its errors in one line."""

import hashlib
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ripen.errors import StoreError, UsageError
from ripen.tracking import repository_root

SUPPORTED = ("sqlite", "postgresql")
ERRORS = (
    SQLAlchemyError,
    sqlite3.Error,
    optuna.exceptions.StorageInternalError,
    Timeout,
    OSError,
)


def address(uri: str | None) -> str:
    """Return the address of the store as SQLAlchemy takes it.

    Raises
    ------
    UsageError
        If it is of a database that is not supported, or whose driver is not installed.
    """
    if uri is None:
        return f"sqlite:///{repository_root() / '.ripen' / 'studies.db'}"
    scheme, _, rest = uri.partition("://")
    kind = scheme.partition("+")[0]
    if kind not in SUPPORTED or not rest:
        raise UsageError(
            f"study.uri is '{uri}'. Allowed: sqlite:///FILE, postgresql://HOST/DATABASE"
        )
    if kind == "postgresql":
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise UsageError(
                "study.uri: PostgreSQL's driver is missing. Run: pip install 'ripen[postgresql]'"
            ) from None
        return f"postgresql+psycopg://{rest}"
    return uri


def open_storage(uri: str, timeout: int, heartbeat: int) -> RDBStorage:
    """Open the store, its tables made where there are none; hold its lock meanwhile."""
    sqlite = uri.startswith("sqlite")
    connect = {"timeout": timeout} if sqlite else {"connect_timeout": max(timeout, 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(
            uri,
            engine_kwargs={"connect_args": connect},
            heartbeat_interval=heartbeat,
            grace_period=3 * heartbeat,
        )
    if sqlite:
        sqlalchemy.event.listen(storage.engine, "connect", _quick)
        storage.engine.dispose()
    return storage


@contextmanager
def locked(uri: str, timeout: int) -> Iterator[None]:
    """Hold a lock on the store; it is free again when its holder is gone, however that ended.

    Raises
    ------
    StoreError
        If it cannot be had.
    """
    if uri.startswith("sqlite"):
        with speaking(uri):
            file = Path(str(make_url(uri).database).removeprefix("file:"))
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(file.with_name(f"{file.name}.lock"), timeout=timeout)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
        return
    key = int.from_bytes(hashlib.sha256(b"ripen").digest()[:7])
    with speaking(uri):
        engine = sqlalchemy.create_engine(
            uri, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
        )
        connection = engine.connect()
        connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": key})
    try:
        yield
    finally:
        connection.close()


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
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        raise StoreError(explained(uri, error)) from None


def explained(uri: str, error: BaseException) -> str:
    """Return what is wrong with a store, in one line."""
    where = make_url(uri).render_as_string(hide_password=True)
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    said = " ".join(texts).lower()
    for sign, meaning in _MEANINGS:
        if sign in said:
            return f"{where}: {meaning}"
    return f"{where}: {' '.join(texts[-1].split())}"


_MEANINGS = (
    ("database is locked", "the store is locked by another program. Close it, and run again"),
    ("could not be acquired", "the store is locked by another sweep. Wait for it, and run again"),
    ("readonly database", "the store is read-only. Make it writable, or choose another"),
    ("read-only file system", "the store is read-only. Make it writable, or choose another"),
    ("permission denied", "the store may not be written. Make it writable, or choose another"),
    ("unable to open database", "the store cannot be opened. Is its folder there, and writable?"),
    ("is full", "there is no room left. Finished trials are kept: make room, and run again"),
    ("no space left", "there is no room left. Finished trials are kept: make room, and run again"),
    (
        "out-of-date database schema",
        "the store was made by another version of MLflow. Copy it, then run: mlflow db upgrade URL",
    ),
    (
        "table schema",
        "the store was made by another version of Optuna. Copy it, then run: "
        "optuna storage upgrade --storage URL",
    ),
    ("not a database", "the file is no SQLite database. Move it away, or choose another"),
    ("malformed", "the database is damaged. Move it away; DVC's outputs are not touched"),
    ("connection refused", "nobody answers there. Is the server running, and the address right?"),
    ("could not translate host", "there is no such host"),
    ("password", "the server wants a user and a password: PGUSER and PGPASSWORD, or ~/.pgpass"),
)


def _quick(connection: Any, _: object) -> None:
    """Let SQLite write its log and not each page: safe from kills, and ten times as quick."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
