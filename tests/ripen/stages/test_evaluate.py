import numpy as np

from ripen.metrics import scores
from ripen.stages.evaluate import Scored, evaluate, last_part, roc_points

LABELS = np.array([0, 1, 1, 0])


def scored(model: str, part: str, ripe: list[float]) -> Scored:
    return Scored(model, part, LABELS, np.stack([1 - np.array(ripe), ripe], axis=1))


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


def test_roc_points_worked_out_by_hand() -> None:
    points = roc_points(scored("net", "test", [0.2, 0.9, 0.4, 0.6]))
    # Thresholds fall: 0.9 (true), 0.6 (false), 0.4 (true), 0.2 (false).
    assert points.false_positive_rate.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert points.true_positive_rate.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert set(points.model) == {"net"}
