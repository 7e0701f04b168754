"""The figures: each takes a table and returns a matplotlib figure; `save` writes the same bytes."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ripen.core.atomic import replacing

SIZE = (6.4, 4.0)  # inches
FEW = 10  # classes that this has room for
MARKERS = "xo^sD*"  # of classes
LETTERS = 24  # of a class
COLOURS = {"train": "#2f6f4e", "validation": "#c2703d", "reference": "#8a8a8a"}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG with a title, no date, and the same names inside each time."""
    with mpl.rc_context({"svg.hashsalt": "ripen"}), replacing(path) as temporary:
        named = {"Title": _name(figure), "Date": None, "Creator": None}
        figure.savefig(temporary, format="svg", metadata=named)


def error_curve(curve: pd.DataFrame, stopped: str, best_iteration: int) -> Figure:
    """Error against iterations, as the talk draws it: down is better.

    Parameters
    ----------
    curve : DataFrame
        Columns iteration, loss, validation_loss.
    stopped : str
        What ended the training.
    best_iteration : int
        Where the kept weights are from.
    """
    figure, axes = _axes("iterations", "error (log loss)")
    axes.plot(curve.iteration, curve.loss, color=COLOURS["train"], label="training")
    axes.plot(
        curve.iteration, curve.validation_loss, color=COLOURS["validation"], label="validation"
    )
    axes.axvline(best_iteration, color=COLOURS["reference"], linestyle=":", label="kept")
    axes.set_title(f"ended by: {stopped}")
    axes.legend()
    return figure


def ways(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Error against iterations of several nets: solid in validation, dotted in training.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        Columns iteration, loss, validation_loss; one table a net.
    """
    figure, axes = _axes("iterations", "error (log loss)")
    for name, curve in curves.items():
        (line,) = axes.plot(curve.iteration, curve.validation_loss, label=name)
        axes.plot(curve.iteration, curve.loss, color=line.get_color(), linestyle=":")
    axes.set_title("validation; dotted: training")
    axes.legend()
    return figure


def confusion(counts: pd.DataFrame, classes: Sequence[str], title: str) -> Figure:
    """Confusion matrix.

    Parameters
    ----------
    counts : DataFrame of shape (classes, classes)
        Row: true class; column: predicted class.
    classes : sequence of str
    title : str
    """
    figure, axes = _axes("predicted", "true")
    if many := len(classes) > FEW:
        figure.set_size_inches(10, 9)
    axes.imshow(counts.to_numpy(), cmap="Greens")
    for i, row in enumerate(counts.to_numpy()):
        for j, count in enumerate(row):
            dark = count > counts.to_numpy().max() / 2
            shown = "" if many and not count else str(count)
            axes.text(j, i, shown, ha="center", va="center", color="white" if dark else "black")
    names = [textwrap.shorten(name, LETTERS, placeholder="…") for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90 if many else 0)
    axes.set_yticks(range(len(classes)), names)
    axes.set_title(title)
    return figure


def reliability(bins: pd.DataFrame, title: str) -> Figure:
    """How often what is said with some probability is true.

    Parameters
    ----------
    bins : DataFrame
        Columns predicted (mean probability in the bin) and observed (share of true ones).
    title : str
    """
    figure, axes = _axes("predicted probability", "observed share")
    axes.plot([0, 1], [0, 1], color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.plot(bins.predicted, bins.observed, marker="o", color=COLOURS["train"], label=title)
    axes.legend()
    return figure


def roc(points: pd.DataFrame, title: str) -> Figure:
    """Receiver operating characteristic.

    Parameters
    ----------
    points : DataFrame
        Columns model, false_positive_rate, true_positive_rate; a line for each model.
    title : str
    """
    figure, axes = _axes("false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=COLOURS["reference"], linestyle=":", label="guessing")
    for model, line in points.groupby("model", sort=False):
        axes.plot(line.false_positive_rate, line.true_positive_rate, label=str(model))
    axes.set_title(title)
    axes.legend()
    return figure


def values(points: pd.DataFrame, title: str) -> Figure:
    """Predicted values against true ones: on the line they are right.

    Parameters
    ----------
    points : DataFrame
        Columns truth and predicted.
    """
    figure, axes = _axes("true value", "predicted value")
    axes.scatter(points.truth, points.predicted, s=8, alpha=0.5, linewidths=0)
    ends = [float(points.to_numpy().min()), float(points.to_numpy().max())]
    axes.plot(ends, ends, color="0.5", linestyle="--")
    axes.set_title(title)
    return figure


def learning_curve(points: pd.DataFrame, bayes: float | None, part: str = "test") -> Figure:
    """The more the better: accuracy against the number of training rows.

    Parameters
    ----------
    points : DataFrame
        Columns model, n_train, score; a line for each model.
    bayes : float or None
        Accuracy of the best possible rule, where it is known.
    part : str
        On which the accuracy is.
    """
    figure, axes = _axes("training rows", f"{part} accuracy")
    for model, line in points.groupby("model", sort=False):
        axes.plot(line.n_train, line.score, marker="o", label=str(model))
    if bayes is not None:
        axes.axhline(bayes, color=COLOURS["reference"], linestyle=":", label="best possible")
    axes.set_xscale("log")
    axes.legend()
    return figure


def regions(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    probability: NDArray[np.floating],
    points: pd.DataFrame,
    names: tuple[str, str, str],
) -> Figure:
    """What a model says over two measurements, with rows whose class is known.

    Parameters
    ----------
    x, y : ndarray of shape (nx,), (ny,)
    probability : ndarray of shape (ny, nx)
    points : DataFrame
        Columns x, y, label.
    names : (str, str, str)
        Of the two measurements, and of the class whose probability it is.
    """
    figure, axes = _axes(*names[:2])
    levels = np.linspace(0, 1, 11)
    filled = axes.contourf(x, y, probability, levels, cmap="PRGn", alpha=0.6)
    figure.colorbar(filled, label=f"probability of {names[2]}")
    if probability.min() < 0.5 < probability.max():
        axes.contour(x, y, probability, [0.5], colors="black", linewidths=1)
    for (label, rows), marker in zip(points.groupby("label"), MARKERS, strict=False):
        axes.scatter(
            rows.x, rows.y, s=14, marker=marker, color="#222222", linewidths=0.8, label=str(label)
        )
    axes.set_title("the other measurements at their medians")
    axes.legend()
    return figure


def _name(figure: Figure) -> str:
    """Return what a figure shows, for who cannot see it."""
    axes = figure.axes[0] if figure.axes else None
    if axes is None:
        return ""
    said = f"{axes.get_ylabel()} against {axes.get_xlabel()}" if axes.get_xlabel() else ""
    return ": ".join(part for part in (said, axes.get_title()) if part)


def _axes(x: str, y: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
