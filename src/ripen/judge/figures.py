"""Figures of one model's outputs, each with the table that it is drawn from.

Of a classification: confusions, reliability and ROC. Of a regression: predicted against true
values, and residuals.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.index import Ints
from ripen.competition.metrics import DECIMALS
from ripen.competition.metrics.ranking import TOP
from ripen.core.atomic import write_text
from ripen.judge import plots
from ripen.judge.scoring import Scored

FEW = 20  # classes that fit into a matrix
ROC = ["model", "false_positive_rate", "true_positive_rate"]


def draw(
    one: Scored,
    points: pd.DataFrame,
    classes: Sequence[str],
    bins: int,
    styles: plots.Styles,
    folder: Path,
) -> None:
    """Write a classifier's confusions, reliability curve and ROC.

    Parameters
    ----------
    one : Scored
    points : DataFrame
        Of its ROC, from `roc_points`.
    classes : sequence of str
        Their names.
    bins : int
        Points of the reliability curve.
    styles : mapping
        Colours, from `ripen.judge.plots.palette`.
    folder : Path
        Must exist.
    """
    confusions(one, classes, folder)
    curve = reliability(one, bins)
    write_csv(folder / "reliability.csv", curve)
    colour = styles[one.model]["color"]
    plots.save(plots.reliability(curve, one.model, colour), folder / "reliability.svg")
    write_csv(folder / "roc.csv", points.drop(columns="model"))
    plots.save(plots.roc(points, one.title, styles), folder / "roc.svg")


def draw_values(one: Scored, styles: plots.Styles, folder: Path) -> None:
    """Write a regression's values against the true ones, and its residuals."""
    found, colour = values(one), styles[one.model]["color"]
    write_csv(folder / "values.csv", found)
    plots.save(plots.values(found, one.title, colour), folder / "values.svg")
    plots.save(plots.residuals(found, one.title, colour), folder / "residuals.svg")


def values(one: Scored) -> pd.DataFrame:
    """Return a regression's values, row by row; of several targets one after the other.

    Returns
    -------
    DataFrame of n rows, or k n of k targets
        Columns truth, predicted, residual (truth - predicted).
    """
    truth, predicted = one.targets.astype(np.float64).ravel("F"), one.outputs.ravel("F")
    found = {"truth": truth, "predicted": predicted, "residual": truth - predicted}
    return pd.DataFrame(found).round(DECIMALS)


# --- Confusions ----------------------------------------------------------------------------------


def confusions(one: Scored, classes: Sequence[str], folder: Path) -> None:
    """Write which classes are confused: all of them, or the most confused of many.

    Of few classes DVC counts the rows of ``confusion.csv`` itself, so it has a line a row.
    """
    from sklearn.metrics import confusion_matrix

    title, names = one.title, np.array(classes)
    shown = np.arange(len(names))
    if len(names) > FEW:
        write_csv(folder / "confused.csv", confused(one, classes))
        write_csv(folder / "classes.csv", by_class(one, classes))
        shown = most_confused(one, FEW)
        title += "\nthe most confused classes"
    else:
        rows = pd.DataFrame({"actual": names[one.labels], "predicted": names[one.predicted]})
        write_csv(folder / "confusion.csv", rows)
    if len(shown):
        counts = pd.DataFrame(confusion_matrix(one.labels, one.predicted, labels=shown))
        figure = plots.confusion(counts, names[shown].tolist(), title)
        plots.save(figure, folder / "confusion.svg")


def by_class(one: Scored, classes: Sequence[str]) -> pd.DataFrame:
    """Return how well each class that occurs is recognised, in the order of the classes.

    Returns
    -------
    DataFrame
        Columns class; n (its rows); accuracy, top5 (shares of these); probability (the mean given
        to the right class); predicted (rows of any class that were predicted as this one);
        most_often (the most frequent prediction for its rows).
    """
    best = (-one.outputs).argsort(axis=1, kind="stable")[:, :TOP]
    labels, predicted, names = one.labels, best[:, 0], np.array(classes)
    rows = pd.DataFrame(
        {
            "label": labels,
            "accuracy": predicted == labels,
            "top5": (best == labels[:, None]).any(axis=1),
            "probability": one.outputs[np.arange(len(labels)), labels],
            "predicted": predicted,
        }
    )
    groups = rows.groupby("label")
    found = groups[["accuracy", "top5", "probability"]].mean().round(DECIMALS)
    found.insert(0, "n", groups.size())
    found["predicted"] = [int((predicted == label).sum()) for label in found.index]
    found["most_often"] = names[groups["predicted"].agg(lambda each: each.mode().iloc[0])]
    found.insert(0, "class", names[found.index.to_numpy()])
    return found.reset_index(drop=True)


