"""The settings of `ripen sweep`: a sweep of conf/sweep/, or one told on the command line."""

from collections.abc import Sequence
from typing import Any

from ripen.core.errors import ConfigError
from ripen.settings import compose as config
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.sweep import Sweep

# What a sweep reads; other settings are of stages that ran before it.
OWN = ("sweep", "launcher", "study", "tracking", "seed", "competition")


def compose(
    competition: CompetitionName, overrides: Sequence[str], multirun: Sequence[str] | None
) -> tuple[Config, Sweep]:
    """Return the settings, and the sweep that they ask for.

    Parameters
    ----------
    competition : str
    overrides : sequence of str
        Of Hydra; `sweep=NAME` chooses a file of conf/sweep/.
    multirun : sequence of str or None
        What followed ``-m``. Not None, even if empty, makes a grid of all that is no setting of
        the sweep itself; without, the sweep is that of conf/.

    Raises
    ------
    ConfigError
        If a setting is unknown, not allowed, or of another stage.
    """
    given = [*overrides, *(multirun or ())]
    if multirun is None:
        varied: list[str] = []
        kept = given
    else:
        varied = [text for text in given if not _names(text, OWN[:-2])]
        kept = [text for text in given if _names(text, OWN[:-2])]
        if not any(text.startswith("sweep=") for text in kept):
            kept = ["sweep=grid", *kept]
    values = config.compose(kept)
    _refuse_others(values, competition, kept)
    settings = config.from_mapping(values, "conf/")
    return settings, _sweep(settings, competition, kept, varied if multirun is not None else None)


def _sweep(
    settings: Config, competition: CompetitionName, kept: Sequence[str], varied: list[str] | None
) -> Sweep:
    """Return the sweep: that of the competition, unless another was asked for."""
    if varied is not None:
        return told(settings.sweep, varied)
    if any(_names(text, ("sweep",)) for text in kept):
        return settings.sweep
    sweep: Sweep = getattr(settings.competition, competition).sweep
    return sweep


def told(sweep: Sweep, varied: list[str]) -> Sweep:
    """Return a sweep of what was told on the command line."""
    if not varied:
        raise ConfigError("sweep: -m: nothing is varied. For instance: -m solver.base_lr=0.01,0.1")
    return Sweep(
        **(
            config.as_mapping(sweep)
            | {"name": "multirun", "parameters": varied, "pruner": sweep.pruner}
        )
    )


def _refuse_others(
    values: dict[str, Any], competition: CompetitionName, kept: Sequence[str]
) -> None:
    """Make sure that no override is of a stage that ran before: its files would not know."""
    trained = tuple(values["competition"][competition]["train"])
    for text in kept:
        if not _names(text, (*OWN, *trained)):
            raise ConfigError(
                f"'{text}' is of a stage before the sweep. Write it into conf/, then: ripen run"
            )


def _names(override: str, sections: Sequence[str]) -> bool:
    """Say whether an override is of one of some sections."""
    key = override.lstrip("+~").partition("=")[0]
    return any(key == section or key.startswith(f"{section}.") for section in sections)
