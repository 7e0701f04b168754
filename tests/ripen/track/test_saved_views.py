"""Saved views: the competition's metric decides what they show and in which order."""

import json
from typing import Any

import pytest

from ripen.competition.metrics import METRICS
from ripen.track import saved_views


def state(tag: dict[str, str]) -> dict[str, Any]:
    value = next(iter(tag.values()))
    found: dict[str, Any] = json.loads(json.loads(value)["state"])
    return found


@pytest.mark.parametrize(
    ("metric", "title", "ascending"),
    [("accuracy", "accuracy", False), ("rmse", "RMSE", True), ("log_loss", "log loss", True)],
)
def test_models_are_ordered_by_the_competitions_metric(
    metric: str, title: str, ascending: bool
) -> None:
    tags = saved_views.models("abc", f"validation/{metric}", METRICS[metric])
    names = ("ripen-models", "ripen-models-charts-alone")
    assert tuple(tags) == tuple(f"mlflow.sharedViewState.{name}" for name in names)
    hidden = [json.loads(json.loads(value)["state"])["runListHidden"] for value in tags.values()]
    assert hidden == [False, True]
    view = state(tags)
    assert view["orderByKey"] == f"metrics.`validation/{metric}`"
    assert view["orderByAsc"] is ascending
    bars = [chart["displayName"] for chart in view["compareRunCharts"] if chart["type"] == "BAR"]
    assert bars == [f"validation {title}", f"test {title}"]
    shown = [f"metrics.`{part}/{metric}`" for part in ("validation", "test")]
    assert view["selectedColumns"][:2] == shown


@pytest.mark.parametrize(
    ("scores", "metric", "columns", "ascending"),
    [
        (["log_loss", "accuracy"], "log_loss", ["log_loss", "accuracy"], True),
        (["log_loss", "accuracy"], "accuracy", ["accuracy", "log_loss"], False),
        (["log_loss", "accuracy"], "roc_auc", ["log_loss", "accuracy"], True),
        (["loss"], "rmse", ["loss"], True),
    ],
)
def test_trials_are_ordered_by_the_metric_if_they_have_it_else_by_the_loss(
    scores: list[str], metric: str, columns: list[str], ascending: bool
) -> None:
    view = state(saved_views.trials("rates", "run", ["solver.base_lr"], scores, metric))
    assert view["orderByKey"] == f"metrics.`validation/{columns[0]}`"
    assert view["orderByAsc"] is ascending
    expected = [*(f"metrics.`validation/{name}`" for name in columns), "metrics.`iterations`"]
    assert view["selectedColumns"][: len(expected)] == expected
    text = json.dumps(view)
    assert ("accuracy" in text) == ("accuracy" in columns)
