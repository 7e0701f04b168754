"""Each metric's value: worked out by hand, by its published definition, and by scikit-learn's."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from ripen.competition import metrics
from ripen.competition.metrics import METRICS, chosen
from ripen.competition.tasks import TASKS

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 6
PROBABILITIES = RNG.dirichlet(np.ones(6), 60)
PREDICTED = PROBABILITIES.argmax(axis=1)
TWO, RIPE = np.arange(40) % 2, RNG.uniform(size=40)
BOTH = np.stack([1 - RIPE, RIPE], axis=1)
MANY = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]])
SAID = RNG.uniform(size=MANY.shape)
HARD = (SAID > 0.5).astype(int)
VALUES, GUESSED = RNG.uniform(1, 9, (30, 2)), RNG.uniform(1, 9, (30, 2))
X, Y = VALUES[:, 0], GUESSED[:, 0]

REFERENCES: list[tuple[Any, NDArray[Any], NDArray[np.float64], float]] = [
    ("accuracy", LABELS, PROBABILITIES, sk.accuracy_score(LABELS, PREDICTED)),
    ("balanced_accuracy", LABELS, PROBABILITIES, sk.balanced_accuracy_score(LABELS, PREDICTED)),
    ("log_loss", LABELS, PROBABILITIES, sk.log_loss(LABELS, PROBABILITIES)),
    ("log_loss", MANY, SAID, np.mean([sk.log_loss(MANY[:, k], SAID[:, k]) for k in range(4)])),
    ("roc_auc", LABELS, PROBABILITIES, sk.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr")),
    ("roc_auc", TWO, BOTH, sk.roc_auc_score(TWO, RIPE)),
    ("normalized_gini", TWO, BOTH, 2 * sk.roc_auc_score(TWO, RIPE) - 1),
    ("average_precision", TWO, BOTH, sk.average_precision_score(TWO, RIPE)),
    ("brier", TWO, BOTH, sk.brier_score_loss(TWO, RIPE)),
    ("mcc", LABELS, PROBABILITIES, sk.matthews_corrcoef(LABELS, PREDICTED)),
    ("quadratic_weighted_kappa", LABELS, PROBABILITIES,
     sk.cohen_kappa_score(LABELS, PREDICTED, weights="quadratic")),
    ("f1", TWO, BOTH, sk.f1_score(TWO, RIPE > 0.5)),
    ("f1_micro", LABELS, PROBABILITIES, sk.f1_score(LABELS, PREDICTED, average="micro")),
    ("f1_macro", LABELS, PROBABILITIES, sk.f1_score(LABELS, PREDICTED, average="macro")),
    ("f1_weighted", MANY, SAID, sk.f1_score(MANY, HARD, average="weighted", zero_division=0)),
    ("f1_samples", MANY, SAID, sk.f1_score(MANY, HARD, average="samples", zero_division=0)),
    ({"metric": "f_beta_samples", "beta": 2}, MANY, SAID,
     sk.fbeta_score(MANY, HARD, beta=2, average="samples", zero_division=0)),
    ({"metric": "f_beta_macro", "beta": 0.5}, LABELS, PROBABILITIES,
     sk.fbeta_score(LABELS, PREDICTED, beta=0.5, average="macro")),
    ("jaccard", TWO, BOTH, sk.jaccard_score(TWO, RIPE > 0.5)),
    ("jaccard", LABELS, PROBABILITIES, sk.jaccard_score(LABELS, PREDICTED, average="macro")),
    ("jaccard_samples", MANY, SAID, sk.jaccard_score(MANY, HARD, average="samples")),
    ("dice", TWO, BOTH, sk.f1_score(TWO, RIPE > 0.5)),
    ("exact_match", MANY, SAID, sk.accuracy_score(MANY, HARD)),
    ("hamming_loss", MANY, SAID, sk.hamming_loss(MANY, HARD)),
    ("top5", LABELS, PROBABILITIES, sk.top_k_accuracy_score(LABELS, PROBABILITIES, k=5)),
    ({"metric": "top_k", "k": 2}, LABELS, PROBABILITIES,
     sk.top_k_accuracy_score(LABELS, PROBABILITIES, k=2)),
    ({"metric": "ndcg_at_k", "k": 3}, LABELS, PROBABILITIES,
     sk.ndcg_score(np.eye(6)[LABELS], PROBABILITIES, k=3)),
    ({"metric": "ndcg_at_k", "k": 2}, MANY, SAID, sk.ndcg_score(MANY, SAID, k=2)),
    ("mean_column_auc", MANY, SAID, sk.roc_auc_score(MANY, SAID)),
    ("mean_column_average_precision", MANY, SAID, sk.average_precision_score(MANY, SAID)),
    ("lwlrap", MANY, SAID,
     sk.label_ranking_average_precision_score(MANY, SAID, sample_weight=MANY.sum(axis=1))),
    ("rmse", X, Y[:, None], sk.root_mean_squared_error(X, Y)),
    ("rmse", VALUES, GUESSED, sk.root_mean_squared_error(VALUES.ravel(), GUESSED.ravel())),
    ("mean_column_rmse", VALUES, GUESSED, sk.root_mean_squared_error(VALUES, GUESSED)),
    ("rmsle", X, Y[:, None], sk.root_mean_squared_log_error(X, Y)),
    ("mean_column_rmsle", VALUES, GUESSED, sk.root_mean_squared_log_error(VALUES, GUESSED)),
    ("mse", VALUES, GUESSED, sk.mean_squared_error(VALUES, GUESSED)),
    ("mae", VALUES, GUESSED, sk.mean_absolute_error(VALUES, GUESSED)),
    ("median_ae", VALUES, GUESSED, sk.median_absolute_error(VALUES, GUESSED)),
    ("mape", X, Y[:, None], sk.mean_absolute_percentage_error(X, Y)),
    ("r2", VALUES, GUESSED, sk.r2_score(VALUES, GUESSED)),
    ("pearson", X, Y[:, None], np.corrcoef(X, Y)[0, 1]),
    ("spearman", X.round(), Y[:, None].round(), stats.spearmanr(X.round(), Y.round()).statistic),
    ("spearman", VALUES, GUESSED,
     np.mean([stats.spearmanr(VALUES[:, k], GUESSED[:, k]).statistic for k in range(2)])),
    ({"metric": "pinball", "quantile": 0.9}, X, Y[:, None],
     sk.mean_pinball_loss(X, Y, alpha=0.9)),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "truth", "outputs", "expected"), REFERENCES)
def test_a_metric_is_that_of_its_library(
    metric: Any, truth: NDArray[Any], outputs: NDArray[np.float64], expected: float
) -> None:
    assert chosen(metric)(truth, outputs) == pytest.approx(expected, rel=1e-12)


THIRD = [[0.5, 0.3, 0.2]] * 3
RIGHT = np.eye(2)[[0, 1, 1, 0]]
# Worked out by hand from the published definitions.
BY_HAND: list[tuple[Any, Any, Any, float]] = [
    # Two classes: 1 found of 2, 2 found of 3.
    ("balanced_accuracy", [0, 0, 1, 1, 1], np.eye(2)[[0, 1, 1, 1, 0]], (1 / 2 + 2 / 3) / 2),
    # Kaggle scales a row to the sum 1 and clips at 1e-15: log 0.5, and log 1e-15.
    ("log_loss", [0, 1], [[0.4, 0.4], [1, 0]],
     (np.log(2) + 15 * np.log(10)) / 2),
    ("log_loss", [0, 1], [[0.4, 0.4], [0.2, 0.8]], (np.log(2) - np.log(0.8)) / 2),
    # Right, 1 off, 2 off, 0 off of 4; the classes that occur are 0, 2 and 3, and 1 counts too.
    ("quadratic_weighted_kappa", [0, 2, 3, 3], np.eye(4)[[0, 3, 2, 3]],
     # Observed 1 + 1; expected of the counts (1, 0, 1, 2) and (1, 0, 1, 2) over 4.
     1 - 2 / ((0 + 4 + 18 + 4 + 0 + 2 + 18 + 2 + 0) / 4)),
    ("dice", [0, 0], np.eye(2)[[0, 0]], 1.0),
    ("dice_samples", [[1, 1, 0], [0, 0, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 1, 0]],
     (2 / 3 + 1 + 0) / 3),
    # Places 1, 2 and 3.
    ({"metric": "map_at_k", "k": 2}, [0, 1, 2], THIRD, (1 + 1 / 2 + 0) / 3),
    ({"metric": "map_at_k", "k": 3}, [0, 1, 2], THIRD, (1 + 1 / 2 + 1 / 3) / 3),
    # Hits at 1 and 3 of three true labels among the best 3: (1/1 + 2/3) / 3.
    ({"metric": "map_at_k", "k": 3}, [[1, 0, 1, 1]], [[0.9, 0.8, 0.7, 0.1]], (1 + 2 / 3) / 3),
    ({"metric": "map_at_k", "k": 2}, [[1, 0, 1, 1], [0, 0, 0, 0]], [[0.9, 0.8, 0.7, 0.1]] * 2,
     (1 / 2 + 0) / 2),
    ({"metric": "ndcg_at_k", "k": 2}, [0, 1, 2], THIRD, (1 + 1 / np.log2(3) + 0) / 3),
    # Label 0 is ranked 1st (1/1), label 3 is 3rd with 2 true above or at it (2/3); label 1 (1/1).
    ("lwlrap", [[1, 0, 0, 1], [0, 1, 0, 0]], [[0.9, 0.8, 0.1, 0.5], [0.1, 0.9, 0.2, 0.3]],
     (1 + 2 / 3 + 1) / 3),
    ({"metric": "weighted_multilabel_log_loss", "weights": [2, 1], "positive": [1, 3]},
     [[1, 0], [0, 1]], [[0.5, 0.5], [0.2, 0.1]],
     -(2 * np.log(0.5) + np.log(0.5) + 2 * np.log(0.8) + 3 * np.log(0.1)) / 8),
    # Class 0: mean of log 0.8 and log 0.4; class 1: log 0.9, twice as heavy.
    ({"metric": "weighted_log_loss", "weights": [1, 2]}, [0, 0, 1],
     [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]],
     -((np.log(0.8) + np.log(0.4)) / 2 + 2 * np.log(0.9)) / 3),
    ("brier", [0, 2], [[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]],
     (0.16 + 0.09 + 0.01 + 0.25 + 0.04 + 0.49) / 2),
    ("rmsle", [0.0, np.e - 1], [[np.e - 1], [np.e**3 - 1]], np.sqrt((1 + 4) / 2)),
    ("rmsle", [0.0, 1.0], [[-5.0], [1.0]], 0.0),
    ("mape", [1.0, 2.0], [[1.5], [1.0]], 0.5),
    ("smape", [0.0, 1.0, 100.0], [[0.0], [0.0], [50.0]], 100 * (0 + 2 + 100 / 150) / 3),
    ("rmspe", [0.0, 10.0, 20.0], [[7.0], [9.0], [24.0]], np.sqrt((0.01 + 0.04) / 2)),
    ("kl_divergence", [[0.5, 0.5], [1, 0]], [[0.25, 0.75], [1, 1]],
     ((0.5 * np.log(2) + 0.5 * np.log(2 / 3)) + np.log(2)) / 2),
    ({"metric": "pinball", "quantile": 0.9}, [1.0, 1.0], [[0.0], [2.0]], (0.9 + 0.1) / 2),
    ({"metric": "laplace_log_likelihood", "sigma": 100}, [2000.0, 2000.0], [[2100.0], [5000.0]],
     -np.sqrt(2) * (100 + 1000) / 2 / 100 - np.log(np.sqrt(2) * 100)),
    ({"metric": "laplace_log_likelihood", "sigma": 1}, [3.0], [[3.0]], -np.log(np.sqrt(2) * 70)),
    ("laplace_log_likelihood", [[3.0, 0], [3.0, 0]], [[3.0, 1], [3.0, 700]],
     -(np.log(np.sqrt(2) * 70) + np.log(np.sqrt(2) * 700)) / 2),
    # Of the three pairs one is right, one wrong, one tied.
    ("concordance_index", [1.0, 2.0, 3.0], [[2.0], [2.0], [1.0]], 0.5 / 3),
    ("concordance_index", [1.0, 1.0, 3.0], [[2.0], [1.0], [2.0]], 1.5 / 2),
    # 2 before 3 before 1 of the sum 6: cumulated 2, 5, 6; best 3, 5, 6. Less (3 + 1) / 2.
    ("normalized_gini_values", [1.0, 2.0, 3.0], [[0.0], [9.0], [5.0]],
     (13 / 6 - 2) / (14 / 6 - 2)),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "truth", "outputs", "expected"), BY_HAND)
def test_a_metric_is_what_its_definition_gives(
    metric: Any, truth: Any, outputs: Any, expected: float
) -> None:
    found = chosen(metric)(np.array(truth), np.array(outputs, np.float64))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_groups_weights_and_events_come_from_the_rows() -> None:
    truth, guessed = np.array([1.0, 2.0, 3.0, 4.0]), np.array([[2.0], [4.0], [3.0], [4.0]])
    rows = {"kind": np.array(["a", "a", "b", "b"]), "w": np.array([3, 1, 1, 0])}
    # Group a is 1.5 off on average, b not at all, which counts as 1e-9.
    groups = chosen({"metric": "log_mae_by_group", "group": "kind"})
    assert groups(truth, guessed, rows) == pytest.approx((np.log(1.5) + np.log(1e-9)) / 2)
    assert chosen({"metric": "mae", "weight": "w"})(truth, guessed, rows) == (3 + 2) / 5
    weighted = chosen({"metric": "rmse", "weight": "w"})(truth, guessed, rows)
    assert weighted == pytest.approx(np.sqrt((3 + 4) / 5))
    # Row 3 is censored, and only outlives. Of the six pairs 1-2 is wrong and 1-3 tied.
    died = {"d": np.array([1, 1, 1, 0])}
    concordance = chosen({"metric": "concordance_index", "event": "d"})
    assert concordance(truth, guessed, died) == pytest.approx((4 + 0.5) / 6)
    # Censored at 2: it is compared with the earlier row 0 alone.
    assert concordance(truth, guessed, {"d": np.array([1, 0, 0, 0])}) == 1.0
    assert np.isnan(concordance(truth, guessed, {"d": np.zeros(4)}))


@pytest.mark.parametrize("seed", range(5))
def test_concordance_is_the_share_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, said, died = rng.integers(1, 8, (3, 40)) * [[1.0], [1.0], [0.25]]
    right = pairs = 0.0
    for i in range(40):
        for j in range(40):
            # j outlives i, whose event was seen; at the same time only a censored row does.
            if int(died[i]) and (time[j] > time[i] or (time[j] == time[i] and not int(died[j]))):
                pairs += 1
                right += 1.0 if said[j] > said[i] else 0.5 if said[j] == said[i] else 0.0
    metric = chosen({"metric": "concordance_index", "event": "d"})
    found = metric(time, said[:, None], {"d": died.astype(int)})
    assert found == pytest.approx(right / pairs)


def test_gini_of_classes_and_of_values_agree() -> None:
    found = METRICS["normalized_gini_values"](TWO.astype(float), RIPE.round(1)[:, None])
    rounded = np.stack([1 - RIPE.round(1), RIPE.round(1)], axis=1)
    assert found == pytest.approx(METRICS["normalized_gini"](TWO, rounded))


def test_metrics_are_undefined_where_nothing_can_be_said() -> None:
    one, two = np.ones(3), np.array([[1.0], [2.0], [3.0]])
    for name in ("pearson", "spearman", "normalized_gini_values", "concordance_index"):
        assert np.isnan(METRICS[name](one, two))
    assert np.isnan(METRICS["rmsle"](-one, two))
    assert np.isnan(METRICS["rmspe"](0 * one, two))
    zeros = np.zeros((3, 2), int)
    for name in ("mean_column_auc", "mean_column_average_precision", "lwlrap"):
        assert np.isnan(METRICS[name](zeros, np.full((3, 2), 0.5)))
    same = np.eye(2)[[1, 1, 1]]
    for name in ("roc_auc", "quadratic_weighted_kappa", "normalized_gini"):
        assert np.isnan(METRICS[name](np.array([1, 1, 1]), same))
    assert np.isnan(METRICS["average_precision"](np.array([0, 0, 0]), same))


# --- What is reported of a task's models ---------------------------------------------------------


def classification(labels: NDArray[Any], probabilities: NDArray[np.float64]) -> dict[str, float]:
    return metrics.scores(TASKS["multiclass"].metrics, labels, probabilities)


def test_scores_worked_out_by_hand() -> None:
    labels = np.array([0, 1, 1, 0])
    ripe = np.array([0.2, 0.9, 0.4, 0.6])
    found = classification(labels, np.stack([1 - ripe, ripe], axis=1))
    assert found == {
        "n": 4,
        "accuracy": 0.5,
        "log_loss": round(float(-np.log([0.8, 0.9, 0.4, 0.4]).mean()), 4),
        "roc_auc": 0.75,  # of the four pairs only (0.4, 0.6) is the wrong way round
        "brier": round((0.04 + 0.01 + 0.36 + 0.36) / 4, 4),
    }


def test_values_worked_out_by_hand() -> None:
    truth, predicted = np.array([1.0, 2.0, 6.0]), np.array([[2.0], [2.0], [4.0]])
    found = metrics.scores(TASKS["regression"].metrics, truth, predicted)
    # Errors 1, 0 and 2; the mean is 3, from which the truth is 2, 1 and 3 away.
    assert found == {
        "n": 3, "mae": 1.0, "r2": round(1 - 5 / 14, 4), "rmse": round(np.sqrt(5 / 3), 4),
    }  # fmt: skip


def test_classes_that_do_not_occur() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])
    found = classification(np.array([0, 2, 2]), probabilities)
    # Class 0: 0.6 over 0.5 and 0.2; class 2: both 0.3 and 0.6 over 0.1.
    assert (found["roc_auc"], found["n"]) == (1.0, 3)
    assert found["log_loss"] == round(float(-np.log([0.6, 0.3, 0.6]).mean()), 4)
    assert "roc_auc" not in classification(np.array([2, 2, 2]), probabilities)
    assert "top5" not in classification(LABELS % 5, PROBABILITIES[:, :5])
