"""Optuna's samplers and pruners, held to one path: what is chosen depends on seed and number.

Each trial is chosen by a sampler of its own, seeded with the sweep's seed and the trial's number,
from what the trials of earlier rounds gave. So a sweep that was killed, or that many processes
share, chooses the very trials of one that ran through.
"""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from ripen.learn.sweeps.outcome import Finished, Outcome
from ripen.learn.sweeps.space import Choices, Interval, Settings, Space, encoded
from ripen.settings.schema.sweep import Pruner, Sweep

optuna.logging.set_verbosity(optuna.logging.ERROR)


def choose(
    space: Space, sweep: Sweep, seed: int, index: int, history: Sequence[Finished]
) -> Settings:
    """Return the settings of a trial.

    Parameters
    ----------
    space : Space
    sweep : Sweep
    seed : int
        Of the sweep.
    index : int
        The trial's number, counted from 0.
    history : sequence of Finished
        The trials of earlier rounds, in their order.
    """
    if sweep.sampler == "grid":
        return space.grid(index)
    own = int.from_bytes(hashlib.sha256(f"{seed} {index}".encode()).digest()[:4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(sampler=sampler[sweep.sampler](seed=own))
    if sweep.sampler == "tpe":
        study.add_trials([frozen(space, past.settings, past.outcome) for past in history])
    return decoded(space, study.ask(distributions(space)).params)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the axes as Optuna knows them."""
    return {axis.key: _distribution(axis) for axis in space.axes}


def params(space: Space, settings: Settings) -> dict[str, Any]:
    """Return the settings of a trial as Optuna's parameters: those that are varied."""
    return {axis.key: encoded(settings[axis.key]) for axis in space.axes}


def decoded(space: Space, chosen: dict[str, Any]) -> Settings:
    """Return Optuna's parameters as settings, with those that hold for every trial."""
    settings: Settings = {}
    for axis in space.axes:
        value = chosen[axis.key]
        if isinstance(axis, Choices):
            value = next(item for item in axis.values if encoded(item) == value)
        settings[axis.key] = value
    return settings | space.fixed


def frozen(space: Space, settings: Settings, outcome: Outcome) -> FrozenTrial:
    """Return a finished trial as Optuna's; one that diverged is as a pruned one without a value."""
    complete = outcome.ended not in ("pruned", "diverged")
    best = outcome.best
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=best.validation_loss if complete and best else None,
        params=params(space, settings),
        distributions=distributions(space),
        intermediate_values={}
        if outcome.ended == "diverged"
        else {point.iteration: point.validation_loss for point in outcome.curve},
    )


class Watch:
    """Says at each check of a trial whether it is hopeless, by the trials of earlier rounds."""

    def __init__(self, settings: Pruner, history: Sequence[Outcome]) -> None:
        self._pruning = settings.name != "none"
        if not self._pruning:
            return
        self._study = optuna.create_study(pruner=_pruner(settings))
        for past in history:
            self._replay(past, settings)
        self._trial = self._study.ask()

    def hopeless(self, iteration: int, validation_loss: float) -> bool:
        """Take in a check; say whether the trial should end here."""
        if not self._pruning:
            return False
        self._trial.report(validation_loss, iteration)
        return self._trial.should_prune()

    def _replay(self, past: Outcome, settings: Pruner) -> None:
        """Let the study see a finished trial."""
        trial = self._study.ask()
        for point in past.curve:
            trial.report(point.validation_loss, point.iteration)
            if settings.name == "successive_halving":
                trial.should_prune()  # takes its notes, which later trials are compared with
        if past.ended in ("pruned", "diverged") or past.best is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, past.best.validation_loss)


def pruned(outcome: Outcome, settings: Pruner, history: Sequence[Outcome]) -> Outcome:
    """Return how an outcome that is there already ends in a sweep that prunes."""
    watch = Watch(settings, history)
    # At its last check a trial ends by itself.
    for done, point in enumerate(outcome.curve[:-1], start=1):
        if watch.hopeless(point.iteration, point.validation_loss):
            return outcome.cut(done)
    return outcome


def _distribution(axis: Choices | Interval) -> BaseDistribution:
    if isinstance(axis, Choices):
        return CategoricalDistribution([encoded(value) for value in axis.values])
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _pruner(settings: Pruner) -> optuna.pruners.BasePruner:
    if settings.name == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=settings.startup_trials, n_warmup_steps=settings.first_iteration - 1
        )
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=settings.first_iteration, reduction_factor=settings.reduction_factor
    )
