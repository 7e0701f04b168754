"""What a sweep shows: its curves, its learning rates, its nets, and how its settings meet."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ripen.judge.plots import COLOURS, SIZE
from ripen.learn.sweeps.space import Choices, Interval

MOST_CURVES = 200
RATE = "solver.base_lr"
SHOWN = {"sails past": "#b3261e", "crawls": "#8a8a8a"}


def pictures(
    trials: pd.DataFrame, curves: pd.DataFrame, axes: Sequence[Choices | Interval]
) -> Iterator[tuple[str, Figure]]:
    """Yield the figures that fit what was varied, each with its name.

    Parameters
    ----------
    trials, curves : DataFrame
        As `ripen.learn.sweeps.results` makes them.
    axes : sequence
        What was varied.
    """
    keys = [axis.key for axis in axes]
    yield "curves", all_curves(trials, curves)
    if RATE in keys:
        yield "converged", converged_at(trials)
    if trials.validation_loss.isna().all():  # all diverged: there are no scores to draw
        return
    for key in keys:
        if key != "seed" and trials[key].nunique() > 1:
            yield key.rpartition(".")[2], accuracy(trials, key)
    if len(keys) > 1:
        yield "parallel", parallel(trials, keys)
    numbers = [a.key for a in axes if isinstance(a, Interval) or _are_numbers(a.values)]
    numbers = [key for key in numbers if key != "seed" and trials[key].nunique() > 1]
    if len(numbers) > 1:
        yield "contour", contour(trials, numbers[0], numbers[1])


def lines(trials: pd.DataFrame, curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what of two sweeps can be drawn as two lines in one figure, each with its name.

    `best_curve` is the curve of the trial of the lowest validation loss. `converged_at`, where
    learning rates were varied, is the mean number of iterations until a trial ended at each, and
    the share of those that ended since they had converged.
    """
    best = trials.trial[trials.validation_loss == trials.validation_loss.min()].head(1)
    yield "best_curve", curves[curves.trial.isin(best)].drop(columns="trial")
    if RATE in trials:
        found = trials.assign(converged=trials.ended == "converged").groupby(RATE)
        means = found[["iterations", "converged"]].mean().reset_index()
        means.insert(1, "log10_learning_rate", means[RATE].map(math.log10).round(4))
        yield "converged_at", means.rename(columns={RATE: "learning_rate"})


def marked(trials: pd.DataFrame, curves: pd.DataFrame) -> dict[int, str]:
    """Say of each trial, in the talk's words, what is wrong with its steps; "" if nothing.

    It "sails past" when it diverged, or ends above where it began: its first check, or the middle
    of all trials' first checks where its own is far above or below. It "crawls" when its budget is
    spent, its error still falls, and is over a tenth above the lowest at which a trial ends.
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


def all_curves(trials: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Error against iterations of all trials, coloured by learning rate where it was varied."""
    figure, axes = _axes("iterations", "validation error (log loss)")
    words = marked(trials, curves)
    colour, bar = _colours(trials)
    for trial in trials.trial.head(MOST_CURVES).astype(int):
        curve = curves[curves.trial == trial]
        word = words[trial]
        style = {"sails past": ":", "crawls": "--", "": "-"}[word]
        axes.plot(curve.iteration, curve.validation_loss, style, color=colour(trial), lw=1)
        if word and len(curve):
            axes.plot(curve.iteration.iloc[-1], curve.validation_loss.iloc[-1],
                      marker="x" if word == "sails past" else "o",
                      color=SHOWN[word], markersize=5)  # fmt: skip
    for word, mark in (("sails past", "x"), ("crawls", "o")):
        if word in words.values():
            axes.plot([], [], mark, color=SHOWN[word], label=word)
    best, worst = curves.validation_loss.min(), curves.validation_loss.max()
    if best > 0 and worst > 10 * best:
        axes.set_yscale("log")
    if bar is not None:
        figure.colorbar(bar, ax=axes, label="learning rate")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return figure


def converged_at(trials: pd.DataFrame) -> Figure:
    """Iterations until the end against learning rate: converged, or ended otherwise."""
    figure, axes = _axes("learning rate", "iterations until it ended")
    for ended, rows in trials.groupby("ended", sort=True):
        filled = ended == "converged"
        axes.plot(rows[RATE], rows.iterations, "o", label=str(ended),
                  fillstyle="full" if filled else "none")  # fmt: skip
    axes.set_xscale("log")
    axes.legend()
    return figure


