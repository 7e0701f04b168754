"""The space of a sweep: Hydra's overrides as choices or intervals, and one trial's settings.

The command line composes its settings here too. Nothing may import numpy before that is done: numpy
reads its environment once, and the composed settings decide it (`ripen.core.reproducibility`).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ripen.core.errors import ConfigError
from ripen.core.lineage import leaves
from ripen.core.registry import nearest
from ripen.settings import compose as composing
from ripen.settings.compose import CONF, OWN, as_mapping, check
from ripen.settings.schema import Competition, Sweep
from ripen.settings.yaml_files import read

if TYPE_CHECKING:  # imports numpy
    from ripen.learn.estimator import Estimator

Settings = dict[str, Any]
SWEPT = "net"
"""The model that a sweep varies."""
FIRST = 1000  # values of a setting that are checked before a sweep begins; later ones when used
OF_SWEEP = ("sweep", "launcher", "study", "tracking")
FIXED = ("inputs", "folds", "seeds", "tune")  # all trials of a sweep learn from the same rows


@dataclass(frozen=True)
class Choices:
    """A setting that takes one of some values."""

    key: str
    values: tuple[Any, ...]

    @property
    def examples(self) -> Sequence[Any]:
        """Values that are checked before a sweep begins: all of them."""
        return self.values

    def decoded(self, value: Any) -> Any:
        """Return the value that Optuna keeps as this one (`encoded`)."""
        return next(item for item in self.values if encoded(item) == value)


@dataclass(frozen=True)
class Interval:
    """A setting that takes any number from low to high, ends included; `whole` numbers only."""

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def examples(self) -> Sequence[float]:
        """Values that are checked before a sweep begins: both ends."""
        ends = (self.low, self.high)
        return [int(end) for end in ends] if self.whole else ends

    def decoded(self, value: float) -> float:
        """Return a number, which Optuna keeps as it is."""
        return value


@dataclass(frozen=True)
class Space:
    """The varied settings (`axes`), and those that all trials share (`fixed`)."""

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
        """Return the number of places of the grid."""
        return math.prod(len(axis.values) for axis in self._choices())

    def _choices(self) -> list[Choices]:
        for axis in self.axes:
            if isinstance(axis, Interval):
                raise ConfigError(
                    f"sweep: {axis.key} is an interval, which has no grid. Give values, or choose "
                    "sweep.sampler=random or tpe and sweep.trials"
                )
        return [axis for axis in self.axes if isinstance(axis, Choices)]


# --- Reading overrides ---------------------------------------------------------------------------


def parse(overrides: Sequence[str]) -> Space:
    """Read overrides: those with several values vary, the others are the same in every trial.

    Raises
    ------
    ConfigError
        If one is not in Hydra's syntax or is given twice, or if none has several values.
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
    """Return the number of trials of a sweep.

    Raises
    ------
    ConfigError
        If an interval has no grid, or `sweep.trials` is missing for a sampler that draws.
    """
    if sweep.sampler == "grid":
        return min(space.size(), sweep.trials or space.size())
    if sweep.trials is None:
        raise ConfigError(f"sweep: how many trials does '{sweep.sampler}' draw? Set sweep.trials")
    return sweep.trials


def encoded(value: Any) -> Any:
    """Return a value as Optuna keeps it: a list as its text."""
    return json.dumps(value) if isinstance(value, list | Mapping) else value


def _axis(key: str, override: Any) -> Choices | Interval:
    """Read the part after KEY= of an override with several values."""
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


# --- One trial's settings ------------------------------------------------------------------------


def swept_net(competition: Competition) -> "Estimator":
    """Return the model that a sweep varies.

    Raises
    ------
    ConfigError
        If the competition has no such model.
    """
    from ripen.learn.estimator import estimator  # imports numpy

    _check_net(competition.models)
    return estimator(competition.models[SWEPT], f"models.{SWEPT}")


def _check_net(models: Mapping[str, Any]) -> None:
    if models.get(SWEPT) is None:
        named = ", ".join(name for name, section in models.items() if section is not None)
        raise ConfigError(
            f"a sweep varies the model '{SWEPT}', which this competition does not have. "
            f"Its models: {named}"
        )


def with_settings(competition: Competition, settings: Settings) -> Competition:
    """Return the competition with other settings of the model that is swept.

    Parameters
    ----------
    competition : Competition
    settings : dict
        ``seed``, keys of ``models.net`` (``solver.base_lr``), or a group of conf/ with the name of
        one of its files (``net=mlp``).

    Raises
    ------
    ConfigError
        If a key is unknown or a value not allowed.
    """
    from ripen.learn.estimator import estimator  # imports numpy

    # From the estimator, not from the file: it has the settings that stand at their defaults too.
    section, seed = as_mapping(swept_net(competition)), competition.seed
    known = ["seed", *(key for key, _ in leaves(section) if key not in FIXED)]
    for key, value in settings.items():
        if key == "seed":
            seed = value
        elif key in section and (CONF / key).is_dir():
            section[key] = option(key, str(value))
        elif key in known:
            _set(section, key.split("."), value)
        else:
            hint = nearest(key, known)
            raise ConfigError(f"sweep: the model '{SWEPT}' has no setting '{key}'{hint}")
    section = {"estimator": competition.models[SWEPT]["estimator"]} | section
    estimator(section, "sweep")
    values = as_mapping(competition)
    changes = {"seed": seed, "models": values["models"] | {SWEPT: section}}
    return check(values | changes, Competition, "sweep")


