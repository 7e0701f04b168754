"""A repository with a few prepared avocados, in which sweeps take moments."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.learn.sweeps.study import Study, define
from ripen.settings import compose as composing
from ripen.settings.compose import as_mapping, check
from ripen.settings.schema import Competition, Pruner, Sweep
from ripen.stages.settings import compose

ROOT = Path(__file__).parents[4]
CONF = ROOT / "conf"
QUICK = ("train.check_interval=20", "train.batch_size=50", "solver.max_iter=100")


@cache  # Hydra takes a second
def competition(*overrides: str, name: str = "avocado") -> Competition:
    """Return a competition as conf/ and overrides compose it."""
    values, _ = compose([f"competitions=[{name}]", *overrides], CONF)
    return check(values["competition"][name], Competition, "test")


def rows(n: int, seed: int, fold: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows of the index, whose class depends on their first two columns."""
    data = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    target = (data[:, 0] * data[:, 1] > 0).astype(int).astype(str)
    index = pd.DataFrame(
        {"id": np.arange(n).astype(str), "part": "train", "target": target, "group": "",
         "fold": fold, "problem": ""}
    )  # fmt: skip
    return index, pd.DataFrame(data, columns=[f"c{i}" for i in range(6)])


def prepare(name: str = "avocado") -> None:
    """Write a prepared competition: 100 rows that train, and 50 that are held out."""
    folder = Path("data") / name
    (folder / "raw").mkdir(parents=True)
    prepared = folder / "inputs" / "prepared"
    prepared.mkdir(parents=True)
    parts = [rows(100, 0, -1), rows(50, 1, 0)]
    index, table = (pd.concat(each, ignore_index=True) for each in zip(*parts, strict=True))
    indexes.write(prepared, index, {"0": "not ripe", "1": "ripe"})
    table.to_parquet(prepared / "table.parquet", index=False)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: the code, the settings, and prepared avocados."""
    for name in ("conf", "src", "packages", "models", "constraints.txt", "dvc.yaml", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    prepare()
    return tmp_path


@pytest.fixture
def make_study(repository: Path) -> Callable[..., Study]:
    """Return a function from parameters, and overrides of the settings, to a study of avocados."""

    def make(*parameters: str, overrides: tuple[str, ...] = (), **sweep: object) -> Study:
        return define("avocado", sweeping(competition(*QUICK, *overrides), parameters, sweep))

    return make


def sweeping(
    competition: Competition, parameters: tuple[str, ...], changes: dict[str, object]
) -> Competition:
    """Return a competition whose sweep has other parameters, and the changes that are given."""
    sweep = competition.sweep
    assert sweep is not None
    changed = dict(changes)
    pruner = as_mapping(sweep.pruner) | dict(changed.pop("pruner", {}))  # type: ignore[call-overload]
    values = as_mapping(sweep) | {"name": "test", "parameters": list(parameters)} | changed
    made = Sweep(**(values | {"pruner": Pruner(**pruner)}))
    return composing.changed(competition, sweep=as_mapping(made))


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
    paths = (repository / "src", repository / "packages/caffe/src")
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "COLUMNS": "200"}
