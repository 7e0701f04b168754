"""Stages run in the working folder, as DVC runs them: with a `params.yaml`, one after the other."""

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ripen.stages import prepare
from tests.ripen import empty_store, params
from tests.ripen.images import cats_and_dogs, write_raw

ROOT = Path(__file__).parents[3]
OWN = ("data/", "metrics/", "reports/")  # dependencies that stages make themselves
ORDER = (
    "fetch",
    "generate",
    "prepare",
    "features",
    "colours",
    "fit",
    "finetune",
    "blend",
    "evaluate",
    "predict",
)
MODULES = {"generate": "fetch", "colours": "features", "finetune": "fit"}


def write_params(*overrides: str, conf: Path = ROOT / "conf") -> dict[str, Any]:
    """Write `params.yaml` and a `dvc.yaml` into the working folder; return the former's values.

    MLflow's runs are found by the hash of a stage's dependencies. The code is none of these here:
    it does not change while a test runs, and reading all of it for each stage takes seconds.
    """
    Path("dvc.yaml").write_text(pipeline(), encoding="utf-8")
    return params.write(*overrides, conf=conf)


@cache
def pipeline() -> str:
    """Return `dvc.yaml` without the dependencies that are code."""
    found = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in found["stages"].values():
        stage = stage.get("do", stage)
        stage["deps"] = [dep for dep in stage["deps"] if dep.startswith(OWN)]
    return yaml.safe_dump(found)


def run(stage: str, *item: str) -> None:
    """Run one stage for a competition, and a model or features of it."""
    module = importlib.import_module(f"ripen.stages.{MODULES.get(stage, stage)}")
    module.run(*item)


def run_all(name: str, values: dict[str, Any], *stages: str) -> None:
    """Run the stages of a competition, all of them where none is named, in DVC's order."""
    for stage in ORDER:
        if not stages or stage in stages:
            for key in values["graph"][stage]:
                competition, _, item = key.partition(".")
                if competition == name:
                    run(stage, *filter(None, (competition, item)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Leave the test in a folder of its own with `models/` and a store; return `write_params`."""
    monkeypatch.chdir(tmp_path)
    empty_store.put(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    return write_params


@pytest.fixture
def cats(here: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a function that prepares `cats_vs_dogs` from small images, in two folds.

    It takes overrides and the number of images of each class and of test images (by default 6 and
    4, of 48 by 36 pixels, cats redder than dogs); returns the values of `params.yaml`.
    """

    def make(*overrides: str, each: int = 6, tests: int = 4) -> dict[str, Any]:
        values = here("competitions=[cats_vs_dogs]", "validation.folds=2", *overrides)
        write_raw(Path("data/cats_vs_dogs/raw"), cats_and_dogs(each, tests))
        prepare.run("cats_vs_dogs")
        return values

    return make
