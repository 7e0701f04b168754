"""What a sweep varies: overrides in Hydra's own syntax, made values or intervals."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ripen.core.errors import ConfigError
from ripen.settings.compose import CONF, as_mapping, compose, from_mapping, leaves, nearest
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.sweep import Sweep

Settings = dict[str, Any]
FIRST = 1000  # values of a setting that are checked before a sweep begins, the others as they come


@dataclass(frozen=True)
class Choices:
    """A setting that takes one of some values."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Interval:
    """A setting that takes any number from low to high, ends included; `whole` ones only."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True)
class Space:
    """What is varied, and what holds for every trial."""

    axes: tuple[Choices | Interval, ...]
    fixed: Settings

    def grid(self, index: int) -> Settings:
        """Return the settings at a place of the grid; the last axis changes first."""
        chosen: Settings = {}
        for axis in reversed(self._choices()):
            index, place = divmod(index, len(axis.values))
            chosen[axis.key] = axis.values[place]
        return {axis.key: chosen[axis.key] for axis in self.axes} | self.fixed

    def size(self) -> int:
        """Return how many places the grid has."""
        return math.prod(len(axis.values) for axis in self._choices())

    def _choices(self) -> list[Choices]:
        for axis in self.axes:
            if isinstance(axis, Interval):
                raise ConfigError(
                    f"sweep: {axis.key} is an interval, which has no grid. Give values, or choose "
                    "sweep.sampler=random or tpe and sweep.trials"
                )
        return [axis for axis in self.axes if isinstance(axis, Choices)]


def parse(overrides: Sequence[str]) -> Space:
    """Read overrides: those with several values are varied, the others hold for every trial.

    Raises
    ------
    ConfigError
        If one is not Hydra's syntax, is there twice, or none has several values.
    """
    # Imported here because the command line need not wait for it.
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    axes: dict[str, Choices | Interval] = {}
    fixed: Settings = {}
    for text in overrides:
        try:
            (override,) = OverridesParser.create().parse_overrides([text])
        except HydraException as error:
            reason = str(error).splitlines()[1:2] or str(error).splitlines()
            raise ConfigError(f"sweep: '{text}' is no override of Hydra: {reason[0]}") from None
        key = override.key_or_group
        if override.input_line != text or text[:1] in "+~" or override.package:
            raise ConfigError(f"sweep: '{text}': write KEY=VALUE,VALUE, with no +, ~ or @")
        if key in axes or key in fixed:
            raise ConfigError(f"sweep: '{key}' is there twice")
        if not override.is_sweep_override():
            fixed[key] = _plain(override.value())
        else:
            axes[key] = _axis(key, override)
    if not axes:
        raise ConfigError(
            "sweep: no setting has several values, so there are no trials. For instance: "
            "solver.base_lr=0.01,0.1"
        )
    return Space(tuple(axes.values()), fixed)


def count(space: Space, sweep: Sweep) -> int:
    """Return how many trials a sweep has.

    Raises
    ------
    ConfigError
        If an interval has no grid, or it is not said how many trials are drawn.
    """
    if sweep.sampler == "grid":
        return min(space.size(), sweep.trials or space.size())
    if sweep.trials is None:
        raise ConfigError(f"sweep: how many trials does '{sweep.sampler}' draw? Set sweep.trials")
    return sweep.trials


def check(space: Space, config: Config, competition: CompetitionName) -> None:
    """Make sure that values fit the schema, before anything is trained.

    Raises
    ------
    ConfigError
        Naming the first key that is unknown, or whose value is not allowed.
    """
    for key, values in _all_values(space):
        for value in values[:FIRST]:
            with_settings(config, competition, {key: value})


def with_settings(config: Config, competition: CompetitionName, settings: Settings) -> Config:
    """Return the configuration with other settings of the competition's net.

    Parameters
    ----------
    config : Config
    competition : str
    settings : dict
        ``seed``, keys of the competition's section `train` (``solver.base_lr``), or a group of
        conf/ with the name of one of its files (``net=mlp``).

    Raises
    ------
    ConfigError
        If a key is unknown or a value not allowed.
    """
    values = as_mapping(config)
    section = values["competition"][competition]["train"]
    known = ["seed", *(key for key, _ in leaves(section))]
    for key, value in settings.items():
        if key == "seed":
            values["seed"] = value
        elif key in section and (CONF / key).is_dir():
            section[key] = compose([f"{key}={value}"])[key]
        elif key in known:
            _set(section, key.split("."), value)
        else:
            hint = nearest(key, known)
            raise ConfigError(f"sweep: {competition}'s net has no setting '{key}'{hint}")
    try:
        return from_mapping(values, "sweep")
    except ConfigError as error:
        raise ConfigError(str(error).replace(f"competition.{competition}.train.", "")) from None


def encoded(value: Any) -> Any:
    """Return a value as Optuna keeps it: a list as its text."""
    return json.dumps(value) if isinstance(value, list | Mapping) else value


def _axis(key: str, override: Any) -> Choices | Interval:
    """Read what follows KEY= of an override with several values."""
    from hydra.core.override_parser.types import Glob, IntervalSweep

    value = override.value()
    if isinstance(value, IntervalSweep):
        low, high = float(value.start or 0), float(value.end or 0)
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        log = "log" in value.tags
        if not low < high or (log and low <= 0):
            need = "0 < low < high" if log else "low < high"
            raise ConfigError(f"sweep: {key}: an interval from {low:g} to {high:g} needs {need}")
        return Interval(key, low, high, log, whole)
    if not (override.is_choice_sweep() or override.is_range_sweep()) or isinstance(value, Glob):
        raise ConfigError(f"sweep: {key}: write its values, or an interval")
    values = [_plain(item) for item in override.sweep_iterator()]
    unique = {json.dumps(item): item for item in values}
    return Choices(key, tuple(unique.values()))


def _plain(value: Any) -> Any:
    """Turn Hydra's parsed value into a plain one."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.text if hasattr(value, "text") else value


def _all_values(space: Space) -> Iterator[tuple[str, Sequence[Any]]]:
    for axis in space.axes:
        if isinstance(axis, Choices):
            yield axis.key, axis.values
        else:
            ends = (axis.low, axis.high)
            yield axis.key, [int(end) for end in ends] if axis.whole else ends
    for key, value in space.fixed.items():
        yield key, [value]


def _set(section: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        section = section[part]
    section[path[-1]] = value
