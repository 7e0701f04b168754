import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from ripen.competition.metrics import scores


def test_scores_worked_out_by_hand() -> None:
    labels = np.array([0, 1, 1, 0])
    ripe = np.array([0.2, 0.9, 0.4, 0.6])
    found = scores(labels, np.stack([1 - ripe, ripe], axis=1))
    assert found == {
        "n": 4,
        "accuracy": 0.5,
        "log_loss": round(float(-np.log([0.8, 0.9, 0.4, 0.4]).mean()), 4),
        "roc_auc": 0.75,  # of the four pairs only (0.4, 0.6) is the wrong way round
        "brier": round((0.04 + 0.01 + 0.36 + 0.36) / 4, 4),
    }


def test_float32_probabilities_that_sum_to_one_only_nearly() -> None:
    exact = np.array([[0.25, 0.75], [0.5, 0.5]])
    off = (exact * np.float32(1 + 3e-7)).astype(np.float32)
    assert scores(np.array([1, 0]), off) == scores(np.array([1, 0]), exact)


def test_three_classes() -> None:
    labels = np.array([0, 1, 2])
    found = scores(labels, np.eye(3) * 0.7 + 0.1)
    assert found["accuracy"] == found["roc_auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-np.log(0.8), abs=5e-5)


def test_more_than_five_classes_have_a_top_five() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.permutation(np.arange(60) % 6), rng.dirichlet(np.ones(6), 60)
    found = scores(labels, probabilities)
    ranks = (-probabilities).argsort(axis=1)[:, :5]
    assert found["top5"] == round(float((ranks == labels[:, None]).any(axis=1).mean()), 4)
    assert found["top5"] == round(top_k_accuracy_score(labels, probabilities, k=5), 4)
    assert found["roc_auc"] == round(roc_auc_score(labels, probabilities, multi_class="ovr"), 4)
    assert "top5" not in scores(labels % 5, rng.dirichlet(np.ones(5), 60))


def test_classes_that_are_not_there() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])
    found = scores(np.array([0, 2, 2]), probabilities)
    # Class 0: 0.6 over 0.5 and 0.2; class 2: both 0.3 and 0.6 over 0.1.
    assert (found["roc_auc"], found["n"]) == (1.0, 3)
    assert found["log_loss"] == round(float(-np.log([0.6, 0.3, 0.6]).mean()), 4)
    assert "roc_auc" not in scores(np.array([2, 2, 2]), probabilities)
