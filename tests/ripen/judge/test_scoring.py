"""Outputs joined with targets, and `metrics/<competition>.json`."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.metrics import METRICS, Metric
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.judge import scoring
from ripen.judge.leaderboard import leaderboard
from ripen.judge.scoring import Scored, deciding_part, drawn_part, join
from tests.ripen.judge.two_models import (
    BINARY,
    LABELS,
    NET,
    SVM,
    TRAINING,
    binary_scores,
    evaluate,
    scored,
)

pytestmark = pytest.mark.usefixtures("few_samples")
REGRESSION = TASKS["regression"]


def index(**columns: list[Any]) -> Index:
    """Return an index of rows of two classes, 0 and 1."""
    n = len(columns["part"])
    usual = {"id": [str(10 + k) for k in range(n)], "group": "", "fold": -1, "problem": ""}
    return Index(pd.DataFrame(usual | columns), BINARY, ("0", "1"), ("raw", "ripe"))


def test_outputs_are_joined_by_row_and_parts_without_targets_are_absent() -> None:
    rows = index(
        part=["train", "train", "train", "test"], target=["0", "1", "1", ""], fold=[0, -1, 1, -1]
    )
    said = np.array([[0.1, 0.9], [0.8, 0.2]])
    tables = [
        predictions.table("validation", np.array([2, 0]), said),
        predictions.table("test", np.array([3]), said[:1]),
    ]
    (one,) = join({"net": pd.concat(tables)}, rows)
    assert (one.model, one.part) == ("net", "validation")
    assert (one.rows.tolist(), one.labels.tolist()) == ([2, 0], [1, 0])
    assert one.folds is not None
    assert one.folds.tolist() == [1, 0]
    np.testing.assert_array_equal(one.outputs, said)


def test_excluded_rows_and_those_of_unknown_target_are_not_scored() -> None:
    rows = index(
        part=["train", "train", "train", "test", "test"],
        target=["0", "1", "1", "", ""],
        problem=["", "is broken", "", "", ""],
        fold=[1, -1, 0, -1, -1],
    )
    validated = rows.learnable()
    said = np.full((len(validated), 2), 0.5)
    tables = [
        predictions.table("validation", validated, said),
        predictions.table("test", rows.part("test"), said),
    ]
    (one,) = join({"net": pd.concat(tables)}, rows)
    assert (one.rows.tolist(), one.labels.tolist()) == ([0, 2], [0, 1])
    assert one.folds is not None
    assert one.folds.tolist() == [1, 0]


def test_test_rows_are_scored_where_their_targets_are_known() -> None:
    rows = index(part=["test"] * 3, target=["0", "1", "1"], problem=["", "x", ""])
    said = np.full((2, 2), 0.5)
    (one,) = join({"net": predictions.table("test", rows.part("test"), said)}, rows)
    assert one.part == "test"
    assert one.rows.tolist() == [0, 2]
    assert one.labels.tolist() == [0, 1]
    assert one.folds is None


def test_a_single_fold_is_no_folds() -> None:
    rows = index(part=["train"] * 2, target=["0", "1"], fold=[0, 0])
    said = np.full((2, 2), 0.5)
    (one,) = join({"net": predictions.table("validation", np.arange(2), said)}, rows)
    assert one.folds is None


def test_metrics_have_their_fixed_form() -> None:
    bayes = {"test": {"accuracy": 0.9}, "expected": {"accuracy": 0.91}}
    metrics = evaluate([*SVM, *NET], {"net": TRAINING}, bayes)
    assert set(metrics.pop("rivals")) == {"svm"}
    assert metrics == {
        "models": {
            "svm": {one.part: binary_scores(one) for one in SVM},
            "net": {one.part: binary_scores(one) for one in NET} | TRAINING,
        },
        "best": "net",
        "best_by": "validation/log_loss",
        "bayes": bayes,
    }


def test_without_known_targets_there_is_no_bayes_and_no_test() -> None:
    metrics = evaluate([SVM[0], NET[0]], {"net": TRAINING}, None)
    assert "bayes" not in metrics
    assert "test" not in metrics["models"]["net"]
    assert drawn_part([SVM[0], NET[0]]) == "validation"
    assert drawn_part([*SVM, *NET]) == "test"


def test_the_best_has_the_lowest_validation_log_loss() -> None:
    worse = [scored("net", "validation", [0.9, 0.1, 0.5, 0.5])]
    assert evaluate([*SVM, *worse], {"net": TRAINING}, None)["best"] == "svm"


def test_a_model_scored_on_fewer_rows_is_not_the_best() -> None:
    few = Scored("full", "validation", *(x[:2] for x in (np.arange(4), LABELS)), NET[0].outputs[:2])
    metrics = evaluate([*SVM, few], {}, None)
    losses = {name: values["validation"]["log_loss"] for name, values in metrics["models"].items()}
    assert losses["full"] < losses["svm"]
    assert metrics["best"] == "svm"


def test_where_nothing_is_validated_the_test_decides() -> None:
    metrics = evaluate([SVM[1], NET[1]], {}, None)
    assert (metrics["best"], metrics["best_by"]) == ("net", "test/log_loss")
    assert deciding_part([SVM[1]]) == "test"
    assert deciding_part(SVM) == "validation"


def test_a_metric_that_is_undefined_for_every_model_is_an_error() -> None:
    with pytest.raises(DataError, match=r"metric 'top5' is undefined on the validation rows"):
        evaluate([*SVM, *NET], {}, None, metric="top5")


@pytest.mark.parametrize("metric", [name for name, m in METRICS.items() if "binary" in m.tasks])
def test_the_best_is_that_of_the_metric_whatever_its_direction(metric: str) -> None:
    opposite = scored("opposite", "validation", [0.9, 0.1, 0.1, 0.9])
    metrics = evaluate([opposite, *SVM], {}, None, metric=metric)
    assert (metrics["best"], metrics["best_by"]) == ("svm", f"validation/{metric}")
    assert [row.model for row in leaderboard(metrics).rows] == ["svm", "opposite"]


def test_a_regression_has_its_own_metrics() -> None:
    truth = np.array([1.0, 2.0, 4.0])
    near, far = (
        Scored(name, "validation", np.arange(3), truth, (truth + by)[:, None])
        for name, by in (("near", 1.0), ("far", -3.0))
    )
    for metric in REGRESSION.metrics:
        scorer = Scorer(METRICS[metric], truth, {})
        metrics = scoring.evaluate([far, near], {}, None, REGRESSION, scorer)
        assert metrics["best"] == "near"
        found = metrics["models"]["near"]["validation"]
        assert found.pop("standard_error") >= 0.0
        r2 = 1 - 3 / (42 / 9)
        assert found == {
            "n": 3, "rmse": 1.0, "mae": 1.0, "r2": round(r2, 4),
            "score": round(r2, 6) if metric == "r2" else 1.0,
        }  # fmt: skip


def test_the_score_has_more_digits_and_decides_by_them() -> None:
    close = [
        scored(name, "validation", [0.3, 0.7, 0.8, p]) for name, p in (("a", 0.4), ("b", 0.39999))
    ]
    metrics = evaluate(close, {}, None)
    first, second = (metrics["models"][name]["validation"] for name in ("a", "b"))
    assert first["log_loss"] == second["log_loss"]
    exact = -np.log([0.7, 0.7, 0.8, 0.6]).mean()
    assert first["score"] == round(exact, 6)
    assert metrics["best"] == "b"
    assert [row.model for row in leaderboard(metrics).rows] == ["b", "a"]


def test_a_metric_of_the_competitions_own_brings_its_title_and_its_direction() -> None:
    own = Metric("metric.py", False, "metric", "label", ("binary",), lambda t, p: np.mean(t != p))
    opposite = scored("opposite", "validation", [0.9, 0.1, 0.1, 0.9])
    metrics = scoring.evaluate([opposite, *SVM], {}, None, BINARY, Scorer(own, LABELS, {}))
    assert metrics["metric"] == {"title": "metric.py", "greater_is_better": False}
    assert (metrics["best"], metrics["best_by"]) == ("svm", "validation/metric")
    board = leaderboard(json.loads(json.dumps(metrics)))
    assert [row.model for row in board.rows] == ["svm", "opposite"]
    assert board.heading(board.decides) == "validation metric.py"
    assert board.text(board.rows[0], board.decides) == "0.00000 ± 0.00000"


def test_what_the_choice_rests_on() -> None:
    """By hand: in each of two folds `b` is 0.25 behind, so certainly; `c` is 0.5 behind in one."""
    rows, targets = np.arange(4), np.zeros(4)
    off = {"a": [1, 1, 1, 1], "b": [1.25] * 4, "c": [1.5, 1.5, 1, 1]}
    folds = np.array([0, 0, 1, 1])
    models = [
        Scored(name, "validation", rows, targets, np.array(by)[:, None], folds)
        for name, by in off.items()
    ]
    scorer = Scorer(METRICS["mae"], targets, {})
    metrics = scoring.evaluate(models, {}, None, REGRESSION, scorer)
    assert metrics["rivals"] == {
        "b": {"behind": 0.25, "standard_error": 0.0},
        "c": {"behind": 0.25, "standard_error": 0.25},
    }
    board = leaderboard(metrics)
    assert (board.compared, board.tied) == (("b", "c"), ("c",))
    chosen = "Chosen by validation mean absolute error on 4 rows"
    assert board.certainty == (
        f"{chosen}. a is tied with c: less than 2 standard errors apart, which may be chance."
    )
    sure = leaderboard(metrics | {"rivals": {"b": metrics["rivals"]["b"]}})
    assert sure.certainty == f"{chosen}: 2 standard errors or more ahead of every other model."


@pytest.mark.parametrize(
    ("blend", "best", "behind"),
    [
        ([1.5, 1.5, 1, 1], "blend", -0.25),  # 0.5 behind in one of two folds
        ([1.25] * 4, "a", 0.25),  # 0.25 behind in each
        ([0.5] * 4, "blend", 0.5),
        ([1.0] * 4, "blend", 0.0),  # the same answers
    ],
)
def test_the_blend_is_best_unless_a_model_is_clearly_ahead_of_it(
    blend: list[float], best: str, behind: float
) -> None:
    rows, targets, folds = np.arange(4), np.zeros(4), np.array([0, 0, 1, 1])
    models = [
        Scored(name, "validation", rows, targets, np.array(by)[:, None], folds)
        for name, by in {"a": [1.0] * 4, "blend": blend}.items()
    ]
    metrics = scoring.evaluate(models, {}, None, REGRESSION, Scorer(METRICS["mae"], targets, {}))
    assert metrics["best"] == best
    assert [each["behind"] for each in metrics["rivals"].values()] == [behind]
    board = leaderboard(metrics)
    assert board.best.model == best
    luck = best == "blend" and board.rows[0].model == "a"
    assert board.certainty.endswith("Of tied models the blend is the safest choice.") == luck


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="no row with a prediction has a known target"):
        evaluate([], {}, None)
