"""What an estimator is: settings that fit, and what they leave, which predicts."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ripen.competition.metrics import Metric
from ripen.competition.tasks import Targets, Task
from ripen.core.errors import ConfigError
from ripen.core.registry import Registry
from ripen.learn.convergence import Check, Training
from ripen.settings.compose import check
from ripen.settings.schema import Competition
from ripen.settings.typed import Count, typed

if TYPE_CHECKING:  # these import torch, which most estimators do without
    from ripen.learn.models.group import Trial
    from ripen.nets.engines.engine import Engine

Outputs = NDArray[np.floating]
Callback = Callable[[Check], None]


def ignore(found: Check) -> None:
    """Do nothing with a check."""


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, or to predict.

    Attributes
    ----------
    x : object of length n
        As the model's input gives them (`ripen.learn.inputs`).
    y : ndarray of shape (n,), or (n, k) of several targets
        Labels or values; of rows to predict what is known of them.
    groups : ndarray of shape (n,), optional
        Rows of a group are alike, or belong together; None where there are no groups.
    weight : float64 ndarray of shape (n,), optional
        How much each row counts.
    """

    x: Any
    y: Targets
    groups: NDArray[Any] | None = None
    weight: NDArray[np.float64] | None = None

    def __getitem__(self, rows: NDArray[np.int64]) -> "Rows":
        """Return some of the rows, of an array."""
        groups, weight = (
            None if each is None else each[rows] for each in (self.groups, self.weight)
        )
        return Rows(self.x[rows], self.y[rows], groups, weight)


@dataclass(frozen=True)
class Work:
    """What a fit needs beside its rows.

    Attributes
    ----------
    competition : str
    task : Task
    outputs : int
        Numbers that a model gives for a row.
    seed, threads : int
    start_engine : callable
        Returns the engine that runs Caffe nets.
    folder : Path
        Exists; gets the model's files.
    encode : callable
        Returns an unfitted transformer of the input's rows into float32 arrays, None where they
        are arrays already (`ripen.learn.inputs.Input.encoder`).
    settings : Competition
        All of the competition's.
    callback : callable
        Is given each check of a training.
    history : bool
        Whether to keep weights on the way, for the figures of a net that learns.
    trained : bool
        Whether `folder` has the files of this very fit: a net that trains for minutes is read from
        them instead.
    """

    competition: str
    task: Task
    outputs: int
    seed: int
    threads: int
    start_engine: Callable[[], "Engine"]
    folder: Path
    encode: Callable[..., Any]
    settings: Competition
    callback: Callback = ignore
    history: bool = False
    trained: bool = False

    @property
    def engine(self) -> "Engine":
        """The engine that runs Caffe nets: most estimators never ask for it, and it takes long."""
        return self.start_engine()


class Fitted(Protocol):
    """A fitted model."""

    @property
    def training(self) -> Training | None:
        """How its training went, of a net."""

    def predict(self, x: Any) -> Outputs:
        """Return outputs of shape (n, outputs): probabilities whose rows sum to 1, or values."""

    def save(self, folder: Path) -> None:
        """Write what serves the model (`ripen.learn.models.served`) into an existing folder."""


@typed
class Tune:
    """How a model's settings are tuned (`ripen.learn.tuning`).

    Attributes
    ----------
    trials : int
        Other settings that are tried.
    folds : int
        In how many inner folds of the training rows each is scored, at most.
    space : list of str, optional
        What varies, in Hydra's syntax: ``max_depth=int(interval(2,10))``. By default the
        estimator's own.
    metric : str or mapping, optional
        By default the competition's.
    """

    trials: Count = 20
    folds: Count = 2
    space: list[str] | None = None
    metric: str | dict[str, Any] | None = None


