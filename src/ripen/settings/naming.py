"""Names of trials, settings and ends of trainings, as figures, MLflow and the report show them."""

import json
from collections.abc import Mapping
from typing import Any

ENDED = {"early_stopping": "stopped early at", "max_iter": "limit of"}
SETTINGS = {"base_lr": "learning rate"}


def setting_name(key: str) -> str:
    """Return a short name of a setting.

    >>> setting_name("solver.base_lr"), setting_name("net.hidden_layers")
    ('learning rate', 'hidden layers')
    """
    last = key.rpartition(".")[2]
    return SETTINGS.get(last, last.replace("_", " "))


def how_it_ended(stopped: str, iterations: int) -> str:
    """Return how and when a training ended.

    >>> how_it_ended("early_stopping", 3500), how_it_ended("max_iter", 30)
    ('stopped early at 3500', 'limit of 30')
    >>> how_it_ended("converged", 700)
    'converged at 700'
    """
    return f"{ENDED.get(stopped, f'{stopped} at')} {iterations}"


def trial_name(settings: Mapping[str, Any]) -> str:
    """Return a short name of a trial, from the settings that vary.

    >>> trial_name({"solver.base_lr": 0.1, "net.hidden_layers": [8, 8], "seed": 3})
    'lr 0.1, 8+8, seed 3'
    """
    return ", ".join(_named(key, value) for key, value in settings.items()) or "as set"


def _named(key: str, value: Any) -> str:
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)  # a list, as tables hold it
    short = key.rpartition(".")[2].removeprefix("base_")
    shown = f"{value:.3g}" if isinstance(value, float) else str(value)
    if isinstance(value, list | tuple):
        shown = "+".join(map(str, value)) or "none"
    return shown if key.endswith("hidden_layers") else f"{short} {shown}"
