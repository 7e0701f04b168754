"""Blenders: how the outputs of several models become one. One file each.

A blender is a function from the out-of-fold outputs of some rows to a `Mixture`: a weighted sum of
the models' outputs in some space, one weight for each model. So few numbers are fitted that the
rows that give the score can give the weights too, as long as each row's own fold does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import Metric
from ripen.competition.tasks import Targets, Task
from ripen.core.registry import Registry
from ripen.learn.target_transform import TRANSFORMS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLIP = 1e-4  # of probabilities whose logarithm is taken: one wrong 0 must not decide a weight
DIGITS = 6  # of a weight, so that another processor's last bits change no file
KNOTS = 1001  # of the distribution by which an output gets its rank


def _identity(outputs: Floats) -> Floats:
    return outputs


def _logs(outputs: Floats) -> Floats:
    return np.log(np.clip(outputs, CLIP, 1))


def _logits(outputs: Floats) -> Floats:
    from scipy.special import logit

    return np.asarray(logit(np.clip(outputs, CLIP, 1 - CLIP)))


def _softmax(mixed: Floats) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(mixed, axis=1))


def _sigmoid(mixed: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(mixed))


def _log1p(outputs: Floats) -> Floats:
    return np.log1p(np.maximum(outputs, 0))


@dataclass(frozen=True)
class Space:
    """Where outputs are mixed: the way there, element by element, and back."""

    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


SPACES = {
    "linear": Space(_identity, _identity),  # probabilities, or values
    "log1p": Space(_log1p, TRANSFORMS["log1p"].back),
    "log": Space(_logs, _softmax),  # probabilities of classes
    "logit": Space(_logits, _sigmoid),  # probabilities of independent labels
}


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of the outputs of m models with k outputs each.

    Attributes
    ----------
    method : str
        The blender.
    space : str
        One of `SPACES`.
    weights : float64 ndarray of shape (m,)
        Of the models, none below 0.
    intercept : float64 ndarray of shape (k,)
    knots : float64 ndarray of shape (m, k, knots), or None
        Quantiles of each model's outputs: a rank from 0 to 1 takes the output's place before it
        is mixed.
    """

    method: str
    space: str
    weights: Floats
    intercept: Floats
    knots: Floats | None = None

    def predict(self, outputs: Floats) -> Floats:
        """Return the blend of outputs of shape (m, n, k), of shape (n, k)."""
        space = SPACES[self.space]
        total = np.zeros(outputs.shape[1:]) + self.intercept
        for place in np.flatnonzero(self.weights):
            if self.knots is None:
                taken = space.there(outputs[place])
            else:
                taken = rank_of(outputs[place], self.knots[place])
            total += self.weights[place] * taken
        return space.back(total)


def rank_of(outputs: Floats, knots: Floats) -> Floats:
    """Return the place of each output, shape (n, k), among quantiles, shape (k, knots): 0 to 1."""
    levels = np.linspace(0, 1, knots.shape[1])
    found = np.empty(outputs.shape)
    for k, own in enumerate(knots):
        # Equal outputs fill several quantiles, and take the middle one.
        left, first = np.unique(own, return_index=True)
        last = len(own) - 1 - np.unique(own[::-1], return_index=True)[1]
        found[:, k] = np.interp(outputs[:, k], left, (levels[first] + levels[last]) / 2)
    return found


@dataclass(frozen=True)
class Sample:
    """Rows to fit a blend to.

    Attributes
    ----------
    outputs : float64 ndarray of shape (m, n, k)
        Out-of-fold, of m models.
    targets : ndarray of shape (n,), or (n, k)
    loss : callable
        The competition's metric of outputs of shape (rows, k) for some of the n rows, by their
        numbers; smaller is better, infinite where it is undefined.
    task : Task
    metric : Metric
    bags, steps : int
        Settings of a greedy selection (`ripen.settings.schema.Blend`).
    seed : int
    weight : float64 ndarray of shape (n,), optional
        How much each row counts for a stacker. A selection goes by the metric, which has its own.
    """

    outputs: Floats
    targets: Targets
    loss: Callable[[Ints, Floats], float]
    task: Task
    metric: Metric
    bags: int
    steps: int
    seed: int
    weight: Floats | None = None

    @property
    def shares(self) -> Floats:
        """The weight of each row, of mean 1, shape (n,)."""
        if self.weight is None:
            return np.ones(len(self.targets))
        return np.asarray(self.weight / self.weight.mean())

    @property
    def space(self) -> str:
        """The space of plain averages: of values it is the one in which the metric takes errors."""
        return self.metric.transform or "linear"

    @property
    def wanted(self) -> Floats:
        """The outputs of a perfect model in the form of `outputs`, shape (n, k)."""
        if self.task.classifies:
            return np.eye(self.outputs.shape[2])[self.targets.astype(np.int64)]
        return self.targets.reshape(len(self.targets), -1).astype(np.float64)


@dataclass(frozen=True)
class Blender:
    """A way to blend: which tasks and metrics it fits, and how it fits rows."""

    fits: Callable[[Task, Metric], bool]
    fit: Callable[[Sample], Mixture]


BLENDERS: Registry[Blender] = Registry("blender", "ripen.learn.blenders")


def chosen(names: Sequence[str], task: Task, metric: Metric) -> dict[str, Blender]:
    """Return the named blenders that fit a task and a metric.

    Raises
    ------
    ConfigError
        If there is no blender of a name.
    """
    found = {name: BLENDERS[name] for name in dict.fromkeys(names)}
    return {name: each for name, each in found.items() if each.fits(task, metric)}


def rounded(weights: Floats) -> Floats:
    """Return weights with the digits that a file holds."""
    return np.round(weights, DIGITS) + 0.0  # no minus zero


def as_json(mixture: Mixture, models: Sequence[str]) -> dict[str, Any]:
    """Return a mixture as plain values, its weights by model."""
    return {
        "method": mixture.method,
        "space": mixture.space,
        "weights": dict(zip(models, mixture.weights.tolist(), strict=True)),
        "intercept": mixture.intercept.tolist(),
        "knots": None if mixture.knots is None else mixture.knots.tolist(),
    }


def from_json(values: Mapping[str, Any]) -> Mixture:
    """Return what `as_json` was given."""
    knots = values["knots"]
    return Mixture(
        values["method"],
        values["space"],
        np.array(list(values["weights"].values())),
        np.array(values["intercept"]),
        None if knots is None else np.array(knots),
    )
