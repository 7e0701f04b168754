"""The relational store itself: its address, its lock, and its errors in one line."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url

from ripen.core import stores
from ripen.core.errors import StoreError, UsageError
from ripen.track.experiments import repository_root

SUPPORTED = ("sqlite", "postgresql")


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
        try:
            storage = RDBStorage(
                uri,
                engine_kwargs={"connect_args": connect},
                heartbeat_interval=heartbeat,
                grace_period=3 * heartbeat,
            )
        except RuntimeError as error:  # of its tables' version
            raise StoreError(stores.explained(uri, error)) from None
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
        file = Path(str(make_url(uri).database).removeprefix("file:"))
        with stores.file_lock(uri, file.with_name(f"{file.name}.lock"), timeout):
            yield
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


def speaking(uri: str) -> AbstractContextManager[None]:
    """Turn what goes wrong with the store into one line, as `ripen.core.stores.speaking` does."""
    return stores.speaking(uri, optuna.exceptions.StorageInternalError)


def _quick(connection: Any, _: object) -> None:
    """Let SQLite write its log and not each page: safe from kills, and ten times as quick."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
