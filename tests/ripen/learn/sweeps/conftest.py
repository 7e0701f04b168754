"""A repository with a few prepared avocados, in which sweeps take moments."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ripen.competition.datasets.prepared import Part, write_part
from ripen.learn.sweeps.plan import Plan, plan
from ripen.settings import compose as config
from ripen.settings.schema import Config
from ripen.settings.schema.sweep import Sweep

ROOT = Path(__file__).parents[4]
QUICK = ("train.check_interval=20", "train.batch_size=50", "solver.max_iter=100")


def avocados(n: int, seed: int) -> Part:
    """Return rows whose class hangs on their first two columns."""
    data = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return Part(np.arange(n), data, (data[:, 0] * data[:, 1] > 0).astype(np.int64))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: the code, the settings, and prepared avocados."""
    for name in ("conf", "src", "dvc.yaml", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    prepared = Path("data/avocado/inputs/prepared")
    prepared.mkdir(parents=True)
    for name, part in (("train", avocados(100, 0)), ("validation", avocados(50, 1))):
        write_part(prepared, name, part)
    return tmp_path


@pytest.fixture
def make_plan(repository: Path) -> Callable[..., Plan]:
    """Return a function from parameters, and overrides of the settings, to an avocado sweep."""

    def make(*parameters: str, overrides: tuple[str, ...] = (), **sweep: object) -> Plan:
        settings = config.from_mapping(config.compose([*QUICK, *overrides]), "test")
        return plan(settings, "avocado", changed(settings, parameters, sweep))

    return make


def changed(settings: Config, parameters: tuple[str, ...], sweep: dict[str, object]) -> Sweep:
    """Return conf's sweep with other parameters, and with what else is given."""
    values = config.as_mapping(settings.sweep) | {"name": "test", "parameters": list(parameters)}
    pruner = config.as_mapping(settings.sweep.pruner) | dict(sweep.pop("pruner", {}))  # type: ignore[call-overload]
    return Sweep(**(values | sweep | {"pruner": type(settings.sweep.pruner)(**pruner)}))


def ripen(
    repository: Path, *arguments: str, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a repository."""
    done = subprocess.run(
        [sys.executable, "-m", "ripen.cli", *arguments],
        cwd=repository,
        env=environment(repository),
        capture_output=True,
        text=True,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def environment(repository: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(repository / "src"), "COLUMNS": "200"}
