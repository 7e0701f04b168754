"""Names of trials, as figures, MLflow and the report show them."""

import json
from collections.abc import Mapping
from typing import Any


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
