"""Metrics: one registry, and the only place that stores whether greater is better.

A metric is one decorated function in one of this folder's files. Its keyword-only parameters are
its settings (`metric: {metric: f_beta, beta: 2}`), typed by their annotations. For a parameter
annotated `PerRow` the settings name a column, and the function gets the column's values.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from ripen.core.errors import ConfigError, DataError
from ripen.core.registry import Registry
from ripen.settings.compose import as_mapping, check
from ripen.settings.typed import key_of, typed

DECIMALS = 4  # of the other reported metrics
DIGITS = 6  # of the score itself: Kaggle shows 5

Needs = Literal["label", "probability", "value", "ranking", "submission"]
Score = Callable[..., float]
Clip = Annotated[float, Field(gt=0, lt=0.5)]
EPSILON = 1e-15  # where Kaggle clips, as its pages on the evaluation say; scikit-learn: 2.2e-16
PerRow = Annotated[NDArray[Any], "a column of the rows"]
"""A column of the rows, shape (n,): weights, groups or events. The setting is its name."""

CLASSES = ("binary", "multiclass")
LABELS = ("multilabel",)
VALUES = ("regression",)


@dataclass(frozen=True)
class Order:
    """A score's title, and which of two scores is better."""

    title: str
    greater_is_better: bool

    def best(self, scores: Mapping[str, float]) -> str:
        """Return the name of the best score, the first of equal ones."""
        return self.ranked(scores)[0]

    def ranked(self, scores: Mapping[str, float]) -> list[str]:
        """Return names, best score first; equal scores keep their order."""
        sign = -1 if self.greater_is_better else 1
        return sorted(scores, key=lambda name: sign * scores[name])


