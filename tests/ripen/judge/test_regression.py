"""A regression from its files to its report: a table that is generated here, by every stage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ripen.competition.metrics import METRICS
from ripen.core.layout import Layout
from ripen.judge import terminal
from ripen.stages import evaluate, fit, predict, prepare, report
from tests.ripen import empty_store
from tests.ripen.conftest import ROOT

PRICES = """
defaults: [/kind/talk]
source: {generate: {}}
target: price
task: regression
metric: rmse
submission: value
validation: {split: kfold, folds: 3}
learning_curve: [20, 60]
models:
  logistic_regression: null
  gaussian_nb: null
  svm: null
  random_forest: null
sweep: null
"""
QUICK = (
    "net.hidden_layers=[4]",
    "net.activation=tanh",
    "solver.max_iter=60",
    "solver.base_lr=0.02",
)
MODELS = ["k_nearest_neighbors", "net"]
LAYOUT = Layout("prices")


def write_raw(folder: Path) -> pd.DataFrame:
    """Write the files of a price that hangs on size and city; return the test rows."""
    rng = np.random.default_rng(0)
    size, city = rng.uniform(20, 120, 120), rng.choice(["Rome", "Bern"], 120)
    price = 1000 * size + np.where(city == "Bern", 50_000, 0) + rng.normal(0, 1000, 120)
    table = pd.DataFrame(
        {"id": np.arange(120), "size": size, "city": city, "price": price.round(2)}
    )
    train, test = table.iloc[:90], table.iloc[90:]
    folder.mkdir(parents=True)
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns="price").to_csv(folder / "test.csv", index=False)
    test[["id", "price"]].to_csv(folder / "solution.csv", index=False)
    sample = test[["id"]].assign(price=0)[::-1]
    sample.to_csv(folder / "sample_submission.csv", index=False)
    return test


@pytest.fixture
def prices(composed: Callable[..., Path], tmp_path: Path) -> pd.DataFrame:
    """Leave the test in a folder in which every model of the prices is fitted."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/competition/prices.yaml").write_text(PRICES)
    composed("competitions=[prices]", *QUICK, conf=tmp_path / "conf")
    empty_store.put(tmp_path)
    test = write_raw(LAYOUT.raw)
    prepare.run("prices")
    for model in MODELS:
        fit.run("prices", model)
    return test


@pytest.mark.slow
def test_a_regression_from_its_files_to_its_report(
    prices: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.run("prices")
    metrics = json.loads(LAYOUT.metrics.read_text())
    assert metrics["best_by"] == "validation/rmse"
    assert set(metrics["models"]) == set(MODELS)
    for found in metrics["models"].values():
        assert list(found["validation"]) == ["n", "rmse", "mae", "r2", "score", "standard_error"]
        assert found["validation"]["n"] == 90
        assert found["test"]["n"] == 30
    losses = {name: found["validation"]["rmse"] for name, found in metrics["models"].items()}
    assert metrics["best"] == min(losses, key=lambda name: losses[name])

    # The figures and the table of each model, and none that needs classes.
    for model in MODELS:
        names = {path.name for path in (LAYOUT.evaluate / model).iterdir()}
        drawn = {"values.csv", "values.svg", "residuals.svg"}
        assert names == drawn | ({"error.svg", "error.csv"} if model == "net" else set())
        values = pd.read_csv(LAYOUT.evaluate / model / "values.csv")
        np.testing.assert_allclose(values.truth, prices.price, atol=1e-3)
        rmse = METRICS["rmse"](values.truth.to_numpy(), values[["predicted"]].to_numpy())
        assert rmse == pytest.approx(metrics["models"][model]["test"]["rmse"], abs=1e-3)
    assert not (LAYOUT.evaluate / "roc.svg").exists()
    board = pd.read_csv(LAYOUT.evaluate / "leaderboard.csv")
    assert board.model.tolist() == sorted(losses, key=lambda name: losses[name])
    assert board.validation_rmse.is_monotonic_increasing
    assert "test RMSE" in (LAYOUT.evaluate / "learning_curve.svg").read_text()
    assert "half the squared error" in (LAYOUT.evaluate / "net/error.svg").read_text()

    predict.run("prices")
    submission = pd.read_csv(LAYOUT.submission)
    assert submission.id.tolist() == prices.id.tolist()[::-1]
    values = pd.read_csv(LAYOUT.evaluate / metrics["best"] / "values.csv")
    np.testing.assert_allclose(submission.price[::-1], values.predicted, atol=1e-3)

    report.run("prices")
    page = LAYOUT.report.read_text()
    for words in (
        "<td>RMSE, lower is better</td>",
        "<td>kfold (folds: 3)</td>",
        "<td>90, each held out in one fold</td>",
        "Chosen by validation RMSE on 90 rows",
        "<th>validation mean absolute error</th>",
        "Predicted against true values",
        "Residuals",
    ):
        assert words in page
    assert '<th scope="row">classes</th>' not in page
    report.run("prices")
    assert LAYOUT.report.read_text() == page

    capsys.readouterr()
    terminal.show("prices", {})
    shown = capsys.readouterr().out
    assert f"{metrics['best']} (best)" in shown
    assert "R²" in shown
