"""Transforms of a regression's targets: models learn these, and predictions are brought back.

Nets learn numbers of the size of their weights: standardized ones, whose `Unit` is kept beside
the weights. A transform that a setting names is as `sklearn.compose.TransformedTargetRegressor`,
for any estimator: nets, and boosting, whose held-out rows end a training, take both parts
transformed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import Targets
from ripen.core.errors import DataError
from ripen.core.json_files import read_json, write_json
from ripen.learn.convergence import Training
from ripen.learn.estimator import Estimator, Fitted, Outputs, Rows, Work

ABOUT, KEY, NAMES = "model.json", "transform", "names"  # of a served model
LARGEST = 80.0  # exp(80) is 5.5e34, whose square is finite
Unit = tuple[float, float] | tuple[list[float], list[float]]
"""Mean and standard deviation of the numbers to predict, one of each for each column."""
ONE: Unit = (0.0, 1.0)


def unit_of(y: Targets) -> Unit:
    """Return the unit of numbers to predict."""
    if y.ndim == 1:
        return float(np.mean(y)), float(np.std(y)) or 1.0
    scales = [float(scale) or 1.0 for scale in np.std(y, axis=0)]
    return [float(mean) for mean in np.mean(y, axis=0)], scales


def standardized(y: Targets, unit: Unit) -> NDArray[np.float64]:
    """Return numbers to predict in their unit."""
    mean, scale = map(np.asarray, unit)
    return np.asarray((y - mean) / scale, np.float64)


def in_units(outputs: Outputs, unit: Unit) -> Outputs:
    """Return a net's outputs, of shape (n, k), as the numbers that it predicts."""
    if unit == ONE:
        return outputs
    mean, scale = unit
    if isinstance(mean, float):
        return outputs * scale + mean
    found: Outputs = outputs * np.asarray(scale) + np.asarray(mean)
    return found


@dataclass(frozen=True)
class Transform:
    """What is learnt of a target, and back.

    Attributes
    ----------
    learnt, back : callable
        Of float64 arrays, element by element.
    above : float
        Targets must be greater.
    """

    learnt: Callable[[Targets], NDArray[np.float64]]
    back: Callable[[Outputs], NDArray[np.float64]]
    above: float


def _expm1(outputs: Outputs) -> NDArray[np.float64]:
    return np.expm1(np.minimum(outputs.astype(np.float64), LARGEST))


TRANSFORMS = {"log1p": Transform(np.log1p, _expm1, -1.0)}


@dataclass(frozen=True)
class Transformed:
    """A fitted model of transformed targets, whose outputs are brought back."""

    fitted: Fitted
    transform: str

    @property
    def training(self) -> Training | None:
        """How its training went, of a net."""
        return self.fitted.training

    def predict(self, x: Any) -> Outputs:
        """Return values (`Fitted.predict`)."""
        return TRANSFORMS[self.transform].back(self.fitted.predict(x))

    def save(self, folder: Path) -> None:
        """Write the model, and in its description the transform."""
        self.fitted.save(folder)
        describe(folder, KEY, self.transform)


def describe(folder: Path, key: str, value: Any) -> None:
    """Add to the description of a saved model, if it has one."""
    file = folder / ABOUT
    if file.exists():  # nets of whole images are not served
        write_json(file, read_json(file) | {key: value})


def fit(estimator: Estimator, train: Rows, validation: Rows | None, work: Work) -> Fitted:
    """Fit to rows, whose targets are transformed where the estimator's settings say so.

    Parameters
    ----------
    estimator : Estimator
    train, validation, work
        As `Estimator.fit` takes them.

    Raises
    ------
    DataError
        If a target cannot be transformed.
    """
    name = estimator.transform or "none"
    if name == "none":
        return estimator.fit(train, validation, work)
    held = None if validation is None else _learnt(validation, name)
    return Transformed(estimator.fit(_learnt(train, name), held, work), name)


def _learnt(rows: Rows, name: str) -> Rows:
    transform, least = TRANSFORMS[name], float(rows.y.min())
    if least <= transform.above:
        raise DataError(
            f"a target is {least:g}, which transform '{name}' does not take. Allowed: above "
            f"{transform.above:g}. Else give the model the setting transform: none"
        )
    return replace(rows, y=transform.learnt(rows.y))
