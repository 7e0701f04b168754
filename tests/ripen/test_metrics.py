import numpy as np
import pytest

from ripen.metrics import scores


def test_scores_worked_out_by_hand() -> None:
    labels = np.array([0, 1, 1, 0])
    ripe = np.array([0.2, 0.9, 0.4, 0.6])
    found = scores(labels, np.stack([1 - ripe, ripe], axis=1))
    assert found == {
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
