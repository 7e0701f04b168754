"""The figures of a sweep: its curves, its learning rates, its nets, and pairs of settings."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from ripen.judge.plots import COLOURS, new_axes, with_legend
from ripen.learn.sweeps.space import Choices, Interval
from ripen.learn.sweeps.sweep_tables import RATE, marked
from ripen.settings.naming import setting_name, trial_name

MOST_CURVES = 200
SHOWN = {"sails past": "#b3261e", "crawls": "#8a8a8a"}


def figures(
    trials: pd.DataFrame, curves: pd.DataFrame, axes: Sequence[Choices | Interval]
) -> Iterator[tuple[str, Figure]]:
    """Yield the figures that suit the settings that vary, each with its name.

    Parameters
    ----------
    trials, curves : DataFrame
        From `ripen.learn.sweeps.sweep_tables`.
    axes : sequence
        The settings that vary.
    """
    keys = [axis.key for axis in axes]
    yield "curves", all_curves(trials, curves)
    if RATE in keys:
        yield "converged", converged_at(trials)
    if trials.validation_loss.isna().all():  # all diverged: there are no scores to draw
        return
    scored = trials.validation_accuracy.notna().any()  # a regression has no accuracy
    for key in keys:
        if scored and key != "seed" and trials[key].nunique() > 1:
            yield key.rpartition(".")[2], accuracy(trials, key)
    if len(keys) > 1:
        yield "parallel", parallel(trials, keys)
    numbers = [a.key for a in axes if isinstance(a, Interval) or _are_numbers(a.values)]
    numbers = [key for key in numbers if key != "seed" and trials[key].nunique() > 1]
    if len(numbers) > 1:
        yield "contour", contour(trials, numbers[0], numbers[1])


def all_curves(trials: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Error against iterations of all trials, coloured by learning rate where it varies."""
    figure, axes = new_axes("iterations", "validation error (log loss)")
    words = marked(trials, curves)
    keys = [str(key) for key in trials.columns[1 : list(trials.columns).index("ended")]]
    names = {
        int(row["trial"]): trial_name({key: row[key] for key in keys})
        for _, row in trials.iterrows()
    }
    colour, bar = _colours(trials)
    for trial in trials.trial.head(MOST_CURVES).astype(int):
        curve = curves[curves.trial == trial]
        word = words[trial]
        style = {"sails past": ":", "crawls": "--", "": "-"}[word]
        # An underscore keeps it out of the legend, and the report shows the name at the pointer.
        name = f"_{names[trial]}"
        axes.plot(
            curve.iteration, curve.validation_loss, style, color=colour(trial), lw=1, label=name
        )
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
    return with_legend(figure) if axes.get_legend_handles_labels()[0] else figure


def converged_at(trials: pd.DataFrame) -> Figure:
    """Iterations until the end against learning rate; filled where the trial converged."""
    figure, axes = new_axes("learning rate", "iterations until it ended")
    for ended, rows in trials.groupby("ended", sort=True):
        filled = ended == "converged"
        axes.plot(rows[RATE], rows.iterations, "o", label=str(ended),
                  fillstyle="full" if filled else "none")  # fmt: skip
    axes.set_xscale("log")
    return with_legend(figure)


def accuracy(trials: pd.DataFrame, key: str) -> Figure:
    """Validation accuracy against one setting: the mean, and the spread over all others."""
    figure, axes = new_axes(setting_name(key), "validation accuracy")
    rows = trials.dropna(subset=["validation_accuracy"])
    groups = rows.groupby(key, sort=_are_numbers(rows[key]))["validation_accuracy"]
    names, means = list(groups.groups), groups.mean().to_numpy()
    order = groups.mean().index
    places = list(order) if _are_numbers(order) else list(range(len(names)))
    for place, name in zip(places, order, strict=True):
        own = rows.loc[rows[key] == name, "validation_accuracy"]
        axes.plot([place] * len(own), own, "o", color=COLOURS["reference"], markersize=3)
    if (
        groups.size().max() > 1 or len(order) < 12
    ):  # a line through random numbers would only zigzag
        axes.plot(places, means, marker="o", color=COLOURS["train"])
    if _are_numbers(order):
        if min(places) > 0 and max(places) > 20 * min(places):
            axes.set_xscale("log")
    else:
        axes.set_xticks(places, [str(name) for name in order])
    return figure


def parallel(trials: pd.DataFrame, keys: Sequence[str]) -> Figure:
    """Parallel coordinates: each trial's line through its settings to its error; dark is good."""
    figure, axes = new_axes("", "")
    rows = trials.dropna(subset=["validation_loss"])
    columns = [*keys, "validation_loss"]
    places = np.column_stack([_scaled(rows[name]) for name in columns])
    rank = rows.validation_loss.rank(pct=True).to_numpy()
    for line, share in sorted(zip(places, rank, strict=True), key=lambda pair: -pair[1]):
        axes.plot(range(len(columns)), line, color=mpl.colormaps["viridis"](share), lw=1)
    axes.set_xticks(range(len(columns)), [setting_name(name) for name in columns])
    axes.set_yticks([])
    for x, name in enumerate(columns):
        axes.axvline(x, color=COLOURS["reference"], lw=0.5)
        low, high = _ends(rows[name])
        axes.text(x, -0.04, low, ha="center", va="top", fontsize=7)
        axes.text(x, 1.04, high, ha="center", va="bottom", fontsize=7)
    axes.set_ylim(-0.15, 1.15)
    return figure


def contour(trials: pd.DataFrame, x: str, y: str) -> Figure:
    """Error over two settings: the lowest of the trials at each point."""
    figure, axes = new_axes(setting_name(x), setting_name(y))
    rows = trials.dropna(subset=["validation_loss"])
    rows = pd.DataFrame(rows.groupby([x, y])["validation_loss"].min()).reset_index()
    points = axes.scatter(rows[x], rows[y], c=rows.validation_loss, cmap="viridis", zorder=3)
    if len(rows) >= 4 and rows[x].nunique() > 1 and rows[y].nunique() > 1:
        across = [np.log10(rows[n]) if _wide(rows[n]) else rows[n] for n in (x, y)]
        # Points on one line cannot be triangulated.
        if np.linalg.matrix_rank(np.column_stack(across) - np.mean(across, axis=1)) == 2:
            axes.tricontourf(rows[x], rows[y], rows.validation_loss, cmap="viridis", alpha=0.5)
    for name, set_scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
        if _wide(rows[name]):
            set_scale("log")
    figure.colorbar(points, ax=axes, label="validation error (log loss)")
    return figure


def _colours(trials: pd.DataFrame) -> tuple[Any, Any]:
    """Return a function from trial to colour, and the scale of the colour bar."""
    if RATE not in trials or trials[RATE].nunique() < 2:
        return lambda trial: COLOURS["validation"], None
    rates = trials.set_index("trial")[RATE].astype(float)
    norm: Normalize = LogNorm(rates.min(), rates.max())
    # Neither its dark end, which a dark page hides, nor its yellow one, which a white one does.
    middle = mpl.colormaps["viridis"](np.linspace(0.3, 0.85, 64))
    scale = mpl.cm.ScalarMappable(norm, ListedColormap(middle))
    colours = dict(zip(rates.index, scale.to_rgba(rates.to_numpy()), strict=True))
    return colours.get, scale


def _are_numbers(values: Any) -> bool:
    return all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)


def _wide(values: "pd.Series[float]") -> bool:
    return bool(values.min() > 0 and values.max() > 20 * values.min())


def _scaled(values: "pd.Series[Any]") -> Any:
    """Return values scaled to [0, 1]; other values than numbers by their order of appearance."""
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