def check_values(space: Space, competition: Competition) -> None:
    """Make sure that values fit the schema, before any trial begins.

    Raises
    ------
    ConfigError
        Naming the first key that is unknown, or whose value is not allowed.
    """
    for axis in space.axes:
        for value in axis.examples[:FIRST]:
            with_settings(competition, {axis.key: value})
    for key, value in space.fixed.items():
        with_settings(competition, {key: value})


def option(group: str, name: str) -> dict[str, Any]:
    """Return a file of a group of conf/, with the files of its defaults list below it.

    Raises
    ------
    ConfigError
        If the group has no such file.
    """
    options = sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))
    if name not in options:
        raise ConfigError(f"sweep: {CONF}/{group}/ has no '{name}'{nearest(name, options)}")
    return _layered(group, name)


def _layered(group: str, name: str) -> dict[str, Any]:
    values = read(CONF / group / f"{name}.yaml")
    below = [_layered(group, each) for each in values.pop("defaults", ()) if each != "_self_"]
    from omegaconf import OmegaConf  # for `ripen sweep` only: stages read what is composed

    merged = OmegaConf.to_container(OmegaConf.merge(*below, values))
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def _set(section: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        section = section[part]
    section[path[-1]] = value


# --- The command line ----------------------------------------------------------------------------


def compose(
    name: str, overrides: Sequence[str], multirun: Sequence[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compose the settings of ``ripen sweep NAME``.

    Parameters
    ----------
    name : str
        The competition.
    overrides : sequence of str
        Hydra's; ``sweep=NAME`` chooses a file of conf/sweep/.
    multirun : sequence of str or None
        The overrides after ``-m``. If not None, even if empty, all that are no settings of the
        sweep itself make a grid; else the sweep is the competition's.

    Returns
    -------
    dict, dict
        The run's settings and the competition's, unchecked; the sweep is in its section `sweep`.

    Raises
    ------
    ConfigError
        If the competition has no sweep or no net to sweep, if a setting is unknown, or if it
        belongs to an earlier stage.
    """
    given = [*overrides, *(multirun or ())]
    varied = [text for text in given if not _within(text, OF_SWEEP)]
    kept = given if multirun is None else [text for text in given if text not in varied]
    chosen = f"competitions=[{name}]"
    composed = composing.compose([chosen])
    if name not in composed.competitions:
        raise ConfigError(f"'{name}' is not the name of a competition")
    base = composed.competitions[name]
    if not base.get("sweep"):
        raise ConfigError(
            f"{name} has no sweep. Add a section 'sweep' to {CONF}/competition/{name}.yaml, then: "
            "ripen compose"
        )
    _check_net(base["models"])
    _refuse_others(base, name, kept)
    if kept:
        composed = composing.compose([chosen, *kept])
    values = composed.competitions[name]
    named = [text.partition("=")[2] for text in kept if text.startswith("sweep=")]
    if named or multirun is not None:
        values["sweep"] = _other_sweep(named[-1] if named else "grid", values["sweep"], kept)
    if multirun is not None:
        if not varied:
            raise ConfigError(
                "sweep: -m: nothing is varied. For instance: -m solver.base_lr=0.01,0.1"
            )
        values["sweep"] |= {"name": "multirun", "parameters": varied}
    return composed.run, values


def _other_sweep(name: str, composed: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """Return a file of conf/sweep/ with the overrides of single keys.

    The composed section will not do: a competition's own parameters would stand in it, on top of
    those of the file that was chosen.
    """
    values = option("sweep", name)
    for text in kept:
        _, *path = text.partition("=")[0].split(".")
        if path and text.startswith("sweep."):
            value: Any = composed
            for part in path:
                value = value[part]
            _set(values, path, value)
    return values


def _refuse_others(base: dict[str, Any], name: str, kept: Sequence[str]) -> None:
    """Make sure that no override is a setting of an earlier stage, whose files exist already."""
    own = (*OF_SWEEP, "seed", *base["models"][SWEPT], f"models.{SWEPT}")
    for text in kept:
        if not _within(text.removeprefix(f"{OWN}{name}."), own):
            raise ConfigError(
                f"'{text}' is a setting of an earlier stage. Write it into {CONF}/, then: ripen run"
            )


def _within(override: str, sections: Sequence[str]) -> bool:
    """Whether an override belongs to one of some sections."""
    key = override.lstrip("+~").partition("=")[0]
    return any(key == section or key.startswith(f"{section}.") for section in sections)
