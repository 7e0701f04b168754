"""A store that is locked, read-only or full: an error of one line, and the old content is kept."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from ripen.core.errors import StoreError
from ripen.core.stores import explained, make_whole
from ripen.learn.sweeps.store import open_storage
from ripen.settings import compose
from ripen.settings.schema import Run
from ripen.track.experiments import Client, training_seconds
from ripen.track.tracker import Tracker
from tests.ripen.track.test_tracker import DVC, PARAMS


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "code.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return a function that mounts something on a new folder and returns the folder."""
    folders: list[Path] = []

    def mount(*options: str | Path) -> Path:
        folder = tmp_path / f"mounted-{len(folders)}"
        folder.mkdir()
        try:
            subprocess.run(["mount", *options, folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"mounting is not possible here: {error}")
        folders.append(folder)
        return folder

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", "--lazy", folder], check=True)


def run_with(uri: Path | str) -> Run:
    """Let `params.yaml` of the working folder name a SQLite file as the store."""
    values = yaml.safe_load(PARAMS) | {"tracking": {"uri": f"sqlite:///{uri}"}}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    return compose.load_run()


def train(*, values: int = 1) -> None:
    """Log a model of the stage `fit`."""
    with Tracker("avocado", "fit", "avocado.net") as tracker, tracker.model("net") as net:
        net.log_params({f"setting-{n}": "x" * 1000 for n in range(values)})
        net.log_metrics({"training_seconds": 2.0})


@pytest.mark.slow
def test_a_locked_store(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # SQLite waits one second instead of its default of five.
    run = run_with(f"{repository}/mlflow.db?timeout=1")
    holder = sqlite3.connect(repository / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for use in (train, lambda: training_seconds(run, "avocado")):
        with pytest.raises(StoreError, match=r"mlflow\.db.*: the store is locked") as caught:
            use()
        assert "\n" not in str(caught.value)
    holder.close()
    assert capfd.readouterr().err == ""
    train()
    assert training_seconds(run, "avocado") == {"net": 2.0}


@pytest.mark.slow
def test_a_read_only_store(repository: Path, mounted: Callable[..., Path]) -> None:
    own = repository / "own"
    own.mkdir()
    run_with(own / "mlflow.db")
    train()
    there = mounted("--bind", "-o", "ro", own)
    run = run_with(there / "mlflow.db")
    with pytest.raises(StoreError, match=r"mlflow\.db: the store is read-only"):
        train()
    assert training_seconds(run, "avocado") == {"net": 2.0}


@pytest.mark.slow
def test_a_full_store(
    repository: Path,
    mounted: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    there = mounted("-t", "tmpfs", "-o", "size=3m", "tmpfs")
    run = run_with(there / "mlflow.db")
    train()
    (repository / "code.py").write_text("changed")
    with pytest.raises(StoreError, match=r"mlflow\.db: there is no space left"):
        train(values=4000)
    (repository / "code.py").write_text("")
    assert training_seconds(run, "avocado") == {"net": 2.0}
    assert capfd.readouterr().err == ""


def test_a_read_only_folder(
    repository: Path,
    mounted: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(mounted("--bind", "-o", "ro", repository))
    with pytest.raises(StoreError, match=r"mlflow\.db: the store is read-only"):
        train()


@pytest.mark.parametrize(
    ("uri", "message", "expected"),
    [
        (
            "sqlite:////ann's/mlflow.db",
            "Detected out-of-date database schema (found version 1, but expected 2)",
            """mlflow db upgrade 'sqlite:////ann'"'"'s/mlflow.db'""",
        ),
        ("sqlite:///s.db", "compatible with the table schema", "--storage sqlite:///s.db"),
        ("./mlruns", "database or disk is full", "./mlruns: there is no space left"),
        ("postgresql://db/ripen", "anything\nelse", "postgresql://db/ripen: anything else"),
        ("http://ann:pw@h", "no http://ann:pw@h/?token=abc", "http://***@h: no http://***@h/?tok"),
    ],
)
def test_an_error_becomes_one_line_of_advice(uri: str, message: str, expected: str) -> None:
    assert expected in (line := explained(uri, RuntimeError(message)))
    assert "\n" not in line
    assert "pw" not in line


@pytest.mark.parametrize("make", [Client, lambda uri: open_storage(uri, 5, 60)])
def test_a_store_whose_making_stops_is_made_again(
    repository: Path, make: Callable[[str], object]
) -> None:
    """What is left under the final name is whole, or nothing."""

    class Killed(BaseException):
        pass

    def killed(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half")
        raise Killed

    file = repository / "store.db"
    with pytest.raises(Killed):
        make_whole(f"sqlite:///{file}", killed)
    assert not file.exists()
    (repository / "store.db.making").write_bytes(b"half")
    make_whole(f"sqlite:///{file}", make)
    with sqlite3.connect(file) as store:
        assert store.execute("select count(*) from sqlite_master").fetchone()[0] > 10
    assert not [path for path in repository.iterdir() if ".making" in path.name]


def test_a_half_made_store_is_one_line_with_the_remedy(repository: Path) -> None:
    with sqlite3.connect(repository / "mlflow.db") as store:
        store.execute("create table evaluation_datasets (x)")
    message = r"mlflow\.db: the store is half-made: .* Move it away, and a new one is made"
    with pytest.raises(StoreError, match=message):
        Tracker("avocado", "fit").__enter__()
