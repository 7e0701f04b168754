"""Figures by matplotlib: each function takes a table; `save` writes the same bytes each time.

A model has one colour in all of them (`palette`). Beside its drawing, a file holds the points of
its lines, which the report shows where the pointer is (`points`).
"""

import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.axis
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ripen.core.atomic import write_text
from ripen.settings.naming import how_it_ended

SIZE = (5.2, 3.4)  # inches: half a page, and text that can still be read on a phone
FEW = 10  # classes that fit into a matrix of that size
LEGEND = 0.2  # inches of a row
POINTS = 2000  # in a scatter plot: an SVG of many more is slow to open
MARKERS = "xo^sD*"  # of classes
LETTERS = 24  # of a class's name
SQUARE, LETTER = 0.36, 0.085  # inches of a matrix's square, and of a letter beside it
LEVEL = 30  # letters of all classes' names that stand side by side below a matrix
WIDE = 10  # times the least score: one bad model would squeeze all others together
HOVERED = 200  # points of a line
TICKS = 5  # intervals of an axis with long numbers
COLOURS = {"train": "#3c8c63", "validation": "#c2703d", "reference": "#8a8a8a"}
# Each has a contrast of at least 3 with white and with the report's dark background (WCAG 1.4.11).
PALETTE = (
    *("#2f7fb8", "#d9660a", "#2f9a5c", "#d0434a", "#8f6fc4", "#a0705f"),
    *("#c95aa8", "#84841f", "#1c93a8", "#7a7f87"),
)
Styles = Mapping[str, Mapping[str, Any]]


