"""Errors of MLflow's and Optuna's stores, as one line that names the next step."""

import secrets
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from ripen.core.addresses import hidden
from ripen.core.errors import StoreError
from ripen.core.locks import hold

ERRORS = (SQLAlchemyError, sqlite3.Error, OSError)
_LOCKED = "the store is locked by another {}. {}, and run again: finished work is kept"
_READ_ONLY = "the store is read-only. Make it writable, or choose another (study.uri, tracking.uri)"
_FULL = "there is no space left. Finished trials are kept: free some space, and run again"
_HALF_MADE = (
    "the store is half-made: a kill or a full disk interrupted its making. Move it away, and a new "
    "one is made; DVC's outputs are not affected"
)
_MEANINGS = (
    ("database is locked", _LOCKED.format("program", "Close it")),
    ("readonly database", _READ_ONLY),
    ("read-only file system", _READ_ONLY),
    ("permission denied", "the store is not writable. Make it writable, or choose another"),
    ("unable to open database", "the store cannot be opened. Does its folder exist, writable?"),
    ("is full", _FULL),
    ("no space left", _FULL),
    # SQLite's message when even its journal does not fit on the disk.
    ("disk i/o error", "the disk is full or failing. Check it, and run again"),
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
    # A store whose making was interrupted, by another program or before `make_whole` existed.
    ("operationalerror) table", _HALF_MADE),
    ("operationalerror) no such table", _HALF_MADE),
    ("not a database", "the file is not an SQLite database. Move it away, or choose another"),
    ("malformed", "the database is damaged. Move it away; DVC's outputs are not affected"),
    ("connection refused", "connection refused. Is the server running, and the address right?"),
    ("could not translate host", "host not found"),
    ("password", "the server needs a user and a password: PGUSER and PGPASSWORD, or ~/.pgpass"),
)


@contextmanager
def speaking(uri: str, *others: type[Exception]) -> Iterator[None]:
    """Turn the errors of a store, and exceptions of the types `others`, into StoreErrors.

    Raises
    ------
    StoreError
        Naming the store, the problem and the next step.
    """
    expected: tuple[type[Exception], ...] = (*ERRORS, *others)
    try:
        yield
    except expected as error:
        raise StoreError(explained(uri, error)) from None


def explained(uri: str, error: BaseException) -> str:
    """Return the problem with a store in one line, secrets hidden."""
    texts = []
    # MLflow and Optuna wrap the database's own error several times: search the whole chain.
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = " ".join(texts).lower()
    for sign, meaning in _MEANINGS:
        if sign in text:
            return f"{hidden(uri)}: {meaning.format(address=shlex.quote(hidden(uri)))}"
    return f"{hidden(uri)}: {hidden(' '.join(texts[-1].split()))}"


@contextmanager
def file_lock(uri: str, file: Path, timeout: float) -> Iterator[None]:
    """Hold a lock on a store's file. The system releases it when the process dies, even killed.

    Raises
    ------
    StoreError
        If the lock is not free within `timeout` seconds.
    """
    busy = _LOCKED.format("sweep or stage", "Wait for it")
    error = StoreError(f"{hidden(uri)}: {busy}")
    with ExitStack() as stack:
        with speaking(uri):
            stack.enter_context(hold(file, error, timeout))
        yield


def make_whole(uri: str, make: Callable[[str], object]) -> None:
    """Make a store in an SQLite file that does not exist: whole, or not at all.

    A store has dozens of tables. One that is killed while it makes them could not be opened again.
    The caller holds the store's lock.

    Parameters
    ----------
    uri : str
        Nothing is done for other databases, and where the file exists.
    make : callable
        Makes the store at an address, and closes it.
    """
    if not uri.startswith("sqlite"):
        return
    from sqlalchemy.engine import make_url  # most stages open no store

    database = make_url(uri).database or ""
    if database in ("", ":memory:") or database.startswith("file:") or Path(database).exists():
        return
    file = Path(database)
    start = f"{file.name}.making"
    # A name of its own each time: MLflow keeps what it has opened under a name.
    making = file.with_name(f"{start}.{secrets.token_hex(4)}")
    with speaking(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.iterdir():  # by a killed process
            if left.name.startswith(start):
                left.unlink()
        try:
            make(f"sqlite:///{making}")
            making.replace(file)
        finally:  # SQLite's journal too
            for left in file.parent.glob(f"{making.name}*"):
                left.unlink()