@dataclass(frozen=True)
class Metric(Order):
    """A measure of predictions.

    Attributes
    ----------
    title : str
        Its name in tables and on axes.
    greater_is_better : bool
    name : str
        Its key in `metrics/<competition>.json`.
    needs : "label", "probability", "value", "ranking" or "submission"
        The form of a model's outputs that is scored. Labels and rankings follow from probabilities:
        the most probable class, or each label above 0.5; the classes, most probable first.
        "submission": tables in the form of the sample (`ripen.competition.metric_file`).
    tasks : tuple of str
        The tasks that it fits.
    score : callable
        Takes the truth: classes 0 … c-1 or values, shape (n,); or k labels or values, shape (n, k).
        Then the predictions, of the truth's shape, or of shape (n, c) for probabilities and
        rankings of classes. Returns NaN where it is undefined.
    settings : mapping
        Keyword arguments of `score`.
    columns : mapping of str to str
        Keyword arguments of `score` that are a column of the rows each, to its name.
    least : float, optional
        The least predicted value that it knows: a lower one counts as this, and is submitted so.
    ranks : bool
        Whether only the order of rows counts: a monotone transform of the predictions changes
        nothing.
    ordered : bool
        Whether classes are places on a scale, so that a miss by two costs more than one by one.
    transform : str, optional
        The transform of the targets whose squared error the metric is. Models learn transformed
        targets unless their settings say otherwise (`ripen.learn.target_transform`).
    quantile : float, optional
        The quantile of a row's possible values that scores best, where absolute errors count: 0.5
        is the median. LightGBM predicts it; by default it is the mean.
    """

    name: str
    needs: Needs
    tasks: tuple[str, ...]
    score: Score
    settings: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    least: float | None = None
    transform: Literal["log1p"] | None = None
    quantile: float | None = None
    ranks: bool = False
    ordered: bool = False

    def __call__(
        self,
        truth: NDArray[Any],
        outputs: NDArray[np.floating],
        rows: Mapping[str, NDArray[Any]] | None = None,
    ) -> float:
        """Score a model's outputs.

        Parameters
        ----------
        truth : ndarray of shape (n,) or (n, k)
        outputs : float ndarray of shape (n, outputs)
            Probabilities of each class or label, or values.
        rows : mapping of str to ndarray of shape (n,), optional
            The columns named by `columns`.

        Raises
        ------
        DataError
            If the outputs do not fit the truth, or the metric.
        """
        given = {name: (rows or {})[column] for name, column in self.columns.items()}
        return float(self.score(truth, self._taken(truth, outputs), **self.settings, **given))

    def _taken(self, truth: NDArray[Any], outputs: NDArray[np.floating]) -> NDArray[Any]:
        """Return a model's outputs in the form that the function takes."""
        classes = truth.ndim == 1 and self.needs != "value"
        n, *columns = outputs.shape
        wanted = list(truth.shape[1:]) or [1]
        fits = columns[0] > 1 if classes else columns == wanted
        if n != len(truth) or not fits:
            shape = f"({len(truth)}, {'classes' if classes else wanted[0]})"
            raise DataError(
                f"metric '{self.name}' needs {NEEDED[self.needs]} of shape {shape}. The model gave "
                f"{outputs.shape}"
            )
        if self.needs == "value":
            counted = self.counted(outputs)
            return counted if truth.ndim > 1 else counted[:, 0]
        probabilities = normalized(outputs) if classes else outputs
        if self.needs == "probability":
            return probabilities
        if self.needs == "ranking":  # among equal ones the first class wins
            return np.argsort(-probabilities, axis=1, kind="stable")
        return probabilities.argmax(axis=1) if classes else (probabilities > 0.5).astype(np.int64)

    def counted(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return values as they count, none below `least`."""
        return outputs if self.least is None else np.maximum(outputs, self.least)

    def check(self, task: str) -> None:
        """Check that the metric fits a task.

        Raises
        ------
        ConfigError
            If it does not fit.
        """
        if (self.needs == "value") != (task in VALUES) and self.needs != "submission":
            raise ConfigError(
                f"metric '{self.name}' needs a {self.needs}, which task '{task}' does not give"
            )
        if task not in self.tasks:
            raise ConfigError(
                f"metric '{self.name}' is not for task '{task}'. It is for: {', '.join(self.tasks)}"
            )


NEEDED = {
    "label": "labels",
    "probability": "probabilities",
    "value": "values",
    "ranking": "a ranking of the classes",
    "submission": "a submission",
}

METRICS: Registry[Metric] = Registry("metric", "ripen.competition.metrics")


def metric(
    name: str,
    title: str,
    needs: Needs,
    *,
    greater_is_better: bool,
    tasks: tuple[str, ...],
    least: float | None = None,
    transform: Literal["log1p"] | None = None,
    quantile: float | None = None,
    ranks: bool = False,
    ordered: bool = False,
) -> Callable[[Score], Score]:
    """Register a function as a metric."""

    def registered(score: Score) -> Score:
        METRICS.add(
            name,
            Metric(
                title, greater_is_better, name, needs, tasks, score,
                least=least, transform=transform, quantile=quantile, ranks=ranks, ordered=ordered,
            ),
        )  # fmt: skip
        return score

    return registered


@cache  # pydantic needs milliseconds for each
def settings_of(score: Score) -> type:
    """Return the type of a metric's settings: a field for each of its keyword-only parameters."""
    hints = get_type_hints(score, include_extras=True)
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name, parameter in inspect.signature(score).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            fields[name] = _as_setting(hints[name])
            if parameter.default is not parameter.empty:
                defaults[name] = parameter.default
    return typed(type("Settings", (), {"__annotations__": fields} | defaults))


def chosen(settings: str | Mapping[str, Any], where: str = "metric") -> Metric:
    """Return the metric that a competition's settings name, with its own settings.

    Parameters
    ----------
    settings : str or mapping
        A name of the registry, or a mapping with the name under "metric" and its settings.
    where : str
        For errors.

    Raises
    ------
    ConfigError
        If there is no such metric, or its settings are invalid. The error names the nearest one.
    """
    values = {"metric": settings} if isinstance(settings, str) else dict(settings)
    if "metric" not in values:
        raise ConfigError(f"{where}: key 'metric' is missing, the metric's name")
    found = METRICS[str(values.pop("metric"))]
    kind = settings_of(found.score)
    typed_values = as_mapping(check(values, kind, f"{where} '{found.name}'"))
    per_row = [key_of(name) for name, hint in kind.__annotations__.items() if _is_column(hint)]
    columns = {name: typed_values.pop(name) for name in per_row}
    shown = ", ".join(f"{key} {value}" for key, value in values.items())
    return replace(
        found,
        title=f"{found.title} ({shown})" if shown else found.title,
        settings=typed_values,
        quantile=typed_values.get("quantile", found.quantile),
        columns={name: column for name, column in columns.items() if column is not None},
    )


Column = Annotated[str, "a column of the rows"]


def _as_setting(hint: Any) -> Any:
    """Return the type of a setting, which for a column is the column's name."""
    if hint == PerRow:
        return Column
    return Column | None if PerRow in get_args(hint) else hint


def _is_column(hint: Any) -> bool:
    return hint == Column or Column in get_args(hint)


def order_of(metrics: Mapping[str, Any]) -> Order:
    """Return the title and the direction of the deciding metric, which ``best_by`` names.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics/<competition>.json`. For a metric that is not in the registry it
        holds title and direction, under ``metric``.
    """
    own = metrics.get("metric")
    return Order(**own) if own else METRICS[str(metrics["best_by"]).partition("/")[2]]


def numbers_of(column: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column of the rows as numbers.

    Raises
    ------
    DataError
        If a value is not a number.
    """
    numbers = np.asarray(pd.to_numeric(pd.Series(column), errors="coerce"), np.float64)
    if (bad := np.isnan(numbers)).any():
        raise DataError(f"the metric needs a column of numbers, and '{column[bad][0]}' is not one")
    return numbers


def weights_of(column: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column of the rows as weights.

    Raises
    ------
    DataError
        If a weight is negative or not a number, or no weight is above 0.
    """
    weights = numbers_of(column)
    if not (weights >= 0).all() or not weights.any():
        raise DataError("the metric needs weights of 0 or more, one of them above 0")
    return weights


def each_of(weights: list[float] | None, k: int) -> NDArray[np.float64]:
    """Return the weights of k classes or labels, in their order; all 1 without the setting.

    Raises
    ------
    DataError
        If their number is not k, or all are 0.
    """
    found = np.ones(k) if weights is None else np.asarray(weights, np.float64)
    if len(found) != k or not found.any():
        raise DataError(f"metric: {weights} must be {k} weights, one of them above 0")
    return found


def scores(
    names: Iterable[str], truth: NDArray[Any], predicted: NDArray[np.float64]
) -> dict[str, float]:
    """Score predictions by several metrics, rounded, without those that are undefined here.

    Returns
    -------
    dict
        ``n`` (rows), then the metrics by name.
    """
    found = {name: METRICS[name](truth, predicted) for name in dict.fromkeys(names)}
    return {"n": len(truth)} | {
        name: round(value, DECIMALS) for name, value in found.items() if not np.isnan(value)
    }


def normalized(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale rows to sum to 1: a softmax in float32 does so only nearly, and log loss needs it."""
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))
