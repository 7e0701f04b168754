"""Outputs joined with targets, `metrics/<competition>.json`, and the one leaderboard."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import predictions
from ripen.competition import scorer as scorers
from ripen.competition.index import Index
from ripen.competition.metrics import METRICS, Metric, scores
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.judge import scoring
from ripen.judge.figures import roc_points
from ripen.judge.leaderboard import Column, leaderboard, read_metrics, table, two_digits
from ripen.judge.scoring import Scored, deciding_part, drawn_part, join

LABELS = np.array([0, 1, 1, 0])
BINARY, REGRESSION = TASKS["binary"], TASKS["regression"]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw fewer bootstrap samples: how many changes nothing here."""
    monkeypatch.setattr(scorers, "RESAMPLES", 8)


def index(**columns: list[Any]) -> Index:
    """Return an index of rows of two classes, 0 and 1."""
    n = len(columns["part"])
    usual = {"id": [str(10 + k) for k in range(n)], "group": "", "fold": -1, "problem": ""}
    return Index(pd.DataFrame(usual | columns), BINARY, ("0", "1"), ("raw", "ripe"))


def evaluate(*arguments: Any, metric: str = "log_loss") -> dict[str, Any]:
    return scoring.evaluate(*arguments, BINARY, Scorer(METRICS[metric], LABELS, {}))


def binary_scores(one: Scored, metric: str = "log_loss") -> dict[str, float]:
    """Return what is reported of a model: the task's metrics, and its score by the metric."""
    found = scores(BINARY.metrics, one.targets, one.outputs)
    scorer = Scorer(METRICS[metric], LABELS, {})
    return found | scoring.score_and_error(one, scorer)


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


def scored(model: str, part: str, ripe: list[float]) -> Scored:
    return Scored(model, part, np.arange(4), LABELS, np.stack([1 - np.array(ripe), ripe], axis=1))


SVM = [scored("svm", part, [0.3, 0.7, 0.8, 0.4]) for part in ("validation", "test")]
NET = [scored("net", part, [0.1, 0.9, 0.9, 0.2]) for part in ("validation", "test")]
TRAINING = {"stopped": "converged", "iterations": 700, "best_iteration": 600}


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


def test_the_leaderboard_is_sorted_by_what_decides() -> None:
    found = table(leaderboard(evaluate([*SVM, *NET], {}, None)))
    assert found.model.tolist() == ["net", "svm"]
    alone = table(leaderboard(evaluate([SVM[1], NET[1]], {}, None)))
    assert alone.model.tolist() == ["net", "svm"]
    assert alone.test_n.tolist() == [4, 4]
    assert not [name for name in alone.columns if name.startswith("validation")]


def test_the_table_has_every_score_and_the_bayes_rule_last() -> None:
    bayes = {"test": binary_scores(NET[1]), "expected": {"accuracy": 0.91}}
    metrics = evaluate([*SVM, *NET], {"net": TRAINING}, bayes)
    found = table(leaderboard(metrics))
    names = ["n", *binary_scores(NET[0])][1:]
    assert list(found) == [
        "model",
        *(f"{part}_{name}" for part in ("validation", "test") for name in names),
    ]
    assert found.model.tolist() == ["net", "svm", "bayes"]
    for place, model in enumerate(("net", "svm")):
        for part in ("validation", "test"):
            for name, value in metrics["models"][model][part].items():
                assert found.at[place, f"{part}_{name}"] == value
    assert found.iloc[2].isna().tolist() == [False] + [True] * len(names) + [False] * len(names)
    assert found.to_csv(index=False).splitlines()[1].startswith("net,4,1.0,")
    assert names[-2:] == ["score", "standard_error"]


def test_a_row_has_everything_that_is_rendered() -> None:
    board = leaderboard(evaluate([*SVM, *NET], {"net": TRAINING}, None))
    first, second = board.rows
    assert (first.best, second.best) == (True, False)
    assert (first.ended, second.ended) == ("converged at 700", "")
    assert board.decides == Column("validation", "log_loss")
    net = binary_scores(NET[0])
    shown = f"{net['score']:.5f} ± {two_digits(net['standard_error'])}"
    assert board.text(first, board.decides) == shown
    assert board.text(first, Column("test", "accuracy")) == "1.0000"
    assert board.text(first, Column("test", "n")) == "4"
    assert board.text(first, Column("test", "top5")) == ""


def test_the_summary_begins_with_the_metric_that_decides() -> None:
    board = leaderboard(evaluate([*SVM, *NET], {}, None, metric="roc_auc"))
    assert [board.heading(column) for column in board.summary] == [
        "validation AUC",
        "validation accuracy",
        "validation log loss",
        "test AUC",
        "test accuracy",
    ]


def test_a_model_without_the_score_that_decides_comes_last() -> None:
    alone = scored("pretrained", "test", [0.0, 1.0, 1.0, 0.0])
    board = leaderboard(evaluate([alone, *SVM, *NET], {}, None))
    assert [row.model for row in board.rows] == ["net", "svm", "pretrained"]
    assert board.text(board.rows[2], board.decides) == ""


def test_metrics_are_read_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"metrics/cheese\.json: no such file\. Run: ripen run"):
        read_metrics("cheese")
    Path("metrics").mkdir()
    metrics = evaluate([*SVM, *NET], {}, None)
    Path("metrics/cheese.json").write_text(json.dumps(metrics))
    assert read_metrics("cheese") == json.loads(json.dumps(metrics))


def test_roc_points_worked_out_by_hand() -> None:
    points = roc_points(scored("net", "test", [0.2, 0.9, 0.4, 0.6]))
    # Thresholds fall: 0.9 (true), 0.6 (false), 0.4 (true), 0.2 (false).
    assert points.false_positive_rate.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert points.true_positive_rate.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert set(points.model) == {"net"}
