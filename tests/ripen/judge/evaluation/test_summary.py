from pathlib import Path

import numpy as np

from ripen.competition.metrics import scores
from ripen.judge.evaluation.figures import roc_points
from ripen.judge.evaluation.scored import Scored, last_part, main_part
from ripen.judge.evaluation.summary import evaluate, leaderboard

LABELS = np.array([0, 1, 1, 0])


def scored(model: str, part: str, ripe: list[float]) -> Scored:
    return Scored(model, part, np.arange(4), LABELS, np.stack([1 - np.array(ripe), ripe], axis=1))


SVM = [scored("svm", part, [0.3, 0.7, 0.8, 0.4]) for part in ("validation", "test")]
NET = [scored("net", part, [0.1, 0.9, 0.9, 0.2]) for part in ("validation", "test")]
TRAINING = {"stopped": "converged", "iterations": 700, "best_iteration": 600}


def test_metrics_have_their_fixed_form() -> None:
    bayes = {"test": {"accuracy": 0.9}, "expected": {"accuracy": 0.91}}
    metrics = evaluate([*SVM, *NET], {"net": TRAINING}, bayes)
    assert metrics == {
        "models": {
            "svm": {one.part: scores(LABELS, one.probabilities) for one in SVM},
            "net": {one.part: scores(LABELS, one.probabilities) for one in NET} | TRAINING,
        },
        "best": "net",
        "best_by": "validation/log_loss",
        "bayes": bayes,
    }


def test_where_it_is_not_known_there_is_no_bayes_and_no_test() -> None:
    metrics = evaluate([SVM[0], NET[0]], {"net": TRAINING}, None)
    assert "bayes" not in metrics
    assert "test" not in metrics["models"]["net"]
    assert last_part([SVM[0], NET[0]]) == "validation"
    assert last_part([*SVM, *NET]) == "test"


def test_the_best_has_the_lowest_validation_log_loss() -> None:
    worse = [scored("net", "validation", [0.9, 0.1, 0.5, 0.5])]
    assert evaluate([*SVM, *worse], {"net": TRAINING}, None)["best"] == "svm"


def test_a_model_scored_on_fewer_rows_is_not_the_best() -> None:
    few = Scored(
        "full", "validation", *(x[:2] for x in (np.arange(4), LABELS)), NET[0].probabilities[:2]
    )
    metrics = evaluate([*SVM, few], {}, None)
    losses = {name: values["validation"]["log_loss"] for name, values in metrics["models"].items()}
    assert losses["full"] < losses["svm"]
    assert metrics["best"] == "svm"


def test_where_nothing_is_validated_the_test_decides() -> None:
    metrics = evaluate([SVM[1], NET[1]], {}, None)
    assert (metrics["best"], metrics["best_by"]) == ("net", "test/log_loss")
    assert main_part([SVM[1]]) == "test"
    assert main_part(SVM) == "validation"


def test_the_leaderboard_is_sorted_by_what_decides(tmp_path: Path) -> None:
    (tmp_path / "cv.csv").write_text("model,accuracy\nsvm,0.876543\n")
    table = leaderboard(evaluate([*SVM, *NET], {}, None), tmp_path / "cv.csv")
    assert table.model.tolist() == ["net", "svm"]
    assert table.set_index("model").cross_validation_accuracy["svm"] == 0.8765
    alone = leaderboard(evaluate([SVM[1], NET[1]], {}, None), tmp_path / "none.csv")
    assert alone.model.tolist() == ["net", "svm"]
    assert alone.test_n.tolist() == [4, 4]
    assert not [name for name in alone.columns if name.startswith(("validation", "cross"))]


def test_roc_points_worked_out_by_hand() -> None:
    points = roc_points(scored("net", "test", [0.2, 0.9, 0.4, 0.6]))
    # Thresholds fall: 0.9 (true), 0.6 (false), 0.4 (true), 0.2 (false).
    assert points.false_positive_rate.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert points.true_positive_rate.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert set(points.model) == {"net"}
