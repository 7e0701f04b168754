"""The order of models in every table of them, and how a training's end is told."""

from collections.abc import Mapping
from typing import Any


def ranked(metrics: Mapping[str, Any]) -> list[str]:
    """Return the models' names, the lowest log loss first, on the part by which one is chosen.

    Parameters
    ----------
    metrics : mapping
        What `metrics/<competition>.json` holds.
    """
    models, part = metrics["models"], metrics["best_by"].partition("/")[0]
    return sorted(models, key=lambda name: models[name][part]["log_loss"])


def ended(scores: Mapping[str, Any]) -> str:
    """Say why and when a model's training ended; "" for one that was fitted in one piece."""
    return f"{scores['stopped']} at {scores['iterations']}" if "stopped" in scores else ""