def palette(models: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the colour of each model, the same in all figures and in the report.

    Of more than 10 models the next 10 have the same colours and dashed lines, and so on.
    """
    lines = ("-", "--", ":", "-.")
    return {
        model: {
            "color": PALETTE[i % len(PALETTE)],
            "linestyle": lines[i // len(PALETTE) % len(lines)],
        }
        for i, model in enumerate(models)
    }


def save(figure: Figure, path: Path) -> None:
    """Write a figure as an SVG file."""
    write_text(path, svg(figure))


def svg(figure: Figure) -> str:
    """Return a figure as SVG with a title, and the points of its lines as `data-points`."""
    # Text stays text, in the font of the page. Names at random and the date would change.
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "ripen", "svg.fonttype": "none"}):
        named = {"Title": _name(figure), "Date": None, "Creator": None}
        figure.savefig(drawn, format="svg", metadata=named)
    found = json.dumps(points(figure), separators=(",", ":"), ensure_ascii=False)
    return drawn.getvalue().replace("<svg ", f'<svg data-points="{escape(found)}" ', 1)


def points(figure: Figure) -> list[list[Any]]:
    """Return the points of the named lines of a figure: at most 200 of each, evenly spread.

    Returns
    -------
    list of [name, [[x, y, text, text], ...]]
        The place in the SVG, in its own units from the upper left corner, and the two values.
    """
    scale, height = 72 / figure.dpi, figure.get_figheight() * 72
    found = []
    for axes in figure.axes:
        for line in axes.lines:
            name = str(line.get_label())
            values = np.asarray(line.get_xydata(), np.float64)
            values = values[np.isfinite(values).all(axis=1)]
            if name.startswith("_child") or len(values) < 3:  # without a name, or a reference
                continue
            kept = np.unique(np.linspace(0, len(values) - 1, min(HOVERED, len(values))).astype(int))
            places = line.get_transform().transform(values[kept]) * scale
            found.append(
                [
                    name.lstrip("_"),
                    [
                        [round(x, 1), round(height - y, 1), _number(a), _number(b)]
                        for (x, y), (a, b) in zip(places.tolist(), values[kept], strict=True)
                    ],
                ]
            )
    return found


def scores(table: pd.DataFrame, heading: str, styles: Styles) -> Figure:
    """Scores with their standard errors, the best model on top.

    Parameters
    ----------
    table : DataFrame
        Columns model, score, standard_error, the best first.
    heading : str
        The score's name.
    styles : mapping
        From `palette`.
    """
    figure, axes = _axes(heading, "")
    figure.set_size_inches(SIZE[0], 1.0 + 0.32 * len(table))
    values, errors = table.score.to_numpy(float), table.standard_error.to_numpy(float)
    for place, (model, value, bar) in enumerate(zip(table.model, values, errors, strict=True)):
        colour = styles[str(model)]["color"]
        axes.errorbar(value, -place, xerr=bar, fmt="o", color=colour, capsize=4, lw=2)
    if np.isfinite(errors[0]):
        ends = (values[0] - errors[0], values[0] + errors[0])
        axes.axvspan(*ends, color=COLOURS["reference"], alpha=0.15, lw=0)
    if table.score.min() > 0 and table.score.max() > WIDE * table.score.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    else:
        _few_ticks(axes.xaxis)
    axes.set_yticks([-i for i in range(len(table))], list(table.model))
    axes.set_ylim(-len(table) + 0.4, 0.6)
    return figure


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
    axes.set_title(how_it_ended(stopped, int(curve.iteration.iloc[-1])))
    return with_legend(figure)


def error_curves(
    curves: Mapping[str, pd.DataFrame], styles: Styles, loss: str = "log loss"
) -> Figure:
    """Error against iterations of several nets: solid in validation, dotted in training.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        Columns iteration, loss, validation_loss; one table a net.
    styles : mapping
        From `palette`.
    loss : str
        The name of the loss.
    """
    figure, axes = _axes("iterations", f"error ({loss})")
    for name, curve in curves.items():
        colour = styles[name]["color"]
        axes.plot(curve.iteration, curve.validation_loss, color=colour, label=name)
        axes.plot(curve.iteration, curve.loss, color=colour, linestyle=":", alpha=0.8)
    axes.set_title("validation; dotted: training")
    return with_legend(figure)


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
    names = [name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in classes]
    longest = max(map(len, names))
    upright = longest * len(names) > LEVEL
    if many := len(classes) > FEW:
        figure.set_size_inches(10, 9)
    elif upright:  # or the names would leave no room for the squares
        side, beside = SQUARE * len(names) + 0.9, LETTER * longest
        figure.set_size_inches(max(SIZE[0], side + beside), max(SIZE[1], side + beside))
    axes.imshow(counts.to_numpy(), cmap="Greens")
    for i, row in enumerate(counts.to_numpy()):
        for j, count in enumerate(row):
            dark = count > counts.to_numpy().max() / 2
            shown = "" if many and not count else str(count)
            axes.text(j, i, shown, ha="center", va="center", color="#fefefe" if dark else "#111111")
    axes.set_xticks(range(len(classes)), names, rotation=90 if upright else 0)
    axes.set_yticks(range(len(classes)), names)
    axes.set_title(title)
    return figure


def reliability(bins: pd.DataFrame, title: str, colour: str = COLOURS["train"]) -> Figure:
    """Observed share against predicted probability: on the line they are the same.

    Parameters
    ----------
    bins : DataFrame
        Columns predicted (mean probability in the bin) and observed (share of true ones).
    title, colour : str
        Of the model.
    """
    figure, axes = _axes("predicted probability", "observed share")
    axes.plot([0, 1], [0, 1], color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.plot(bins.predicted, bins.observed, marker="o", color=colour, label=title)
    return with_legend(figure)


def roc(points: pd.DataFrame, title: str, styles: Styles) -> Figure:
    """Receiver operating characteristic.

    Parameters
    ----------
    points : DataFrame
        Columns model, false_positive_rate, true_positive_rate; a line for each model.
    title : str
    styles : mapping
        From `palette`.
    """
    figure, axes = _axes("false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=COLOURS["reference"], linestyle=":", label="guessing")
    for model, line in points.groupby("model", sort=False):
        drawn = line.iloc[_thinned(len(line))]
        style = styles[str(model)]
        axes.plot(drawn.false_positive_rate, drawn.true_positive_rate, label=str(model), **style)
    axes.set_title(title)
    return with_legend(figure)


def values(points: pd.DataFrame, title: str, colour: str = COLOURS["train"]) -> Figure:
    """Predicted values against true ones: on the line they are the same.

    Parameters
    ----------
    points : DataFrame
        Columns truth and predicted.
    title, colour : str
        Of the model.
    """
    figure, axes = _axes("true value", "predicted value")
    _scatter(axes, points.truth, points.predicted, colour)
    both = points[["truth", "predicted"]].to_numpy()
    ends = [float(both.min()), float(both.max())]
    axes.plot(ends, ends, color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.set_title(title)
    return with_legend(figure)


def residuals(points: pd.DataFrame, title: str, colour: str = COLOURS["train"]) -> Figure:
    """Residuals against predicted values: a pattern is something that the model has missed.

    Parameters
    ----------
    points : DataFrame
        Columns predicted and residual (true - predicted).
    title, colour : str
        Of the model.
    """
    figure, axes = _axes("predicted value", "residual (true - predicted)")
    _scatter(axes, points.predicted, points.residual, colour)
    axes.axhline(0, color=COLOURS["reference"], linestyle=":", label="perfect")
    axes.set_title(title)
    return with_legend(figure)


def learning_curve(
    points: pd.DataFrame,
    best_possible: float | None,
    styles: Styles,
    score: str = "test accuracy",
) -> Figure:
    """Score against the number of training rows.

    Parameters
    ----------
    points : DataFrame
        Columns model, n_train, score; a line for each model.
    best_possible : float or None
        The score of the best possible rule, where it is known.
    styles : mapping
        From `palette`.
    score : str
        Its name.
    """
    figure, axes = _axes("training rows", score)
    for model, line in points.groupby("model", sort=False):
        axes.plot(line.n_train, line.score, marker="o", label=str(model), **styles[str(model)])
    if best_possible is not None:
        axes.axhline(
            best_possible, color=COLOURS["reference"], linestyle=":", label="best possible"
        )
    axes.set_xscale("log")
    sizes = sorted(points.n_train.unique())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=0 if len(sizes) < 8 else 45)
    axes.minorticks_off()
    return with_legend(figure)


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
    return with_legend(figure)


def agreement(points: pd.DataFrame) -> Figure:
    """Cross-validated scores against public ones: what ranks alike lies on a rising line.

    Parameters
    ----------
    points : DataFrame
        Columns model, cv, cv_error (its standard error, or NaN), public; a row for each submission.
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
    return with_legend(figure)


def _name(figure: Figure) -> str:
    """Return the figure's title for screen readers."""
    axes = figure.axes[0] if figure.axes else None
    if axes is None:
        return ""
    labels = f"{axes.get_ylabel()} against {axes.get_xlabel()}" if axes.get_xlabel() else ""
    return ": ".join(part for part in (labels, axes.get_title().replace("\n", ", ")) if part)


def _scatter(
    axes: mpl.axes.Axes, x: "pd.Series[float]", y: "pd.Series[float]", colour: str
) -> None:
    step = -(-len(x) // POINTS)
    axes.scatter(x[::step], y[::step], s=8, alpha=0.5, linewidths=0, color=colour)
    _few_ticks(axes.xaxis)
    _few_ticks(axes.yaxis)


def _few_ticks(axis: mpl.axis.Axis) -> None:
    """Give an axis no more numbers than fit side by side, without a power of ten."""
    axis.set_major_locator(mpl.ticker.MaxNLocator(TICKS))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: _number(value)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _thinned(count: int) -> NDArray[np.int64]:
    """Return the places of at most `POINTS` of so many rows, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(POINTS, count)).astype(np.int64))


def with_legend(figure: Figure) -> Figure:
    """Add the legend below the axes, where it covers nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 2 if max(map(len, labels), default=0) > 15 else 3
    rows = -(-len(labels) // columns)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND * max(rows - 2, 0))  # the axes keep their height
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _axes(x: str, y: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
