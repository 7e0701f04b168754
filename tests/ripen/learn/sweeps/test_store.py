"""Errors of a store, on real SQLite files."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from ripen.core.errors import StoreError, UsageError
from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.store import Store, address
from ripen.learn.sweeps.study import Study
from ripen.settings.schema import Launcher
from ripen.settings.schema import Study as StudySettings

MakeStudy = Callable[..., Study]
BASIC = Launcher(name="basic", workers=1, address=None)


def open_store(made: Study, uri: str) -> list[int]:
    """Open a store and claim a trial in it."""
    with Store(made, StudySettings(uri=uri, timeout=1)) as store:
        return [trial.index for trial in store.claim(1)]


@pytest.fixture
def made(make_study: MakeStudy) -> Study:
    return make_study("seed=1,2")


@pytest.fixture
def file(made: Study, repository: Path) -> Path:
    """Return a store in which a trial was claimed once."""
    file = repository / "studies.db"
    assert open_store(made, f"sqlite:///{file}") == [0]
    return file


def test_a_locked_store(made: Study, file: Path) -> None:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"studies\.db: the store is locked by another program"):
        open_store(made, f"sqlite:///{file}")
    holder.close()
    assert open_store(made, f"sqlite:///{file}") == [0]


def test_a_store_that_another_sweep_holds(made: Study, file: Path) -> None:
    with (
        Store(made, StudySettings(uri=f"sqlite:///{file}", timeout=1)) as store,
        store.lock(),
        pytest.raises(StoreError, match="locked by another sweep"),
    ):
        open_store(made, f"sqlite:///{file}")


def test_a_read_only_store(made: Study, file: Path) -> None:
    with pytest.raises(StoreError, match=r"studies\.db.*: the store is read-only") as caught:
        open_store(made, f"sqlite:///file:{file}?mode=ro&uri=true")
    assert "\n" not in str(caught.value)


def test_a_store_of_an_older_schema(made: Study, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE version_info SET schema_version = 11, library_version = '2.10'")
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    connection.close()
    with pytest.raises(StoreError, match="made by another version of Optuna.*storage upgrade"):
        open_store(made, f"sqlite:///{file}")


@contextmanager
def no_more_room() -> Iterator[None]:
    """Let no SQLite database grow: SQLITE_FULL is the answer to more."""

    def limited(connection: Any, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", limited)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", limited)


def test_a_full_store_keeps_what_it_has(make_study: MakeStudy, file: Path) -> None:
    more = make_study("seed=range(1,40)", name="more")
    settings = StudySettings(uri=f"sqlite:///{file}", timeout=1)
    with (
        no_more_room(),
        pytest.raises(StoreError, match=r"no space left\. Finished trials are kept"),
    ):
        run_study(Store(more, settings), BASIC, lambda store, finished: None)
    with Store(more, settings) as store:
        before = store.finished()
    after = run_study(Store(more, settings), BASIC, lambda store, finished: None)
    assert len(after) == 39
    assert [one for one in after if one.index in {f.index for f in before}] == before


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mysql://host/ripen", "Allowed: sqlite:///FILE, postgresql://HOST/DATABASE"),
        ("studies.db", "Allowed: sqlite:///FILE"),
    ],
)
def test_another_kind_of_store(uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        address(uri)


def test_the_drivers_name_is_filled_in() -> None:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    assert address("postgresql://db/ripen") == "postgresql+psycopg://db/ripen"


def test_a_file_that_is_no_database(made: Study, repository: Path) -> None:
    (repository / "studies.db").write_text("trial,loss\n" * 200)
    with pytest.raises(StoreError, match="the file is not an SQLite database"):
        open_store(made, f"sqlite:///{repository / 'studies.db'}")
