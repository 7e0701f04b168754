"""The tables of a sweep: its trials, their curves, the best settings."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ripen.competition.metrics import DECIMALS
from ripen.core.frames import write_frame
from ripen.core.json_files import read_json, write_json
from ripen.learn.sweeps.space import encoded

if TYPE_CHECKING:  # these import Optuna and torch, which a name of a trial does without
    from ripen.learn.sweeps.study import Study
    from ripen.learn.sweeps.trial import FinishedTrial

BEST = "best.json"
RATE = "solver.base_lr"


def write(folder: Path, study: "Study", finished: "Sequence[FinishedTrial]") -> None:
    """Write the tables, and `best.json`."""
    table, points = trials(study, finished), curves(finished, study.sweep.curve_points)
    for name, each in (("trials", table), ("curves", points), *lines(table, points)):
        write_frame(folder / f"{name}.csv", each)
    chosen = best(study, finished)
    write_json(folder / BEST, {"sweep": study.sweep.name, "trials": len(finished)} | chosen)


def write_swept(folder: Path, swept: Path, train_best: bool) -> None:
    """Write the settings that the stage `fit` takes from a sweep: none without `train_best`."""
    found = read_json(folder / BEST)
    write_json(swept, found["settings"] if train_best else {})


def trials(study: "Study", finished: "Sequence[FinishedTrial]") -> pd.DataFrame:
    """Return a row for each trial: its number, the settings that vary, and its result."""
    rows: list[dict[str, Any]] = []
    for one in finished:
        result, point = one.result, one.result.best
        rows.append(
            {"trial": one.index}
            | {axis.key: encoded(one.settings[axis.key]) for axis in study.space.axes}
            | {
                "ended": result.ended,
                "iterations": result.iterations,
                "converged_at": result.iterations if result.ended == "converged" else None,
                "best_iteration": result.best_iteration,
                "validation_loss": point and round(point.validation_loss, DECIMALS),
                "validation_accuracy": point and round(point.validation_accuracy, DECIMALS),
            }
        )
    return pd.DataFrame(rows).astype({"converged_at": "Int64"})


def curves(finished: "Sequence[FinishedTrial]", most: int) -> pd.DataFrame:
    """Return all curves, thinned, one under the other."""
    from ripen.learn.sweeps.trial import thinned

    rows = [
        {"trial": one.index, "iteration": point.iteration}
        | {
            name: round(value, DECIMALS)
            for name, value in zip(point._fields[1:], point[1:], strict=True)
        }
        for one in finished
        for point in thinned(one.result.curve, most)
    ]
    names = ["trial", "iteration", "loss", "validation_loss", "validation_accuracy"]
    return pd.DataFrame(rows, columns=names)


def best(study: "Study", finished: "Sequence[FinishedTrial]") -> dict[str, Any]:
    """Return the varied settings with the lowest validation loss, and their scores.

    Trials that differ in the seed alone count as one, by their mean. Rounded losses are compared,
    and of equal ones the first is taken, so that the last bits decide nothing.
    """
    from ripen.learn.sweeps.study import without_seed

    repeats: dict[str, list[FinishedTrial]] = {}
    for one in finished:
        key = json.dumps(without_seed(one.settings), sort_keys=True)
        repeats.setdefault(key, []).append(one)
    scored = [
        (round(float(np.mean([p.validation_loss for p in points])), DECIMALS), points, group)
        for group in repeats.values()
        if all(one.result.ended not in ("diverged", "pruned") for one in group)
        for points in [[one.result.best for one in group if one.result.best]]
        if points
    ]
    if not scored:
        return {"settings": {}, "validation": None}
    varied = [axis.key for axis in study.space.axes if axis.key != "seed"]
    loss, points, group = min(scored, key=lambda item: item[0])
    accuracy = round(float(np.mean([p.validation_accuracy for p in points])), DECIMALS)
    return {
        "settings": {key: group[0].settings[key] for key in varied},
        # A regression has no accuracy, and JSON no NaN.
        "validation": {"log_loss": loss, "accuracy": None if math.isnan(accuracy) else accuracy},
    }


def lines(trials: pd.DataFrame, curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables that let two sweeps be compared in one figure, each with its name.

    `best_curve` is the curve of the trial of the lowest validation loss. `converged_at` exists
    where learning rates vary: for each the mean number of iterations until a trial ended, and the
    share of trials that ended because they had converged.
    """
    best = trials.trial[trials.validation_loss == trials.validation_loss.min()].head(1)
    yield "best_curve", curves[curves.trial.isin(best)].drop(columns="trial")
    if RATE in trials:
        found = trials.assign(converged=trials.ended == "converged").groupby(RATE)
        means = found[["iterations", "converged"]].mean().reset_index()
        means.insert(1, "log10_learning_rate", means[RATE].map(math.log10).round(4))
        yield "converged_at", means.rename(columns={RATE: "learning_rate"})


def marked(trials: pd.DataFrame, curves: pd.DataFrame) -> dict[int, str]:
    """Return for each trial the fault of its step size, in the talk's words; "" if none.

    A trial "sails past" if it diverged or ended above its beginning: its first check, or the median
    of all trials' first checks where its own is far from that. It "crawls" if its budget is spent,
    its error still falls, and it is over a tenth above the lowest error at which a trial ended.
    """
    losses = {trial: own.validation_loss.to_numpy() for trial, own in curves.groupby("trial")}
    middle = float(np.median([own[0] for own in losses.values()])) if losses else 0.0
    lowest = min((own[-1] for own in losses.values()), default=0.0)
    words = {}
    for trial, ended in zip(trials.trial, trials.ended, strict=True):
        own = losses.get(trial, np.array([np.inf]))
        falls = own[-1] < own[len(own) // 2]
        began = max(min(own[0], 2 * middle), middle)
        if ended == "diverged" or own[-1] > began:
            words[int(trial)] = "sails past"
        elif ended == "max_iter" and falls and own[-1] > 1.1 * lowest:
            words[int(trial)] = "crawls"
        else:
            words[int(trial)] = ""
    return words
