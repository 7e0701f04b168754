"""Metrics: invariants over the whole registry, and values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from ripen.competition import metrics
from ripen.competition.metrics import METRICS
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError

CLASSES = 7  # more than five, for which top 5 is defined
NAMES = sorted(METRICS)
OF_CLASSES = [name for name in NAMES if METRICS[name].needs != "value"]
OF_VALUES = [name for name in NAMES if METRICS[name].needs == "value"]

Case = tuple[NDArray[np.generic], NDArray[np.float64]]


def case(name: str, seed: int, n: int = 40) -> Case:
    """Return a truth in which every class occurs, and random predictions."""
    rng = np.random.default_rng(seed)
    if METRICS[name].needs == "value":
        return rng.normal(size=n), rng.normal(size=(n, 1))
    return rng.permutation(np.arange(n) % CLASSES), rng.dirichlet(np.ones(CLASSES), n)


def perfect(name: str, truth: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the predictions of somebody who knows the truth."""
    if METRICS[name].needs == "value":
        return truth.astype(np.float64)[:, None]
    return np.eye(CLASSES)[truth.astype(np.int64)]


def classification(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict:  # type: ignore[type-arg]
    return metrics.scores(TASKS["multiclass"].metrics, labels, probabilities)


# --- Invariants over the registry ----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_has_a_title_a_need_and_a_direction(name: str) -> None:
    metric = METRICS[name]
    assert metric.title
    assert metric.needs in ("label", "probability", "value")
    assert isinstance(metric.greater_is_better, bool)
    assert metric.score.__doc__


def test_titles_are_all_different() -> None:
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_prediction_is_the_best(name: str, seed: int) -> None:
    metric, (truth, predicted) = METRICS[name], case(name, seed)
    best, other = metric(truth, perfect(name, truth)), metric(truth, predicted)
    assert best > other if metric.greater_is_better else best < other
    assert metric.best({"other": other, "perfect": best}) == "perfect"
    # Every metric so far ends at 1 or at 0.
    assert best == pytest.approx(float(metric.greater_is_better), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_better_predictions_are_better(name: str) -> None:
    """Mixing in the truth moves every metric in its direction."""
    metric, (truth, predicted) = METRICS[name], case(name, 4, n=400)
    shares = (0.0, 0.2, 0.5)
    mixed = [
        metric(truth, (1 - share) * predicted + share * perfect(name, truth)) for share in shares
    ]
    assert mixed == sorted(mixed, reverse=not metric.greater_is_better)
    assert mixed[0] != mixed[-1]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(name: str, seed: int) -> None:
    truth, predicted = case(name, seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    found = METRICS[name](truth[order], predicted[order])
    assert found == pytest.approx(METRICS[name](truth, predicted), rel=1e-12)


@pytest.mark.parametrize("name", OF_CLASSES)
@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_names_of_classes_do_not_matter(name: str, seed: int) -> None:
    labels, probabilities = case(name, seed)
    order = np.random.default_rng(seed).permutation(CLASSES)
    renamed = np.empty_like(probabilities)
    renamed[:, order] = probabilities
    found = METRICS[name](order[labels.astype(np.int64)], renamed)
    assert found == pytest.approx(METRICS[name](labels, probabilities), rel=1e-9)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_rows_that_sum_to_one_only_nearly_score_the_same(name: str) -> None:
    labels, probabilities = case(name, 5)
    found = METRICS[name](labels, probabilities * (1 + 3e-7))
    assert found == pytest.approx(METRICS[name](labels, probabilities), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_single_row_has_a_score_or_none(name: str) -> None:
    truth, predicted = case(name, 6)
    found = METRICS[name](truth[:1], predicted[:1])
    assert np.isnan(found) == (name in ("roc_auc", "r2"))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_only_top_5_is_undefined_for_two_classes(name: str) -> None:
    found = METRICS[name](np.array([0, 1, 1]), np.array([[0.6, 0.4], [0.3, 0.7], [0.2, 0.8]]))
    assert np.isnan(found) == (name == "top5")


@pytest.mark.parametrize("greater", [True, False])
def test_equal_scores_keep_their_order(greater: bool) -> None:
    metric = metrics.Metric("m", "value", greater, lambda truth, predicted: 0.0)
    order = ["b", "c", "a"] if greater else ["a", "b", "c"]
    assert metric.ranked({"b": 1.0, "c": 1.0, "a": 0.5}) == order
    assert metric.best({"b": 1.0, "c": 1.0, "a": 0.5}) == order[0]


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown metric 'log_los'; did you mean 'log_loss'\?"):
        METRICS["log_los"]
    with pytest.raises(ValueError, match="two metrics are called 'accuracy'"):
        metrics.metric("accuracy", "again", "label", greater_is_better=True)(lambda t, p: 0.0)


# --- Worked out by hand --------------------------------------------------------------------------


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
    found = metrics.scores(OF_VALUES, truth, predicted)
    # Errors 1, 0 and 2; the mean is 3, from which the truth is 2, 1 and 3 away.
    assert found == {
        "n": 3, "mae": 1.0, "r2": round(1 - 5 / 14, 4), "rmse": round(np.sqrt(5 / 3), 4),
    }  # fmt: skip


def test_float32_probabilities_that_sum_to_one_only_nearly() -> None:
    exact = np.array([[0.25, 0.75], [0.5, 0.5]])
    off = (exact * np.float32(1 + 3e-7)).astype(np.float32)
    assert classification(np.array([1, 0]), off) == classification(np.array([1, 0]), exact)


def test_three_classes() -> None:
    labels = np.array([0, 1, 2])
    found = classification(labels, np.eye(3) * 0.7 + 0.1)
    assert found["accuracy"] == found["roc_auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-np.log(0.8), abs=5e-5)


def test_more_than_five_classes_have_a_top_five() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.permutation(np.arange(60) % 6), rng.dirichlet(np.ones(6), 60)
    found = classification(labels, probabilities)
    ranks = (-probabilities).argsort(axis=1)[:, :5]
    assert found["top5"] == round(float((ranks == labels[:, None]).any(axis=1).mean()), 4)
    assert found["top5"] == round(top_k_accuracy_score(labels, probabilities, k=5), 4)
    assert found["roc_auc"] == round(roc_auc_score(labels, probabilities, multi_class="ovr"), 4)
    assert "top5" not in classification(labels % 5, rng.dirichlet(np.ones(5), 60))


def test_classes_that_do_not_occur() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])
    found = classification(np.array([0, 2, 2]), probabilities)
    # Class 0: 0.6 over 0.5 and 0.2; class 2: both 0.3 and 0.6 over 0.1.
    assert (found["roc_auc"], found["n"]) == (1.0, 3)
    assert found["log_loss"] == round(float(-np.log([0.6, 0.3, 0.6]).mean()), 4)
    assert "roc_auc" not in classification(np.array([2, 2, 2]), probabilities)


def test_scores_come_in_the_order_of_their_names_and_once() -> None:
    labels, probabilities = case("accuracy", 0)
    found = metrics.scores(("brier", "accuracy", "brier"), labels, probabilities)
    assert list(found) == ["n", "brier", "accuracy"]
    assert all(value == round(value, 4) for value in found.values())
