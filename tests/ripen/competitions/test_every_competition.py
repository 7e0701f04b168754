"""Every file of `conf/competition/`: it composes and, without a network, goes to a submission."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.competition.metric_file import metric_of
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS
from ripen.core.layout import Layout
from ripen.data.readers import READERS
from ripen.data.sources import SOURCES
from ripen.kaggle.form import check
from ripen.learn.estimator import estimator
from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.settings.schema import Competition
from ripen.stages import evaluate, features, fetch, fit, predict, prepare
from ripen.stages import settings as guard
from tests.ripen import empty_store
from tests.ripen.conftest import ROOT

NAMES = config.available(ROOT / "conf")
GENERATED = [
    name
    for name in NAMES
    if "generate" in yaml_files.read(ROOT / "conf/competition" / f"{name}.yaml")["source"]
]
"""Those whose files are made here: the others need a network, or files of the user's."""
MIRRORED = ["titanic", "house_prices", "spaceship_titanic", "flavia_leaf", "digit_recognizer",
            "sign_language_digits"]  # fmt: skip
QUICK = {True: ("gaussian_nb", "gaussian_nb_histogram"), False: ("k_nearest_neighbors",)}
"""One model of each competition is fitted, by whether it classifies: the first that it has."""


def test_the_examples_are_short() -> None:
    for name in (*MIRRORED, "breast_cancer", "price_tomorrow"):
        file = ROOT / "conf/competition" / f"{name}.yaml"
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 20


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_fit_and_name_entries_of_the_registries(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    competition = make_competition(name)
    assert next(iter(competition.source)) in {"generate", *SOURCES}
    assert competition.reader in READERS
    metric_of(name, competition.metric).check(competition.task)
    splitter(competition.validation)
    for model, section in competition.models.items():
        found = estimator(section, model)
        assert set(found.inputs) <= {"table", "images", *competition.features}
    known = {"table": "columns", "images": "images"}
    assert getattr(competition, known[competition.reader]) is not None


@pytest.mark.parametrize("name", NAMES)
def test_its_graph_has_each_model_once(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    competition = make_competition(name)
    graph = guard.graph({name: competition})
    models = [item["name"] for s in ("fit", "finetune") for item in graph[s].values()]
    assert sorted(models) == sorted(competition.models)
    extracted = [item["name"] for s in ("features", "colours") for item in graph[s].values()]
    assert sorted(extracted) == sorted(competition.features)
    assert bool(graph["predict"]) == (competition.predict is not None)
    assert bool(graph["sweep"]) == (competition.sweep is not None)


@pytest.mark.parametrize("name", NAMES)
def test_alone_it_is_all_that_params_yaml_holds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    write_params(f"competitions=[{name}]")
    assert list(yaml_files.read(config.PARAMS)["competition"]) == [name]
    config.load_competition(name)
    guard.run(config.PARAMS, ROOT / "conf")


@pytest.fixture
def alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_params: Callable[..., None]
) -> Callable[[str], str]:
    """Return a function that leaves the test in a folder with one competition of one quick model.

    It returns the model's name.
    """

    def make(name: str) -> str:
        monkeypatch.chdir(tmp_path)
        empty_store.put(tmp_path)
        for each in ("src", "models", "dvc.yaml", "constraints.txt", "packages"):
            if (ROOT / each).exists():
                (tmp_path / each).symlink_to(ROOT / each)
        write_params(f"competitions=[{name}]")
        competition = config.load_competition(name)
        quick = next(
            model
            for model in QUICK[TASKS[competition.task].classifies]
            if model in competition.models
        )
        used = competition.models[quick].get("inputs", [])
        removed = [f"models.{model}=null" for model in competition.models if model != quick]
        removed += [f"features.{key}=null" for key in competition.features if key not in used]
        write_params(f"competitions=[{name}]", "learning_curve=[]", *removed)
        return quick

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GENERATED, *MIRRORED])
def test_from_its_files_to_a_submission(
    name: str, alone: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    """One quick model of each, in a folder that a competition's stages share."""
    if name in MIRRORED:
        request.getfixturevalue("mirror")
    quick = alone(name)
    competition, layout = config.load_competition(name), Layout(name)
    fetch.run(name)
    prepare.run(name)
    index = indexes.read(layout, competition)
    assert len(index.part("test")) > 0
    assert (index.folds[index.learnable()] >= 0).any()

    for key in competition.features:
        features.run(name, key)
    fit.run(name, quick)
    evaluate.run(name)
    metrics = json.loads(layout.metrics.read_text())
    assert metrics["best"] == quick
    assert metrics["best_by"] == f"validation/{competition.metric}"
    score = metrics["models"][quick]["validation"][competition.metric]
    assert math.isfinite(score)

    predict.run(name)
    sample = layout.raw / competition.files.sample
    rows = check(layout.submission, sample, competition, index.classes)
    assert len(rows) == len(index.part("test"))
    assert list(rows.columns) == list(pd.read_csv(sample).columns)
