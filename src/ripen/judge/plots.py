"""Figures by matplotlib: each function takes a table; `save` writes the same bytes each time."""

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
FEW = 10  # classes that fit into a matrix of that size
POINTS = 2000  # in a scatter plot: an SVG of many more is slow to open
MARKERS = "xo^sD*"  # of classes
LETTERS = 24  # of a class's name
COLOURS = {"train": "#2f6f4e", "validation": "#c2703d", "reference": "#8a8a8a"}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG with a title."""
    # matplotlib would write the date, and names of elements at random.
    with mpl.rc_context({"svg.hashsalt": "ripen"}), replacing(path) as temporary:
        named = {"Title": _name(figure), "Date": None, "Creator": None}
        figure.savefig(temporary, format="svg", metadata=named)


def error_curve(
    curve: pd.DataFrame, stopped: str, best_iteration: int, loss: str = "log loss"
) -> Figure:
    """Error against iterations, as in the talk: down is better.

    Parameters
    ----------
    curve : DataFrame
        Columns iteration, loss, validation_loss.
    stopped : str
        Why the training ended.
    best_iteration : int
        The one whose weights are kept.
    loss : str
        The name of the loss.
    """
    figure, axes = _axes("iterations", f"error ({loss})")
    axes.plot(curve.iteration, curve.loss, color=COLOURS["train"], label="training")
    axes.plot(
        curve.iteration, curve.validation_loss, color=COLOURS["validation"], label="validation"
    )
    axes.axvline(best_iteration, color=COLOURS["reference"], linestyle=":", label="kept")
    axes.set_title(f"ended by: {stopped}")
    axes.legend()
    return figure


def error_curves(curves: Mapping[str, pd.DataFrame], loss: str = "log loss") -> Figure:
    """Error against iterations of several nets: solid in validation, dotted in training.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        Columns iteration, loss, validation_loss; one table a net.
    loss : str
        The name of the loss.
    """
    figure, axes = _axes("iterations", f"error ({loss})")
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
    """Observed share against predicted probability: on the line they are the same.

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
    """Predicted values against true ones: on the line they are the same.

    Parameters
    ----------
    points : DataFrame
        Columns truth and predicted.
    title : str
    """
    figure, axes = _axes("true value", "predicted value")
    _scatter(axes, points.truth, points.predicted)
    both = points[["truth", "predicted"]].to_numpy()
    ends = [float(both.min()), float(both.max())]
    axes.plot(ends, ends, color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.set_title(title)
    axes.legend()
    return figure


def residuals(points: pd.DataFrame, title: str) -> Figure:
    """Residuals against predicted values: a pattern is something that the model has missed.

    Parameters
    ----------
    points : DataFrame
        Columns predicted and residual (true - predicted).
    title : str
    """
    figure, axes = _axes("predicted value", "residual (true - predicted)")
    _scatter(axes, points.predicted, points.residual)
    axes.axhline(0, color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.set_title(title)
    axes.legend()
    return figure


def learning_curve(
    points: pd.DataFrame, best_possible: float | None, score: str = "test accuracy"
) -> Figure:
    """Score against the number of training rows.

    Parameters
    ----------
    points : DataFrame
        Columns model, n_train, score; a line for each model.
    best_possible : float or None
        The score of the best possible rule, where it is known.
    score : str
        Its name.
    """
    figure, axes = _axes("training rows", score)
    for model, line in points.groupby("model", sort=False):
        axes.plot(line.n_train, line.score, marker="o", label=str(model))
    if best_possible is not None:
        axes.axhline(
            best_possible, color=COLOURS["reference"], linestyle=":", label="best possible"
        )
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
    """A model's probability over two features, with rows whose class is known.

    Parameters
    ----------
    x, y : ndarray of shape (nx,), (ny,)
    probability : ndarray of shape (ny, nx)
    points : DataFrame
        Columns x, y, label.
    names : (str, str, str)
        Of the two features, and of the class whose probability it is.
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
    axes.set_title("the other features at their medians")
    axes.legend()
    return figure


def agreement(points: pd.DataFrame, title: str) -> Figure:
    """Cross-validated scores against public ones: what ranks alike lies on a rising line.

    Parameters
    ----------
    points : DataFrame
        Columns model, cv, cv_error (its standard error, or NaN), public; a row for each submission.
    title : str
    """
    figure, axes = _axes("cross-validated score", "public score")
    errors = points.cv_error.fillna(0)
    axes.errorbar(points.cv, points.public, xerr=errors, fmt="o", color=COLOURS["train"], capsize=3)
    for one in points.itertuples():
        axes.annotate(
            textwrap.shorten(str(one.model), LETTERS, placeholder="…"),
            (one.cv, one.public),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
        )
    axes.axline(
        (points.cv.mean(), points.public.mean()),
        slope=1,
        color=COLOURS["reference"],
        linestyle=":",
        label="as much better on both",
    )
    axes.set_title(title)
    axes.legend()
    return figure


def _name(figure: Figure) -> str:
    """Return the figure's title for screen readers."""
    axes = figure.axes[0] if figure.axes else None
    if axes is None:
        return ""
    labels = f"{axes.get_ylabel()} against {axes.get_xlabel()}" if axes.get_xlabel() else ""
    return ": ".join(part for part in (labels, axes.get_title()) if part)


def _scatter(axes: mpl.axes.Axes, x: "pd.Series[float]", y: "pd.Series[float]") -> None:
    step = -(-len(x) // POINTS)
    axes.scatter(x[::step], y[::step], s=8, alpha=0.5, linewidths=0, color=COLOURS["train"])


def _axes(x: str, y: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
