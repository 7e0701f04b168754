"""A competition that is scored by Kaggle's own metric file, with weights, from table to report."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ripen.competitions
from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.judge.leaderboard import two_digits
from ripen.settings.compose import load_competition
from ripen.stages import evaluate, report
from tests.ripen.stages.conftest import ROOT, run_all, write_params

COMPETITION = """
defaults: [/kind/table]
source: {folder: mine}
target: price
task: regression
metric: {metric: metric.py, greater_is_better: false, weights_column_name: worth, power: 2}
submission: value
columns: {drop: [worth]}
validation: {split: kfold, folds: 3}
blend: null
models: {logistic_regression: null, gaussian_nb: null, random_forest: null, net: null}
learning_curve: []
"""
METRIC = '''
import numpy as np


class ParticipantVisibleError(Exception):
    pass


def score(solution, submission, row_id_column_name, weights_column_name=None, power=1):
    """Return the weighted mean of errors to a power."""
    del solution[row_id_column_name], submission[row_id_column_name]
    weights = solution.pop(weights_column_name)
    if list(solution) != list(submission):
        raise ParticipantVisibleError("other columns")
    errors = np.abs(solution - submission).to_numpy()[:, 0] ** power
    return np.average(errors, weights=weights)
'''


@pytest.mark.slow
def test_a_competition_is_scored_by_kaggles_own_file(
    here: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own" / "mine"
    own.mkdir(parents=True)
    (own / "metric.py").write_text(METRIC)
    monkeypatch.setattr(ripen.competitions, "__path__", [str(own.parent)])
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    Path("conf/competition/mine.yaml").write_text(COMPETITION)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": np.arange(60), "a": rng.normal(size=60), "b": rng.normal(size=60)})
    table["price"] = (3 * table.a + rng.normal(size=60)).round(2)
    table["worth"] = rng.integers(1, 5, 60)
    Path("mine").mkdir()
    table[:50].to_csv("mine/train.csv", index=False)
    table.loc[50:, ["id", "a", "b"]].to_csv("mine/test.csv", index=False)
    table.loc[50:, ["id", "price"]].assign(price=0).to_csv(
        "mine/sample_submission.csv", index=False
    )
    run_all("mine", write_params("competitions=[mine]", conf=Path("conf")))
    report.run("mine")

    layout = Layout("mine")
    metrics = json.loads(layout.metrics.read_text())
    assert metrics["metric"] == {"title": "metric.py", "greater_is_better": False}
    assert metrics["best_by"] == "validation/metric"
    index = indexes.read(layout, load_competition("mine"))
    scores = {}
    for name, found in predictions.read(layout, list(metrics["models"])).items():
        held = found[found.part == "validation"]
        ids = index.rows["id"].to_numpy()[held["row"]].astype(int)
        rows = table.set_index("id").loc[ids]
        errors = (rows.price.to_numpy() - held.p0.to_numpy()) ** 2
        scores[name] = np.average(errors, weights=rows.worth)
        own_scores = metrics["models"][name]["validation"]
        assert own_scores["score"] == round(scores[name], 6)
        folds = index.folds[held["row"]]
        each = [np.average(errors[folds == k], weights=rows.worth[folds == k]) for k in range(3)]
        assert own_scores["standard_error"] == round(np.std(each, ddof=1) / np.sqrt(3), 6)
    best = metrics["best"]
    assert best == min(scores, key=lambda name: scores[name])
    page = layout.report.read_text()
    assert "metric.py, lower is better" in page
    shown = metrics["models"][best]["validation"]
    assert f"<td>{shown['score']:.5f} ± {two_digits(shown['standard_error'])}</td>" in page

    # One that raises leaves nothing half written.
    before = layout.metrics.read_bytes()
    (own / "metric.py").write_text(METRIC.replace("np.average(errors", "np.average(error"))
    with pytest.raises(
        DataError, match=r"^own/mine/metric\.py: line 16: NameError: name 'error' is not"
    ):
        evaluate.run("mine")
    assert layout.metrics.read_bytes() == before
    assert not layout.evaluate.exists()