def accuracy(trials: pd.DataFrame, key: str) -> Figure:
    """Validation accuracy against one setting: the mean, and the spread over all else."""
    figure, axes = _axes(key, "validation accuracy")
    rows = trials.dropna(subset=["validation_accuracy"])
    groups = rows.groupby(key, sort=_are_numbers(rows[key]))["validation_accuracy"]
    names, means = list(groups.groups), groups.mean().to_numpy()
    order = groups.mean().index
    places = list(order) if _are_numbers(order) else list(range(len(names)))
    for place, name in zip(places, order, strict=True):
        own = rows.loc[rows[key] == name, "validation_accuracy"]
        axes.plot([place] * len(own), own, "o", color=COLOURS["reference"], markersize=3)
    if groups.size().max() > 1 or len(order) < 12:  # else a cloud of drawn numbers
        axes.plot(places, means, marker="o", color=COLOURS["train"])
    if _are_numbers(order):
        if min(places) > 0 and max(places) > 20 * min(places):
            axes.set_xscale("log")
    else:
        axes.set_xticks(places, [str(name) for name in order])
    return figure


def parallel(trials: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """Parallel coordinates: a line a trial through its settings to its error; dark is good."""
    figure, axes = _axes("", "")
    rows = trials.dropna(subset=["validation_loss"])
    columns = [*keys, "validation_loss"]
    places = np.column_stack([_scaled(rows[name]) for name in columns])
    rank = rows.validation_loss.rank(pct=True).to_numpy()
    for line, share in sorted(zip(places, rank, strict=True), key=lambda pair: -pair[1]):
        axes.plot(range(len(columns)), line, color=mpl.colormaps["viridis"](share), lw=1)
    axes.set_xticks(range(len(columns)), [name.rpartition(".")[2] for name in columns])
    axes.set_yticks([])
    for x, name in enumerate(columns):
        axes.axvline(x, color=COLOURS["reference"], lw=0.5)
        low, high = _ends(rows[name])
        axes.text(x, -0.04, low, ha="center", va="top", fontsize=7)
        axes.text(x, 1.04, high, ha="center", va="bottom", fontsize=7)
    axes.set_ylim(-0.15, 1.15)
    return figure


def contour(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """Error over two settings: the lowest of the trials at each place."""
    figure, axes = _axes(x, y)
    rows = trials.dropna(subset=["validation_loss"])
    rows = pd.DataFrame(rows.groupby([x, y])["validation_loss"].min()).reset_index()
    points = axes.scatter(rows[x], rows[y], c=rows.validation_loss, cmap="viridis", zorder=3)
    if len(rows) >= 4 and rows[x].nunique() > 1 and rows[y].nunique() > 1:
        across = [np.log10(rows[n]) if _wide(rows[n]) else rows[n] for n in (x, y)]
        if np.linalg.matrix_rank(np.column_stack(across) - np.mean(across, axis=1)) == 2:
            axes.tricontourf(rows[x], rows[y], rows.validation_loss, cmap="viridis", alpha=0.5)
    for name, set_scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
        if _wide(rows[name]):
            set_scale("log")
    figure.colorbar(points, ax=axes, label="validation error (log loss)")
    return figure


def _axes(x: str, y: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(trials: pd.DataFrame) -> tuple[Any, Any]:
    """Return each trial's colour, and what the bar of colours is drawn from."""
    if RATE not in trials or trials[RATE].nunique() < 2:
        return lambda trial: COLOURS["validation"], None
    rates = trials.set_index("trial")[RATE].astype(float)
    norm: Normalize = LogNorm(rates.min(), rates.max())
    scale = mpl.cm.ScalarMappable(norm, "viridis")
    colours = dict(zip(rates.index, scale.to_rgba(rates.to_numpy()), strict=True))
    return colours.get, scale


def _are_numbers(values: Any) -> bool:
    return all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)


def _wide(values: "pd.Series[float]") -> bool:
    return bool(values.min() > 0 and values.max() > 20 * values.min())


def _scaled(values: "pd.Series[Any]") -> Any:
    """Return values as places from 0 to 1; what is no number in the order in which it comes."""
    numbers = values.astype(float) if _are_numbers(values) else _codes(values)
    if _wide(numbers):
        numbers = numbers.map(math.log10)
    span = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / (span or 1.0)


def _codes(values: "pd.Series[Any]") -> "pd.Series[float]":
    return pd.Series(pd.factorize(values)[0], index=values.index).astype(float)


def _ends(values: "pd.Series[Any]") -> tuple[str, str]:
    if _are_numbers(values):
        return f"{values.min():.3g}", f"{values.max():.3g}"
    names = list(dict.fromkeys(values))
    return str(names[0]), str(names[-1])
