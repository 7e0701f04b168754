"""What a sweep leaves: its trials and their curves as tables, and the best settings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition.metrics import DECIMALS
from ripen.core.atomic import write_text
from ripen.learn.sweeps.outcome import Finished, thinned
from ripen.learn.sweeps.plan import Plan, without_seed
from ripen.learn.sweeps.space import Settings, encoded

BEST = "best.json"


def write(folder: Path, plan: Plan, finished: Sequence[Finished]) -> None:
    """Write `trials.csv`, `curves.csv` and `best.json`."""
    write_text(folder / "trials.csv", _csv(trials(plan, finished)))
    write_text(folder / "curves.csv", _csv(curves(finished, plan.sweep.curve_points)))
    chosen = best(plan, finished)
    write_text(folder / BEST, _json({"sweep": plan.sweep.name, "trials": len(finished)} | chosen))


def hand_on(folder: Path, swept: Path, train_best: bool) -> None:
    """Write what `train` takes of the sweep in a folder: nothing unless its setting says so."""
    found = json.loads((folder / BEST).read_text(encoding="utf-8"))
    write_text(swept, _json(found["settings"] if train_best else {}))


def chosen(swept: Path) -> Settings:
    """Return what `train` takes of a sweep; nothing where there was none."""
    if not swept.exists():
        return {}
    settings: Settings = json.loads(swept.read_text(encoding="utf-8"))
    return settings


def trials(plan: Plan, finished: Sequence[Finished]) -> pd.DataFrame:
    """Return a row for each trial: its number, what is varied, and how it ended."""
    rows: list[dict[str, Any]] = []
    for one in finished:
        outcome, point = one.outcome, one.outcome.best
        rows.append(
            {"trial": one.index}
            | {axis.key: encoded(one.settings[axis.key]) for axis in plan.space.axes}
            | {
                "ended": outcome.ended,
                "iterations": outcome.iterations,
                "converged_at": outcome.iterations if outcome.ended == "converged" else None,
                "best_iteration": outcome.best_iteration,
                "validation_loss": point and round(point.validation_loss, DECIMALS),
                "validation_accuracy": point and round(point.validation_accuracy, DECIMALS),
            }
        )
    return pd.DataFrame(rows).astype({"converged_at": "Int64"})


def curves(finished: Sequence[Finished], most: int) -> pd.DataFrame:
    """Return all curves, thinned, one under the other."""
    rows = [
        {"trial": one.index, "iteration": point.iteration}
        | {
            name: round(value, DECIMALS)
            for name, value in zip(point._fields[1:], point[1:], strict=True)
        }
        for one in finished
        for point in thinned(one.outcome.curve, most)
    ]
    names = ["trial", "iteration", "loss", "validation_loss", "validation_accuracy"]
    return pd.DataFrame(rows, columns=names)


def best(plan: Plan, finished: Sequence[Finished]) -> dict[str, Any]:
    """Return what was varied at its lowest validation log loss, and the scores.

    Trials that differ in nothing but the seed count as one, by their mean. Rounded losses are
    compared, and of equals the first is taken, so that no last bit decides.
    """
    repeats: dict[str, list[Finished]] = {}
    for one in finished:
        key = json.dumps(without_seed(one.settings), sort_keys=True)
        repeats.setdefault(key, []).append(one)
    scored = [
        (round(float(np.mean([p.validation_loss for p in points])), DECIMALS), points, group)
        for group in repeats.values()
        if all(one.outcome.ended not in ("diverged", "pruned") for one in group)
        for points in [[one.outcome.best for one in group if one.outcome.best]]
        if points
    ]
    if not scored:
        return {"settings": {}, "validation": None}
    varied = [axis.key for axis in plan.space.axes if axis.key != "seed"]
    loss, points, group = min(scored, key=lambda item: item[0])
    accuracy = round(float(np.mean([p.validation_accuracy for p in points])), DECIMALS)
    return {
        "settings": {key: group[0].settings[key] for key in varied},
        "validation": {"log_loss": loss, "accuracy": accuracy},
    }


def _csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, lineterminator="\n"))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
