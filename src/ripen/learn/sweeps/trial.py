"""One trial: its record in the store, its pruning, and its training.

Small nets on a table train side by side (`ripen.learn.models.batched`), whichever launcher runs
them. All others train one after the other, by their estimator's own `fit`.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import TrialState

from ripen.competition import index as indexes
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS, Task
from ripen.core.errors import ConfigError, DataError, TrainingError
from ripen.core.layout import Layout
from ripen.learn import target_transform
from ripen.learn.convergence import Check
from ripen.learn.estimator import Rows, Work
from ripen.learn.inputs import opened
from ripen.learn.models import batched
from ripen.learn.models.group import Trial
from ripen.learn.sweeps.space import SWEPT, Settings, swept_net
from ripen.settings.schema import Competition, Pruner

# --- Records -------------------------------------------------------------------------------------


class Point(NamedTuple):
    """One check of a training."""

    iteration: int
    loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Result:
    """The result of a trial.

    Attributes
    ----------
    ended : str
        "converged", "early_stopping" or "max_iter"; "pruned" or "diverged".
    iterations, best_iteration : int
        Its last iteration, and that of its lowest validation loss; 0 if it had no check.
    curve : tuple of Point
        All its checks.
    seconds : float
        Its training time; 0 if another trial's numbers were used.
    """

    ended: str
    iterations: int
    curve: tuple[Point, ...]
    seconds: float

    @property
    def best(self) -> Point | None:
        """The check of the lowest validation loss."""
        return min(self.curve, key=lambda point: point.validation_loss, default=None)

    @property
    def best_iteration(self) -> int:
        return self.best.iteration if self.best else 0

    @property
    def whole(self) -> bool:
        """Whether it was not pruned, so that other sweeps can use it."""
        return self.ended != "pruned"

    def cut(self, checks: int) -> "Result":
        """Return the result of the same trial, pruned after some checks."""
        curve = self.curve[:checks]
        return Result("pruned", curve[-1].iteration, curve, 0.0)

    def dumps(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self) | {"curve": [list(point) for point in self.curve]})

    @classmethod
    def loads(cls, text: str) -> "Result":
        """Read the text of `dumps`."""
        values: dict[str, Any] = json.loads(text)
        curve = tuple(Point(*point) for point in values["curve"])
        return cls(values["ended"], values["iterations"], curve, values["seconds"])


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that has ended: its number, counted from 0, its settings and their hash."""

    index: int
    settings: Settings
    key: str
    result: Result


def thinned(points: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many points, evenly spread, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    last = len(points) - 1
    return [points[round(i * last / (most - 1))] for i in range(most)]


# --- Pruning -------------------------------------------------------------------------------------


class Watch:
    """Decides at each check whether a trial is hopeless, by the trials of earlier rounds."""

    def __init__(self, settings: Pruner, history: Sequence[Result]) -> None:
        self._prunes = settings.name != "none"
        if not self._prunes:
            return
        # A study in memory, in which the trials of the history run again: the store's own study
        # also holds trials of later rounds, and must not decide.
        self._study = optuna.create_study(pruner=_pruner(settings))
        for past in history:
            self._replay(past, settings)
        self._trial = self._study.ask()

    def hopeless(self, iteration: int, validation_loss: float) -> bool:
        """Record a check; return whether the trial should end here."""
        if not self._prunes:
            return False
        self._trial.report(validation_loss, iteration)
        return self._trial.should_prune()

    def _replay(self, past: Result, settings: Pruner) -> None:
        """Let the study see a finished trial."""
        trial = self._study.ask()
        for point in past.curve:
            trial.report(point.validation_loss, point.iteration)
            if settings.name == "successive_halving":
                trial.should_prune()  # stores the rung, which later trials are compared with
        if past.ended in ("pruned", "diverged") or past.best is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, past.best.validation_loss)


def pruned(result: Result, settings: Pruner, history: Sequence[Result]) -> Result:
    """Return a result of another sweep as it would be in one that prunes."""
    watch = Watch(settings, history)
    # At its last check a trial ends by itself.
    for done, point in enumerate(result.curve[:-1], start=1):
        if watch.hopeless(point.iteration, point.validation_loss):
            return result.cut(done)
    return result


def _pruner(settings: Pruner) -> optuna.pruners.BasePruner:
    if settings.name == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=settings.startup_trials, n_warmup_steps=settings.first_iteration - 1
        )
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=settings.first_iteration, reduction_factor=settings.reduction_factor
    )


# --- Training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialSpec:
    """The input of a worker for one trial, beside the competition's files.

    Attributes
    ----------
    name : str
        The competition's.
    competition : Competition
        With the trial's settings.
    pruner : Pruner
    history : tuple of Result
        Results of earlier rounds, which the pruner compares it with.
    """

    name: str
    competition: Competition
    pruner: Pruner
    history: tuple[Result, ...]


class Hopeless(Exception):
    """Ends a training from within its callback."""


