"""What a sweep is: which trials it has, in which order, from what."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ripen.core import lineage
from ripen.core.errors import ConfigError
from ripen.learn.sweeps import space
from ripen.learn.sweeps.choose import choose
from ripen.learn.sweeps.outcome import Finished
from ripen.learn.sweeps.space import Settings, Space
from ripen.settings.compose import as_mapping
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.sweep import Sweep


@dataclass(frozen=True)
class Plan:
    """The trials of one sweep.

    Attributes
    ----------
    config : Config
        What holds where a trial says nothing else.
    competition : str
    sweep : Sweep
    made_from : str
        Hash of the data and the code.
    """

    config: Config
    competition: CompetitionName
    sweep: Sweep
    made_from: str

    @cached_property
    def space(self) -> Space:
        return space.parse(self.sweep.parameters)

    @cached_property
    def count(self) -> int:
        """How many trials there are."""
        return space.count(self.space, self.sweep)

    @property
    def independent(self) -> bool:
        """Whether no trial depends on what another gave."""
        return self.sweep.sampler != "tpe" and self.sweep.pruner.name == "none"

    @cached_property
    def name(self) -> str:
        """The study's name: the competition, the sweep, and a hash of all that decides it.

        How many trials is left out, so that more of them go on with the same study.
        """
        sweep = as_mapping(self.sweep)
        decides = [sweep[key] for key in ("parameters", "sampler", "round", "pruner")]
        key = _hash([decides, self.key({})])
        return f"{self.competition}/{self.sweep.name}/{key[:8]}"

    def first_of_round(self, index: int) -> int:
        """Return the number of the first trial of a trial's round."""
        return 0 if self.independent else index // self.sweep.round * self.sweep.round

    def settings(self, index: int, history: Sequence[Finished]) -> Settings:
        """Return what a trial changes, from the trials of earlier rounds, in their order."""
        return choose(self.space, self.sweep, self.config.seed, index, history)

    def trial_config(self, settings: Settings) -> Config:
        """Return the configuration of a trial."""
        return space.with_settings(self.config, self.competition, settings)

    def key(self, settings: Settings) -> str:
        """Hash all that a trial's result depends on: data, code and every setting of its net."""
        config = self.trial_config(settings)
        section = as_mapping(getattr(config.competition, self.competition))
        read = [section["compute"], section["train"], config.seed]
        return _hash([self.made_from, self.competition, read])


def plan(
    config: Config,
    competition: CompetitionName,
    sweep: Sweep,
    agreed: Callable[[int], bool] = lambda trials: False,
) -> Plan:
    """Return a sweep whose settings were checked.

    Parameters
    ----------
    config : Config
    competition : str
    sweep : Sweep
    agreed : callable
        Is asked whether so many trials may begin, where they are more than ``sweep.ask_above``.

    Raises
    ------
    ConfigError
        If there are no trials or too many, a key is unknown or a value not allowed.
    """
    made = Plan(config, competition, sweep, lineage.made_from("sweep", competition))
    if made.count > sweep.ask_above and not agreed(made.count):
        raise ConfigError(
            f"sweep: {made.count:,} trials are more than sweep.ask_above={sweep.ask_above:,}. "
            "Vary less, draw some of them (sweep.sampler=random sweep.trials=100), or say --yes"
        )
    space.check(made.space, config, competition)
    return made


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def without_seed(settings: Mapping[str, Any]) -> Settings:
    """Return settings but for the seed, whose trials are repeats of one another."""
    return {key: value for key, value in settings.items() if key != "seed"}
