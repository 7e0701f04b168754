"""Tuning: some settings of a model, chosen for each fold among its own training rows.

Optuna's TPE tries settings in inner folds of the training rows, so that no held-out row has a say
in the settings that predict it: the out-of-fold score needs no correction. Trials are kept in the
study store; a fit that was killed goes on with the next one. Each trial has a sampler of its own,
seeded with its number, so an interruption changes no result.
"""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ripen.competition.index import Ints
from ripen.competition.metrics import METRICS, Metric, chosen
from ripen.core.errors import DataError, TrainingError
from ripen.core.json_files import write_json
from ripen.core.reproducibility import derived_seed
from ripen.learn import boosting, target_transform
from ripen.learn.estimator import Estimator, Rows, Tune, estimator, ignore
from ripen.learn.model_fit import Fit
from ripen.learn.sweeps import space as spaces
from ripen.settings.compose import as_mapping

TUNED = "tuned.json"
STARTUP = 5  # trials that are finished before one is pruned
HOLD_OUT = 0.2  # of the training rows, where these have no folds

Settings = dict[str, Any]


def space(of: Estimator) -> spaces.Space:
    """Return what varies.

    Raises
    ------
    ConfigError
        If a line is not in Hydra's syntax, or names an unknown setting or a value not allowed.
    """
    assert of.tune is not None
    found = spaces.parse(of.tune.space or of.space)
    for axis in found.axes:
        for value in axis.examples:
            with_settings(of, {axis.key: value} | found.fixed)
    return found


def with_settings(of: Estimator, settings: Mapping[str, Any]) -> Estimator:
    """Return an estimator with some of its settings changed, checked again."""
    section = {"estimator": of.name} | as_mapping(of)
    for key, value in settings.items():
        *parents, last = key.split(".")
        inner = section
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return estimator(section, "tune")


def metric_of(tune: Tune, task_metric: str) -> Metric:
    """Return the metric that decides: the one given, or the task's where it needs more columns."""
    return METRICS[task_metric] if tune.metric is None else chosen(tune.metric, "tune.metric")


def tuned(fit: Fit, train: Ints, name: str, repeat: int = 0) -> Estimator:
    """Return a model's estimator with the settings that are best among training rows.

    It is the estimator itself where nothing is tuned, where the rows are too few for inner folds,
    or where no trial is better.

    Parameters
    ----------
    fit : Fit
    train : int64 ndarray of shape (n,)
        Rows of the index.
    name : str
        Of the fold that they are without; part of the study's name.
    repeat : int
        Number of the split whose other folds are the inner folds.
    """
    own = fit.estimator
    if own.tune is None:
        return own
    parts = inner_folds(fit, train, repeat)[: own.tune.folds]
    if not parts:
        fit.say(f"{name}: not tuned, for its training rows have no inner folds")
        return own
    best = _search(fit, [Part(fit, *part) for part in parts], name, fit.work.seed + repeat)
    if name == "all rows":
        write_json(fit.work.folder / TUNED, best)
    fit.say(f"tuned for {name}: {' '.join(f'{key}={value}' for key, value in best.items())}")
    return with_settings(own, best)


def inner_folds(fit: Fit, train: Ints, repeat: int = 0) -> list[tuple[Ints, Ints]]:
    """Return the inner folds of training rows, the last first: rows to learn from, and to score on.

    They are the other folds of the same split. Where it has no others (a hold-out), a share
    `HOLD_OUT` of the training rows is held out.
    """
    learnable = fit.index.learnable()
    folds, groups = fit.index.repeats[repeat][learnable], fit.index.groups.to_numpy()[learnable]
    inside, found = np.isin(learnable, train), list[tuple[Ints, Ints]]()
    numbers = np.unique(folds[inside & (folds >= 0)])
    for k in map(int, numbers[::-1]):
        kept = learnable[fit.splitter.trains(folds, k, groups) & inside]
        if len(kept) and fit.enough(kept):
            found.append((kept, learnable[(folds == k) & inside]))
    if len(numbers) or len(np.unique(folds[folds >= 0])) != 1:
        return found
    rows = fit.rows(train)
    one = rows.y if rows.y.ndim == 1 else np.zeros(len(rows.y))
    classifies = fit.index.task.classifies and rows.y.ndim == 1
    split = boosting.held_out(
        Rows(np.arange(len(train)), one, rows.groups), HOLD_OUT, fit.work.seed, classifies
    )
    return [] if split is None else [(train[split[0]], train[split[1]])]