@typed
class Estimator:
    """Settings of a model, and how they fit. One file of `ripen.learn.estimators` each.

    Attributes
    ----------
    inputs : list of str
        What a row is: ["table"], ["images"], or names of features, side by side; "table" among
        them for the columns beside the images.
    folds : int, optional
        In how many of the folds rows are held out; by default all.
    seeds : int, optional
        With how many seeds it is fitted; their outputs are averaged.
    rows : int, optional
        From how many rows it learns at most, drawn at random; by default all, or as many as it
        learns from in minutes.
    tune : Tune, optional
        How some of its settings are chosen, for each fold among its training rows.
    transform : "log1p" or "none", optional
        What is learnt of a regression's targets: log(1 + y), or the targets themselves. By default
        the metric decides.
    """

    inputs: Annotated[list[str], Field(min_length=1)] = Field(default_factory=lambda: ["table"])
    folds: Count | None = None
    seeds: Count | None = None
    rows: Count | None = None
    tune: Tune | None = None
    transform: Literal["log1p", "none"] | None = None

    refits: ClassVar[bool | None] = None
    """Whether the test rows are predicted by a model of all labelled rows, or by the mean of the
    folds' models; None to leave it to the splitter."""
    learns: ClassVar[bool] = True
    has_learning_curve: ClassVar[bool] = True
    does: ClassVar[str] = ""
    """The one thing that it can do: "classifies" or "regresses"; "" for both."""
    takes_labels: ClassVar[bool] = False
    """Whether one that classifies can do so by several independent labels."""
    cost: ClassVar[float] = 10
    """About how long a fit takes, compared with others: a budget begins with the least."""
    most_rows: ClassVar[int | None] = None
    """From how many rows it learns where `rows` is not given: its time grows faster than these."""
    space: ClassVar[tuple[str, ...]] = ()
    """What `tune` varies, in Hydra's syntax."""
    needs: ClassVar[str] = ""
    """The package of the extra `boosters` without which it cannot fit."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return next(name for name, kind in ESTIMATORS.items() if kind is type(self))

    @property
    def most(self) -> int | None:
        """From how many rows it learns at most; None from all."""
        return self.rows or self.most_rows

    def judged_by(self, metric: Metric) -> Self:
        """Return the settings, with those that are not given and that a metric decides."""
        if self.transform is not None or metric.transform is None:
            return self
        return replace(self, transform=metric.transform)

    def refusal(self, task: Task) -> str:
        """Return why it cannot fit at all, and what to do about it; "" if it can."""
        if self.needs and importlib.util.find_spec(self.needs) is None:
            return (
                f"estimator '{self.name}' needs the package '{self.needs}'. Run: "
                ".venv/bin/pip install -e '.[boosters]'"
            )
        if self.tune and not (self.tune.space or self.space):
            return (
                f"estimator '{self.name}' has no settings to tune. Leave tune out, or list some: "
                "tune: {space: ['KEY=VALUE,VALUE']}"
            )
        return self.unsuited(task)

    def unsuited(self, task: Task) -> str:
        """Return why it cannot do a task; "" if it can."""
        if self.transform not in (None, "none") and task.probabilities:
            return f"transform '{self.transform}' is of numbers. For classes leave it out"
        if self.does == "classifies" and not task.probabilities:
            return f"estimator '{self.name}' only classifies. For a regression set it to null"
        if self.does == "classifies" and not (task.classifies or self.takes_labels):
            return f"estimator '{self.name}' predicts one class, not labels. Set it to null"
        if self.does == "regresses" and task.probabilities:
            return f"estimator '{self.name}' only predicts numbers. For classes set it to null"
        return ""

    def check_task(self, task: Task) -> None:
        """Make sure that it can fit.

        Raises
        ------
        ConfigError
            If it cannot (`refusal`).
        """
        if reason := self.refusal(task):
            raise ConfigError(reason)

    def nets(self) -> list[str]:
        """Return the nets of the zoo whose weights it begins with."""
        return []

    def files(self) -> list[Path]:
        """Return the folders of the repository that it reads beside its inputs."""
        return []

    def trial(self, task: Task, seed: int) -> "Trial | None":
        """Return its training as a trial of a stack, None where it trains alone.

        Trials of a sweep that can be stacked train side by side (`ripen.learn.models.batched`).
        """
        return None

    def least(self) -> tuple[int, int]:
        """Return how many training rows are needed: of each class, and in all."""
        return (1, 1)

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> Fitted:
        """Fit to rows.

        Parameters
        ----------
        train : Rows
        validation : Rows or None
            By which a training is followed, and may end; None where all rows train.
        work : Work
        """
        raise NotImplementedError


ESTIMATORS: Registry[type[Estimator]] = Registry("estimator", "ripen.learn.estimators")


def estimator(settings: Mapping[str, Any], where: str) -> Estimator:
    """Return the estimator that a section of `models` names, with its settings.

    Raises
    ------
    ConfigError
        If there is none of that name, or its settings do not fit.
    """
    values = {key: value for key, value in settings.items() if value is not None}
    kind = ESTIMATORS[str(values.pop("estimator", ""))]
    return check(values, kind, where)


def comparable(competition: Competition, nets: Iterable[str]) -> list[str]:
    """Return the nets that one estimator trains, where there are several: their losses compare."""
    groups: dict[str, list[str]] = {}
    for net in nets:
        groups.setdefault(str(competition.models[net]["estimator"]), []).append(net)
    return max(groups.values(), key=len, default=[])
