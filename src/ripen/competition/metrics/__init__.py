"""Metrics: one registry, and the only place that stores whether greater is better."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ripen.core.registry import Registry

DECIMALS = 4  # more would show another processor's last bits

Needs = Literal["label", "probability", "value"]
Score = Callable[[NDArray[Any], NDArray[np.float64]], float]


@dataclass(frozen=True)
class Metric:
    """How good predictions are.

    Attributes
    ----------
    title : str
        What a table or an axis calls it.
    needs : "label", "probability" or "value"
        What a model has to give. A label follows from probabilities.
    greater_is_better : bool
    score : callable
        Takes the truth, shape (n,): classes 0 … k-1, or values; and the predictions: of shape
        (n, k) for probabilities whose rows sum to 1, else (n,). NaN where it is not defined.
    """

    title: str
    needs: Needs
    greater_is_better: bool
    score: Score

    def __call__(self, truth: NDArray[np.generic], predicted: NDArray[np.float64]) -> float:
        """Score a model's outputs.

        Parameters
        ----------
        truth : ndarray of shape (n,)
        predicted : float64 ndarray of shape (n, outputs)
            Probabilities of each class, or one value.
        """
        if self.needs == "value":
            return float(self.score(truth, predicted[:, 0]))
        probabilities = normalised(predicted)
        if self.needs == "label":
            return float(self.score(truth, probabilities.argmax(axis=1).astype(np.float64)))
        return float(self.score(truth, probabilities))

    def best(self, scores: dict[str, float]) -> str:
        """Return the name of the best score; of several the first."""
        return self.ranked(scores)[0]

    def ranked(self, scores: dict[str, float]) -> list[str]:
        """Return names, the best score first; equal ones keep their order."""
        sign = -1 if self.greater_is_better else 1
        return sorted(scores, key=lambda name: sign * scores[name])


METRICS: Registry[Metric] = Registry("metric", "ripen.competition.metrics")


def metric(
    name: str, title: str, needs: Needs, *, greater_is_better: bool
) -> Callable[[Score], Score]:
    """Register a function as a metric."""

    def registered(score: Score) -> Score:
        METRICS.register(name)(Metric(title, needs, greater_is_better, score))
        return score

    return registered


def scores(
    names: Iterable[str], truth: NDArray[np.generic], predicted: NDArray[np.float64]
) -> dict[str, float]:
    """Score predictions by several metrics, rounded; those that are undefined here are absent.

    Returns
    -------
    dict
        ``n`` (rows), then the metrics by name.
    """
    found = {name: METRICS[name](truth, predicted) for name in dict.fromkeys(names)}
    return {"n": len(truth)} | {
        name: round(value, DECIMALS) for name, value in found.items() if not np.isnan(value)
    }


def normalised(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make rows sum to 1: a softmax in float32 does only nearly, and log loss needs it exactly."""
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))
