"""A study: the trials of one sweep, their settings and their order.

Optuna suggests settings along one path only. Each trial has a sampler of its own, seeded with the
sweep's seed and the trial's number, and it learns from the trials of earlier rounds. So a sweep
that was killed, or that many processes share, has exactly the trials of an undisturbed one.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from ripen.core import lineage
from ripen.core.errors import ConfigError
from ripen.core.reproducibility import derived_seed
from ripen.learn.sweeps import space as spaces
from ripen.learn.sweeps.space import Choices, Interval, Settings, Space, encoded
from ripen.learn.sweeps.trial import FinishedTrial, Result
from ripen.settings.compose import as_mapping
from ripen.settings.schema import Competition, Sweep

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Study:
    """The trials of one sweep.

    Attributes
    ----------
    competition_name : str
    competition : Competition
        The settings of all trials but for what varies; its section `sweep` is the sweep.
    made_from : str
        Hash of the data and the code.
    """

    competition_name: str
    competition: Competition
    made_from: str

    @property
    def sweep(self) -> Sweep:
        sweep = self.competition.sweep
        assert sweep is not None  # `define` has made sure
        return sweep

    @cached_property
    def space(self) -> Space:
        return spaces.parse(self.sweep.parameters)

    @cached_property
    def count(self) -> int:
        """The number of trials."""
        return spaces.count(self.space, self.sweep)

    @property
    def independent(self) -> bool:
        """Whether no trial depends on the result of another."""
        return self.sweep.sampler != "tpe" and self.sweep.pruner.name == "none"

    @cached_property
    def name(self) -> str:
        """The study's name: the competition, the sweep, and a hash of all that decides it.

        The number of trials is left out, so that a larger one continues the same study.
        """
        sweep = as_mapping(self.sweep)
        decides = [sweep[key] for key in ("parameters", "sampler", "round", "pruner")]
        key = _hash([decides, self.key({})])
        return f"{self.competition_name}/{self.sweep.name}/{key[:8]}"

    def first_of_round(self, index: int) -> int:
        """Return the number of the first trial of a trial's round."""
        return 0 if self.independent else index // self.sweep.round * self.sweep.round

    def suggest(self, index: int, history: Sequence[FinishedTrial]) -> Settings:
        """Return the settings of a trial.

        Parameters
        ----------
        index : int
            The trial's number, counted from 0.
        history : sequence of FinishedTrial
            The trials of earlier rounds, in their order.
        """
        return suggest(self.space, self.sweep, self.competition.seed, index, history)

    def with_settings(self, settings: Settings) -> Competition:
        """Return the competition with the settings of a trial."""
        return spaces.with_settings(self.competition, settings)

    def key(self, settings: Settings) -> str:
        """Hash all that a trial's result depends on: data, code and every setting of its net."""
        competition = self.with_settings(settings)
        read = as_mapping(competition)
        decides = {key: read[key] for key in DECIDES} | {"net": read["models"][spaces.SWEPT]}
        return _hash([self.made_from, self.competition_name, decides])


# The competition's sections that a trial reads beside the net's; dvc.yaml's stage names the same.
DECIDES = ("seed", "reproducibility", "threads", "device", "task", "validation", "columns")


def define(
    name: str, competition: Competition, confirm: Callable[[int], bool] = lambda trials: False
) -> Study:
    """Return the study of a competition's sweep, its settings checked.

    Parameters
    ----------
    name : str
    competition : Competition
    confirm : callable
        Returns whether so many trials may begin, if they are more than ``sweep.ask_above``.

    Raises
    ------
    ConfigError
        If there is no sweep or no net to sweep, if there are no trials or too many, if a key is
        unknown or a value not allowed.
    """
    sweep = competition.sweep
    if sweep is None:
        raise ConfigError(f"{name} has no section 'sweep'")
    spaces.swept_net(competition)
    # Figures decide no result: a change in their code must not train all trials again.
    made_from = lineage.made_from("sweep", name, without=("src/ripen/judge",))
    study = Study(name, competition, made_from)
    if study.count > sweep.ask_above and not confirm(study.count):
        raise ConfigError(
            f"sweep: {study.count:,} trials are more than sweep.ask_above={sweep.ask_above:,}. "
            "Vary less, draw some of them (sweep.sampler=random sweep.trials=100), or say --yes"
        )
    spaces.check_values(study.space, competition)
    return study


def without_seed(settings: Mapping[str, Any]) -> Settings:
    """Return settings without the seed: trials that differ in it alone are repeats."""
    return {key: value for key, value in settings.items() if key != "seed"}


# --- Optuna's samplers ---------------------------------------------------------------------------


def suggest(
    space: Space, sweep: Sweep, seed: int, index: int, history: Sequence[FinishedTrial]
) -> Settings:
    """Return the settings of a trial (`Study.suggest`); `seed` is the sweep's."""
    if sweep.sampler == "grid":
        return space.grid(index)
    own = derived_seed(seed, index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(sampler=sampler[sweep.sampler](seed=own))
    if sweep.sampler == "tpe":
        study.add_trials([frozen(space, past.settings, past.result) for past in history])
    return decoded(space, study.ask(distributions(space)).params)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the axes as Optuna's distributions."""
    return {axis.key: _distribution(axis) for axis in space.axes}


def params(space: Space, settings: Settings) -> dict[str, Any]:
    """Return the settings that vary as Optuna's parameters."""
    return {axis.key: encoded(settings[axis.key]) for axis in space.axes}


def decoded(space: Space, chosen: dict[str, Any]) -> Settings:
    """Return Optuna's parameters as settings, with those that all trials share."""
    return {axis.key: axis.decoded(chosen[axis.key]) for axis in space.axes} | space.fixed


def frozen(space: Space, settings: Settings, result: Result) -> FrozenTrial:
    """Return a finished trial as Optuna's.

    One that diverged becomes a pruned trial without values: its last losses mean nothing.
    """
    complete = result.ended not in ("pruned", "diverged")
    best = result.best
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=best.validation_loss if complete and best else None,
        params=params(space, settings),
        distributions=distributions(space),
        intermediate_values={}
        if result.ended == "diverged"
        else {point.iteration: point.validation_loss for point in result.curve},
    )


def _distribution(axis: Choices | Interval) -> BaseDistribution:
    if isinstance(axis, Choices):
        return CategoricalDistribution([encoded(value) for value in axis.values])
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