def confused(one: Scored, classes: Sequence[str]) -> pd.DataFrame:
    """Return the pairs of classes that are confused, the most frequent first.

    Returns
    -------
    DataFrame
        Columns actual, predicted, n, and probability: the mean given to the predicted class.
    """
    pairs = _pairs(one)
    names = np.array(classes)
    return pd.DataFrame(
        {
            "actual": names[pairs.actual],
            "predicted": names[pairs.predicted],
            "n": pairs.n,
            "probability": pairs.probability.round(DECIMALS),
        }
    )


def most_confused(one: Scored, limit: int) -> Ints:
    """Return the classes of the most confused pairs, at most `limit`, in their order."""
    chosen: set[int] = set()
    for pair in _pairs(one).itertuples():
        more = chosen | {int(pair.actual), int(pair.predicted)}  # type: ignore[arg-type]
        if len(more) > limit:
            break
        chosen = more
    return np.array(sorted(chosen), np.int64)


def _pairs(one: Scored) -> pd.DataFrame:
    """Columns actual, predicted (labels), n and probability, the most frequent and surest first."""
    labels, predicted = one.labels, one.predicted
    highest = one.outputs.max(axis=1)
    rows = pd.DataFrame({"actual": labels, "predicted": predicted, "probability": highest})
    groups = rows[labels != predicted].groupby(["actual", "predicted"])
    found = groups.agg(n=("probability", "size"), probability=("probability", "mean"))
    order = ["n", "probability", "actual", "predicted"]
    ascending = [False, False, True, True]
    pairs: pd.DataFrame = found.reset_index()
    return pairs.sort_values(order, ascending=ascending, ignore_index=True)


# --- Curves --------------------------------------------------------------------------------------


def roc_points(one: Scored) -> pd.DataFrame:
    """Return the ROC: of the second of two classes; of more, of every class against the rest.

    Returns
    -------
    DataFrame
        Columns model, false_positive_rate, true_positive_rate.
    """
    from sklearn.metrics import roc_curve

    classes = one.outputs.shape[1]
    if classes == 2:
        true, probability = one.labels == 1, one.outputs[:, 1]
    else:
        # Micro-average: all classes share one curve, which 1,000 of them would hide otherwise.
        true = (one.labels[:, None] == np.arange(classes)).ravel()
        probability = one.outputs.ravel()
    false_rate, true_rate, _ = roc_curve(true, probability)
    rates = pd.DataFrame(
        {"false_positive_rate": false_rate, "true_positive_rate": true_rate}
    ).round(DECIMALS)
    return rates.drop_duplicates(ignore_index=True).assign(model=one.model)[ROC]


def reliability(one: Scored, bins: int) -> pd.DataFrame:
    """Return the reliability curve, with equal-count bins.

    It is that of the second of two classes, of the most probable one of more.

    Returns
    -------
    DataFrame
        Columns predicted (mean probability in the bin) and observed (share of true ones).
    """
    from sklearn.calibration import calibration_curve

    probability: NDArray[np.float64]
    if one.outputs.shape[1] == 2:
        true, probability = one.labels == 1, one.outputs[:, 1]
    else:
        true, probability = one.labels == one.predicted, one.outputs.max(axis=1)
    # A softmax in float32 may be above 1 by its last bit.
    within = np.clip(probability, 0, 1)
    observed, mean = calibration_curve(true, within, n_bins=bins, strategy="quantile")
    return pd.DataFrame({"predicted": mean, "observed": observed}).round(DECIMALS)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
