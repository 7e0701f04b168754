"""Settings composed from conf/, and a temporary clone of the repository, for the tests of ripen."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path

import psutil
import pytest

from ripen.core.errors import EngineUnavailable
from ripen.nets.engines.engine import RealEngine
from ripen.settings import compose as config
from ripen.settings.schema import Competition, Run
from ripen.stages import prepare
from tests.ripen import params
from tests.ripen.full_disk import limited
from tests.ripen.images import cats_and_dogs, write_raw

ROOT = Path(__file__).parents[2]
SOURCES = os.pathsep.join(["src", "packages/caffe/src"])  # of a clone, in its folder


@pytest.fixture(scope="session")
def make_competition() -> Callable[..., Competition]:
    """Return a function from a competition's name and Hydra overrides to its typed settings."""

    @cache
    def make(name: str, *overrides: str) -> Competition:
        from ripen.learn.complete import complete, pool

        composed = config.compose((f"competitions=[{name}]", *overrides), ROOT / "conf")
        values, _ = pool(name, composed.competitions[name], composed.named[name])
        return complete(name, values, "test")

    return make


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that leaves the test in a folder with `params.yaml` of Hydra overrides."""

    def make(*overrides: str, conf: Path = ROOT / "conf") -> Path:
        monkeypatch.chdir(tmp_path)
        for name in ("dvc.yaml", "models", "src", "packages", "constraints.txt"):
            if not Path(name).exists():
                Path(name).symlink_to(ROOT / name)
        params.write(*overrides, conf=conf)
        return tmp_path

    return make


@pytest.fixture
def trained_avocado(composed: Callable[..., Path]) -> Competition:
    """Leave the test in a folder in which a small net of avocado is trained, with its history."""
    from ripen.competition import index as indexes
    from ripen.core.layout import Layout
    from ripen.learn.convergence import write_training
    from ripen.learn.estimator import Rows, Work, estimator, ignore
    from ripen.learn.inputs import opened
    from ripen.nets.engines.engine import chosen
    from ripen.stages import fetch, prepare

    composed(
        "competitions=[avocado]", "source.generate={n_train: 300, n_test: 20, n_more: 0}",
        "validation={split: holdout, size: 0.34}", "net.hidden_layers=[3]", "solver.max_iter=100",
        "train.check_interval=10", "seed=7",
    )  # fmt: skip
    competition, layout = config.load_competition("avocado"), Layout("avocado")
    fetch.run("avocado")
    prepare.run("avocado")
    index = indexes.read(layout, competition)
    settings = estimator(competition.models["net"], "test")
    rows, folds = index.learnable(), index.folds[index.learnable()]
    folder = layout.model("net")
    folder.mkdir(parents=True)
    with opened(["table"], competition, layout, index) as table, chosen("torch") as engine:
        train, held = (
            Rows(table.take(some), index.targets[some])
            for some in (rows[folds < 0], rows[folds == 0])
        )
        work = Work(
            "avocado", index.task, 2, competition.seed, 1, lambda: engine, folder, table.encoder,
            competition, ignore, history=True,
        )  # fmt: skip
        training = settings.fit(train, held, work).training
    assert training is not None
    write_training(folder, training)
    return competition


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Return a function from Hydra overrides to the settings of a run."""

    def make(*overrides: str) -> Run:
        return config.run_of(config.compose(overrides, ROOT / "conf").run)

    return make


@pytest.fixture
def write_params() -> Callable[..., None]:
    """Return a function from Hydra overrides to `params.yaml` in the working folder."""

    def write(*overrides: str) -> None:
        params.write(*overrides)

    return write


@pytest.fixture
def cats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: Callable[..., None]
) -> Callable[..., Competition]:
    """Return a function that leaves the test in a folder in which `cats_vs_dogs` is prepared.

    It takes the number of images of each class and of test images (by default 6 and 4, of 48 by 36
    pixels, cats redder than dogs) and Hydra overrides, and returns the settings, with two folds.
    """

    def make(*overrides: str, each: int = 6, tests: int = 4) -> Competition:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "models").symlink_to(ROOT / "models")
        write_params("competitions=[cats_vs_dogs]", "validation.folds=2", *overrides)
        write_raw(Path("data/cats_vs_dogs/raw"), cats_and_dogs(each, tests))
        prepare.run("cats_vs_dogs")
        return config.load_competition("cats_vs_dogs")

    return make


@pytest.fixture(scope="session")
def real() -> Iterator[RealEngine]:
    """Real Caffe as an engine; the test is skipped where it is not available."""
    engine = RealEngine()
    try:
        engine.__enter__()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    yield engine
    engine.__exit__(None, None, None)


class Clone:
    """A clone of the repository's last commit, and commands run in it as a user would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(path)], check=True)

    def environment(self) -> dict[str, str]:
        """Return the environment of an activated virtual environment, nothing held."""
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        here = Path(sys.executable).parent
        kept |= {"PATH": f"{here}{os.pathsep}{kept['PATH']}", "PYTHONPATH": SOURCES}
        return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "COLUMNS": "200"}

    def run(self, *command: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; `code` is the exit code that it must end with, None for any."""
        done = subprocess.run(
            command, cwd=self.path, env=self.environment(), capture_output=True, text=True
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a started command with all that it started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def read(self, path: str) -> str:
        return (self.path / path).read_text(encoding="utf-8")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone in which nothing has run."""
    return Clone(tmp_path / "ripen")


@pytest.fixture
def sharing(clone: Clone, reproduced: Clone) -> Clone:
    """A fresh clone with the cache of one in which all has run: what is unchanged is taken."""
    cache = str(reproduced.path / ".dvc" / "cache")
    clone.run("dvc", "config", "--local", "cache.dir", cache)
    return clone


KILLED = ("fetch", "prepare", "sweep", "fit", "evaluate", "predict", "report")


def wait_for_stage(stages: Collection[str], dvc: subprocess.Popen[bytes]) -> str:
    """Wait until one of some stages has run for long enough to have begun its work; return it."""
    while dvc.poll() is None:
        for child in psutil.Process(dvc.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words = child.cmdline()
                running = words[1:3] == ["-m", "ripen.stages"] and words[3] in stages
                if running and time.time() - child.create_time() > 0.9:
                    return words[3]
        time.sleep(0.1)  # to look at all processes takes time from the stage
    raise AssertionError(f"{stages} did not start")


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which all has run, killed in the middle of each stage once and run again.

    Tests must leave it as they found it.
    """
    clone = Clone(tmp_path_factory.mktemp("reproduced") / "ripen")
    waiting = set(KILLED)
    while waiting:
        dvc = clone.start("dvc", "repro")
        waiting.remove(wait_for_stage(waiting, dvc))
        clone.stop(dvc)
    clone.run("dvc", "repro")
    return clone


@pytest.fixture
def full_disk() -> Callable[..., AbstractContextManager[None]]:
    """Return what makes writing fail, as on a full disk, while a block runs."""
    return limited