@dataclass(frozen=True)
class FirstFold:
    """The rows of the first fold, which validates, and those that train without it."""

    train: Rows
    validation: Rows
    encode: Callable[..., Any]
    task: Task
    outputs: int

    def has_categories(self) -> bool:
        """Whether the net has Embed layers for some columns."""
        encoder = self.encode("embed")
        return encoder is not None and bool(encoder.fit(self.train.x).codes_)

    def encoded(self) -> tuple[Rows, Rows]:
        """Return both as arrays, by an encoder that is fitted to the training rows."""
        encoder = self.encode()
        if encoder is None:
            return self.train, self.validation
        x = encoder.fit_transform(self.train.x)
        held_out = encoder.transform(self.validation.x)
        return Rows(x, self.train.y), Rows(held_out, self.validation.y)


def run(spec: TrialSpec) -> Result:
    """Train on the competition's files in the working folder."""
    return next(run_each([spec]))[1]


def run_each(specs: Sequence[TrialSpec]) -> Iterator[tuple[int, Result]]:
    """Train all trials of one sweep; yield each with its place as soon as it has ended."""
    with first_fold(specs[0].name, specs[0].competition) as data:
        trials = {place: as_trial(spec.competition) for place, spec in enumerate(specs)}
        stacked = {place: trial for place, trial in trials.items() if trial is not None}
        if stacked and data.has_categories():  # which a stack has no vectors for
            stacked = {}
        if stacked:
            yield from _side_by_side(specs, stacked, data)
        for place in sorted(trials.keys() - stacked.keys()):
            yield place, _alone(specs[place], data)


def as_trial(competition: Competition) -> Trial | None:
    """Return the swept net as a trial of a stack; None where it trains alone."""
    return swept_net(competition).trial(TASKS[competition.task], competition.seed)


@contextmanager
def first_fold(name: str, competition: Competition) -> Iterator[FirstFold]:
    """Open the prepared rows, split as for the first fold of a fit.

    Raises
    ------
    DataError
        If no rows are held out.
    """
    layout = Layout(name)
    index = indexes.read(layout, competition)
    learnable = index.learnable()
    folds = index.folds[learnable]
    if not (folds >= 0).any():
        raise DataError(f"{name}: a sweep compares validation losses, and no rows are held out")
    first = int(folds[folds >= 0].min())
    groups = index.groups.to_numpy()[learnable]
    train = learnable[splitter(competition.validation).trains(folds, first, groups)]
    held_out = learnable[folds == first]
    with opened(swept_net(competition).inputs, competition, layout, index) as taken:
        learnt, validation = (
            Rows(taken.take(rows), index.targets[rows]) for rows in (train, held_out)
        )
        yield FirstFold(learnt, validation, taken.encoder, index.task, index.outputs)


def files(name: str, competition: Competition) -> list[Path]:
    """Return the files that a trial reads, in the order of their names: for another machine."""
    layout, net = Layout(name), swept_net(competition)
    folders = [layout.prepared, *net.files()]
    features = [
        layout.features / f"{each}.h5" for each in net.inputs if each in competition.features
    ]
    found = {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    return sorted(found | set(features))


def _side_by_side(
    specs: Sequence[TrialSpec], trials: dict[int, Trial], data: FirstFold
) -> Iterator[tuple[int, Result]]:
    places = list(trials)
    watches = [Watch(specs[place].pruner, specs[place].history) for place in places]
    started = time.perf_counter()

    def callback(number: int, check: Check) -> bool:
        return not watches[number].hopeless(check.iteration, check.validation_loss)

    train, validation = data.encoded()
    found = batched.fit_each(list(trials.values()), data.outputs, train, validation, callback)
    for number, training in found:
        curve = tuple(_point(check) for check in training.checks)
        share = (time.perf_counter() - started) / len(places)
        yield places[number], Result(str(training.stopped), training.iterations, curve, share)


def _alone(spec: TrialSpec, data: FirstFold) -> Result:
    curve: list[Point] = []
    watch = Watch(spec.pruner, spec.history)
    hopeless = False
    started = time.perf_counter()

    def callback(check: Check) -> None:
        nonlocal hopeless
        # Raised one check late: a training that ends by itself at that check was not pruned.
        if hopeless:
            raise Hopeless
        curve.append(_point(check))
        hopeless = watch.hopeless(check.iteration, check.validation_loss)

    try:
        ended = _fit(spec, data, callback)
    except Hopeless:
        ended = "pruned"
    except TrainingError:
        ended = "diverged"
    iterations = curve[-1].iteration if curve else 0
    return Result(ended, iterations, tuple(curve), time.perf_counter() - started)


def _fit(spec: TrialSpec, data: FirstFold, callback: Callable[[Check], None]) -> str:
    """Fit the net as the stage `fit` does; return what ended its training."""
    from ripen.nets.engines.engine import chosen

    competition = spec.competition
    with (
        tempfile.TemporaryDirectory(prefix="ripen-trial-") as temporary,
        # Our own Caffe: trials leave no files for another one to read.
        chosen("torch", competition.device) as engine,
    ):
        work = Work(
            spec.name, data.task, data.outputs, competition.seed, competition.threads,
            lambda: engine, Path(temporary), data.encode, competition, callback,
        )  # fmt: skip
        fitted = target_transform.fit(swept_net(competition), data.train, data.validation, work)
    if fitted.training is None:
        raise ConfigError(
            f"a sweep compares training curves, and estimator "
            f"'{competition.models[SWEPT]['estimator']}' of the model '{SWEPT}' has none"
        )
    return str(fitted.training.stopped)


def _point(check: Check) -> Point:
    return Point(check.iteration, check.loss, check.validation_loss, check.validation_accuracy)
