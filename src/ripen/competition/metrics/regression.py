"""Metrics of values, by scikit-learn."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import metric

Values = NDArray[np.float64]


@metric("rmse", "RMSE", "value", greater_is_better=False)
def rmse(truth: Values, predicted: Values) -> float:
    """Return the root of the mean squared error."""
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(truth, predicted))


@metric("mae", "mean absolute error", "value", greater_is_better=False)
def mae(truth: Values, predicted: Values) -> float:
    """Return the mean absolute error."""
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(truth, predicted))


@metric("r2", "R²", "value", greater_is_better=True)
def r2(truth: Values, predicted: Values) -> float:
    """Return the share of the variance that is explained; not defined for a single row."""
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted)) if len(truth) > 1 else float("nan")