class Shared:
    """An encoder that all trials of an inner fold share: it is fitted once.

    It keeps the tables that it was given beside what they became.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.targets = encoder, b""
        self.fitted: Any = None
        self.encoded: dict[int, tuple[Any, Any]] = {}

    def fit_transform(self, table: Any, targets: Any = None, groups: Any = None) -> Any:
        """Return the training rows encoded; fit again only if a trial changed the targets."""
        told = np.asarray(targets).tobytes()
        if self.fitted is None or told != self.targets:
            self.targets, self.encoded = told, {}
            self.fitted = self.encoder.fit_transform(table, targets, groups)
        return self.fitted

    def transform(self, table: Any) -> Any:
        """Return other rows encoded."""
        if id(table) not in self.encoded:
            self.encoded[id(table)] = table, self.encoder.transform(table)
        return self.encoded[id(table)][1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)


class Part:
    """An inner fold of a fit, in which settings are scored with one seed."""

    def __init__(self, fit: Fit, train: Ints, held: Ints) -> None:
        self.fit, self.numbers = fit, fit.taken(train)
        self.work, self.train, self.held = fit.work, fit.rows(self.numbers), fit.rows(held)
        self.encoders: dict[str, Shared | None] = {}

    def encode(self, *arguments: Any, **more: Any) -> Shared | None:
        """Return the encoder of these arguments (`Work.encode`)."""
        key = repr((arguments, more))
        if key not in self.encoders:
            encoder = self.work.encode(*arguments, **more)
            self.encoders[key] = None if encoder is None else Shared(encoder)
        return self.encoders[key]

    def score(self, own: Estimator, metric: Metric) -> float:
        """Return the score of settings on the held-out rows.

        Raises
        ------
        DataError
            If they need more training rows than there are, such as more neighbours.
        """
        if not replace(self.fit, estimator=own).enough(self.numbers):
            raise DataError("there are too few rows to learn from")
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            work = replace(
                self.work, folder=folder, encode=self.encode, callback=ignore, history=False
            )
            fitted = target_transform.fit(own, self.train, self.held, work)
            return metric(self.held.y, fitted.predict(self.held.x))


def _search(fit: Fit, parts: list[Part], name: str, seed: int) -> Settings:
    """Return the best settings, {} for the estimator's own."""
    import optuna
    from optuna.trial import TrialState

    from ripen.learn.sweeps.study import decoded, distributions

    tune = fit.estimator.tune
    assert tune is not None
    varied, metric = space(fit.estimator), metric_of(tune, fit.index.task.metrics[0])
    study = optuna.create_study(
        storage=fit.studies(),
        study_name=f"{fit.work.competition}/{fit.key[:16]}/{name}",
        direction="maximize" if metric.greater_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
        load_if_exists=True,
    )
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    for lost in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a killed fit
        study.tell(lost.number, state=TrialState.FAIL)
    for number in range(len(study.get_trials(deepcopy=False, states=ended)), tune.trials):
        study.sampler = optuna.samplers.TPESampler(seed=derived_seed(seed, number))
        trial = study.ask(distributions(varied))
        settings = decoded(varied, dict(trial.params))
        scores = list[float]()
        state, value = TrialState.PRUNED, None
        with suppress(TrainingError, DataError):
            for step, part in enumerate(parts):
                scores.append(part.score(with_settings(fit.estimator, settings), metric))
                trial.report(float(np.mean(scores)), step)
                if not np.isfinite(scores[-1]) or (step + 1 < len(parts) and trial.should_prune()):
                    break
            else:
                state, value = TrialState.COMPLETE, float(np.mean(scores))
        study.tell(trial, value, state=state)
        fit.say(f"{name}: trial {number + 1} of {tune.trials}")
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    tried = {"": float(np.mean([part.score(fit.estimator, metric) for part in parts]))}
    tried |= {str(trial.number): float(trial.value or 0) for trial in finished}
    best = metric.best({key: value for key, value in tried.items() if np.isfinite(value)} or tried)
    if not best:
        return {}
    (winner,) = (trial for trial in finished if str(trial.number) == best)
    return decoded(varied, dict(winner.params))
