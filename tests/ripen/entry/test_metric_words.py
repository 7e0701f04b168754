"""Kaggle's words for metrics. Those of leaderboards are Kaggle's own names of its algorithms."""

from typing import Any

import pytest

from ripen.competition.metrics import METRICS
from ripen.entry.metric_words import USUAL, WORDS, metric_of, usual

SAID = {
    "Categorization Accuracy": "accuracy",
    "Area Under Receiver Operating Characteristic Curve": "roc_auc",
    "Mean Columnwise Area Under Receiver Operating Characteristic Curve": "mean_column_auc",
    "Multiclass Loss": "log_loss",
    "Log Loss": "log_loss",
    "Root Mean Squared Error": "rmse",
    "Root Mean Squared Logarithmic Error": "rmsle",
    "Mean Absolute Error": "mae",
    "MAP@{K}": "map_at_k",
    "Mean Average Precision @ 3 (MAP@3)": "map_at_k",
    "Quadratic Weighted Kappa": "quadratic_weighted_kappa",
    "MCRMSE": "mean_column_rmse",
    "Normalized Gini Index": "normalized_gini",
    "Matthews Correlation Coefficient": "mcc",
    "R2 Score": "r2",
    "Macro F1 Score": "f1_macro",
    "<p>Submissions are evaluated on Root-Mean-Squared-Error (RMSE) between the logarithm of the "
    "predicted value and the logarithm of the observed sales price.</p>": "rmsle",
    "<p>Your score is the percentage of passengers you correctly predict. This is known as "
    "<a href='x'>accuracy</a>.</p>": "accuracy",
    "Submissions are evaluated using the multi-class logarithmic loss. Each": "log_loss",
    "evaluated on area under the ROC curve between the predicted probability and": "roc_auc",
}


@pytest.mark.parametrize("words", SAID)
def test_the_metric_that_kaggle_names(words: str) -> None:
    wanted = SAID[words]
    assert metric_of(words) == (wanted if wanted in METRICS else None)


def test_words_that_name_none() -> None:
    assert metric_of("") is None
    assert metric_of("The Host's Own Score") is None


def test_the_usual_metrics_are_words_too() -> None:
    assert set(USUAL.values()) <= set(WORDS.values())


@pytest.mark.parametrize(
    ("given", "metric"),
    [
        (("binary", "probability", 1), "roc_auc"),
        (("binary", "probability", 2), "log_loss"),
        (("multiclass", "probability", 5), "log_loss"),
        (("regression", "value", 1), "rmse"),
        (("regression", "value", 2), "mean_column_rmse"),
        (("regression", "value", 2, True), "mean_column_rmsle"),
        (("regression", "value", 1, True), "rmsle"),
        (("multiclass", "label", 1, False, True), "quadratic_weighted_kappa"),
        (("multiclass", "probability", 5, False, True), "log_loss"),
    ],
)
def test_what_is_usual(given: tuple[Any, ...], metric: str) -> None:
    assert usual(*given)[0] == metric
