"""Metrics of values: one for each row, shape (n,), or k, shape (n, k)."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ripen.competition.metrics import (
    EPSILON,
    VALUES,
    Clip,
    PerRow,
    metric,
    numbers_of,
    weights_of,
)
from ripen.settings.typed import Positive

Values = NDArray[np.float64]
NAN = float("nan")


def _columns(values: Values) -> Values:
    """Return values as k columns."""
    return values.reshape(len(values), -1)


def _mean_over_columns(
    score: Callable[[Values, Values], float], truth: Values, predicted: Values
) -> float:
    pairs = zip(_columns(truth).T, _columns(predicted).T, strict=True)
    return float(np.mean([score(one, other) for one, other in pairs]))


@metric("rmse", "RMSE", "value", greater_is_better=False, tasks=VALUES)
def rmse(truth: Values, predicted: Values, *, weight: PerRow | None = None) -> float:
    """Return the root mean squared error, over all numbers of all columns.

    `weight` names a column of row weights.

    Source: scikit-learn, `root_mean_squared_error`, which averages over columns (here
    `mean_column_rmse`).
    """
    from sklearn.metrics import root_mean_squared_error

    numbers = _columns(truth).shape[1]
    weights = None if weight is None else np.repeat(weights_of(weight), numbers)
    found = root_mean_squared_error(truth.ravel(), predicted.ravel(), sample_weight=weights)
    return float(found)


@metric("mean_column_rmse", "mean column-wise RMSE", "value", greater_is_better=False, tasks=VALUES)
def mean_column_rmse(truth: Values, predicted: Values) -> float:
    """Return the mean over columns of the root mean squared error.

    Source: scikit-learn, `root_mean_squared_error`; Kaggle, `stanford-covid-vaccine`.
    """
    return _mean_over_columns(rmse, truth, predicted)


@metric(
    "rmsle",
    "RMSLE",
    "value",
    greater_is_better=False,
    tasks=VALUES,
    least=0,
    transform="log1p",
)
def rmsle(truth: Values, predicted: Values) -> float:
    """Return the RMSE of log(1 + value), over all numbers of all columns.

    A prediction below 0 counts as 0. Undefined if a true value is below 0.

    Source: scikit-learn, `root_mean_squared_log_error`, which refuses predictions below 0; Kaggle,
    `bike-sharing-demand`.
    """
    if truth.min() < 0:
        return NAN
    return rmse(np.log1p(truth), np.log1p(predicted))


@metric(
    "mean_column_rmsle",
    "mean column-wise RMSLE",
    "value",
    greater_is_better=False,
    tasks=VALUES,
    least=0,
    transform="log1p",
)
def mean_column_rmsle(truth: Values, predicted: Values) -> float:
    """Return the mean over columns of RMSLE.

    Source: scikit-learn, `root_mean_squared_log_error`; Kaggle,
    `nomad2018-predict-transparent-conductors`.
    """
    return _mean_over_columns(rmsle, truth, predicted)


@metric("mse", "mean squared error", "value", greater_is_better=False, tasks=VALUES)
def mse(truth: Values, predicted: Values) -> float:
    """Return the mean of the squared errors.

    Source: scikit-learn, `mean_squared_error`.
    """
    return float(np.mean((truth - predicted) ** 2))


@metric("mae", "mean absolute error", "value", greater_is_better=False, tasks=VALUES, quantile=0.5)
def mae(truth: Values, predicted: Values, *, weight: PerRow | None = None) -> float:
    """Return the mean absolute error.

    `weight` names a column of row weights.

    Source: scikit-learn, `mean_absolute_error`; Kaggle, with weights,
    `walmart-recruiting-store-sales-forecasting`.
    """
    from sklearn.metrics import mean_absolute_error

    weights = None if weight is None else weights_of(weight)
    return float(mean_absolute_error(truth, predicted, sample_weight=weights))


@metric(
    "median_ae",
    "median absolute error",
    "value",
    greater_is_better=False,
    tasks=VALUES,
    quantile=0.5,
)
def median_ae(truth: Values, predicted: Values) -> float:
    """Return the median absolute error, averaged over columns.

    Source: scikit-learn, `median_absolute_error`.
    """
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(truth, predicted))


@metric("mape", "MAPE", "value", greater_is_better=False, tasks=VALUES)
def mape(truth: Values, predicted: Values) -> float:
    """Return the mean of the absolute errors divided by the true values, 0.1 for 10%.

    A true value of 0 counts as 2.2e-16.

    Source: scikit-learn, `mean_absolute_percentage_error`; Kaggle, `playground-series-s5e1`.
    """
    from sklearn.metrics import mean_absolute_percentage_error

    return float(mean_absolute_percentage_error(truth, predicted))


@metric("smape", "SMAPE", "value", greater_is_better=False, tasks=VALUES)
def smape(truth: Values, predicted: Values) -> float:
    """Return the mean of 2 |y - ŷ| / (|y| + |ŷ|) in percent, from 0 to 200; 0 where both are 0.

    Source: Kaggle, `web-traffic-time-series-forecasting`.
    """
    size = np.abs(truth) + np.abs(predicted)
    error = 2 * np.abs(truth - predicted)
    return float(100 * np.mean(np.divide(error, size, out=np.zeros_like(size), where=size > 0)))


@metric("rmspe", "RMSPE", "value", greater_is_better=False, tasks=VALUES)
def rmspe(truth: Values, predicted: Values) -> float:
    """Return the root of the mean of ((y - ŷ) / y)², 0.1 for 10%; true values of 0 do not count.

    Source: Kaggle, `rossmann-store-sales`.
    """
    counted = truth != 0
    if not counted.any():
        return NAN
    errors = (truth[counted] - predicted[counted]) / truth[counted]
    return float(np.sqrt(np.mean(errors**2)))


@metric("r2", "R²", "value", greater_is_better=True, tasks=VALUES)
def r2(truth: Values, predicted: Values) -> float:
    """Return the share of variance explained, averaged over columns.

    Undefined for a single row.

    Source: scikit-learn, `r2_score`; Kaggle, `mercedes-benz-greener-manufacturing`.
    """
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted)) if len(truth) > 1 else NAN


@metric("pearson", "Pearson correlation", "value", greater_is_better=True, tasks=VALUES)
def pearson(truth: Values, predicted: Values) -> float:
    """Return the linear correlation, averaged over columns; undefined if one is constant.

    Source: scipy, `stats.pearsonr`; Kaggle, `us-patent-phrase-to-phrase-matching`.
    """
    return _mean_over_columns(_correlation, truth, predicted)


@metric(
    "spearman", "Spearman correlation", "value", greater_is_better=True, tasks=VALUES, ranks=True
)
def spearman(truth: Values, predicted: Values) -> float:
    """Return the correlation of ranks, averaged over columns; undefined if one is constant.

    Equal values get the mean of their ranks.

    Source: scipy, `stats.spearmanr`; Kaggle, `google-quest-challenge`, of columns.
    """
    from scipy.stats import rankdata

    return _mean_over_columns(
        lambda one, other: _correlation(rankdata(one), rankdata(other)), truth, predicted
    )


def _correlation(one: Values, other: Values) -> float:
    from scipy.stats import pearsonr

    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:  # scipy would warn, and return NaN
        return NAN
    return float(pearsonr(one, other).statistic)


@metric("kl_divergence", "KL divergence", "value", greater_is_better=False, tasks=VALUES, least=0)
def kl_divergence(truth: Values, predicted: Values, *, clip: Clip = EPSILON) -> float:
    """Return the mean over rows of Σ p log(p / q), in nats; a row's columns are a distribution.

    Predictions below 0 count as 0, and a row's are scaled to sum to 1, which Kaggle demands. Truth
    and predictions are clipped to [clip, 1 - clip]. Undefined for a single column.

    Source: Kullback and Leibler, 1951; Kaggle, `hms-harmful-brain-activity-classification`, whose
    terms of true probability 0 are those of the clip.
    """
    from scipy.special import rel_entr

    if truth.ndim == 1:
        return NAN
    total = predicted.sum(axis=1, keepdims=True)
    even = np.full_like(predicted, 1 / predicted.shape[1])
    q = np.divide(predicted, total, out=even, where=total > 0)
    return float(
        rel_entr(*(np.clip(each, clip, 1 - clip) for each in (truth, q))).sum(axis=1).mean()
    )


Quantile = Annotated[float, Field(gt=0, lt=1)]


@metric("pinball", "pinball loss", "value", greater_is_better=False, tasks=VALUES, quantile=0.5)
def pinball(truth: Values, predicted: Values, *, quantile: Quantile = 0.5) -> float:
    """Return the mean absolute error, times the quantile below the truth, 1 - quantile above it.

    At the quantile 0.5 it is half the mean absolute error.

    Source: Koenker and Bassett, 1978; scikit-learn, `mean_pinball_loss`.
    """
    from sklearn.metrics import mean_pinball_loss

    return float(mean_pinball_loss(truth, predicted, alpha=quantile))


# --- By groups, with a spread, of times ----------------------------------------------------------


@metric(
    "log_mae_by_group",
    "log MAE by group",
    "value",
    greater_is_better=False,
    tasks=VALUES,
    quantile=0.5,
)
def log_mae_by_group(truth: Values, predicted: Values, *, group: PerRow) -> float:
    """Return the mean over groups of the log of the group's mean absolute error, at least 1e-9.

    `group` names the column of groups. The lowest possible score is -20.723.

    Source: Kaggle, `champs-scalar-coupling`.
    """
    errors = _columns(np.abs(truth - predicted)).mean(axis=1)
    _, places = np.unique(group.astype(str), return_inverse=True)
    means = np.bincount(places, weights=errors) / np.bincount(places)
    return float(np.mean(np.log(np.maximum(means, 1e-9))))


@metric(
    "laplace_log_likelihood",
    "Laplace log likelihood",
    "value",
    greater_is_better=True,
    tasks=VALUES,
)
def laplace_log_likelihood(
    truth: Values,
    predicted: Values,
    *,
    sigma: Positive = 70.0,
    least_sigma: Positive = 70.0,
    largest_error: Positive = 1000.0,
) -> float:
    """Return the mean of -√2 Δ / σ - log(√2 σ), Δ the absolute error, at most `largest_error`.

    σ is the predicted spread, at least `least_sigma`. With two columns the first is the value and
    the second the spread; with one, the spread is `sigma` in all rows.

    Source: Kaggle, `osic-pulmonary-fibrosis-progression` (70 and 1000).
    """
    values, said = _columns(truth), _columns(predicted)
    spread = said[:, 1] if said.shape[1] > 1 else np.full(len(said), sigma)
    spread = np.maximum(spread, least_sigma)
    error = np.minimum(np.abs(values[:, 0] - said[:, 0]), largest_error)
    return float(np.mean(-np.sqrt(2) * error / spread - np.log(np.sqrt(2) * spread)))


@metric(
    "concordance_index",
    "concordance index",
    "value",
    greater_is_better=True,
    tasks=VALUES,
    ranks=True,
)
def concordance_index(truth: Values, predicted: Values, *, event: PerRow | None = None) -> float:
    """Return the share of comparable pairs of rows in the right order; tied predictions count half.

    A greater prediction means a later time. A pair is comparable if its times differ and the
    earlier one ended in the event. The column `event` is 1 if a row did and 0 if it was censored;
    by default all rows did. A censored row outlives an event of the same time. Undefined without a
    comparable pair, or for several columns.

    Source: Harrell et al., 1982; lifelines, `concordance_index`, the same without censored ties.
    """
    if truth.ndim > 1:
        return NAN
    ended = np.ones(len(truth), bool) if event is None else numbers_of(event) > 0
    later: list[float] = []  # sorted predictions of the rows with later times
    right, pairs = 0.0, 0
    for time in np.unique(truth)[::-1]:
        now = truth == time
        for said in np.sort(predicted[now & ~ended]):
            insort(later, said)
        for said in predicted[now & ended]:
            above = len(later) - bisect_right(later, said)
            equal = len(later) - above - bisect_left(later, said)
            right, pairs = right + above + equal / 2, pairs + len(later)
        for said in predicted[now & ended]:
            insort(later, said)
    return right / pairs if pairs else NAN


@metric(
    "normalized_gini_values",
    "normalized Gini of values",
    "value",
    greater_is_better=True,
    tasks=VALUES,
    ranks=True,
)
def normalized_gini_values(truth: Values, predicted: Values) -> float:
    """Return the Gini coefficient of the true values by prediction, divided by the perfect one.

    Rows of equal predictions count with the mean of their true values, so the order of rows has no
    effect; Kaggle's code takes them in the file's order. Undefined if all true values are equal, or
    for several columns.

    Source: Kaggle, `ClaimPredictionChallenge`,
    `liberty-mutual-group-property-inspection-prediction`.
    """
    if truth.ndim > 1 or truth.sum() == 0 or np.ptp(truth) == 0:
        return NAN
    return _gini(truth, predicted) / _gini(truth, truth)


def _gini(truth: Values, scores: Values) -> float:
    """Return the area between the curve of cumulated truth, best score first, and the diagonal."""
    _, places = np.unique(-scores, return_inverse=True)
    means = np.bincount(places, weights=truth) / np.bincount(places)
    ordered = means[np.sort(places)]
    n = len(truth)
    return float(ordered.cumsum().sum() / truth.sum() - (n + 1) / 2) / n
