"""What one model's probabilities look like: curves and matrices, as tables and as pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_curve

from ripen.competition.metrics import DECIMALS
from ripen.core.atomic import write_text
from ripen.judge import plots
from ripen.judge.evaluation import classes as by_class
from ripen.judge.evaluation.scored import Scored

FEW = 20  # classes that a matrix has room for


def draw(
    one: Scored, points: pd.DataFrame, classes: Sequence[str], bins: int, folder: Path
) -> None:
    """Write one model's confusions, reliability curve and ROC.

    Parameters
    ----------
    one : Scored
    points : DataFrame
        Of its ROC, as `roc_points` returns them.
    classes : sequence of str
        Their names.
    bins : int
        Points of the reliability curve.
    folder : Path
        Is there already.
    """
    title = f"{one.model}, {one.part}"
    confusions(one, classes, folder)
    curve = reliability(one, bins)
    write_csv(folder / "reliability.csv", curve)
    plots.save(plots.reliability(curve, one.model), folder / "reliability.svg")
    write_csv(folder / "roc.csv", points.drop(columns="model"))
    plots.save(plots.roc(points, title), folder / "roc.svg")


def draw_values(one: Scored, folder: Path) -> None:
    """Write how predicted values stand to the true ones, of a regression."""
    truth, predicted = one.labels, one.probabilities[:, 0]
    table = pd.DataFrame({"truth": truth, "predicted": predicted}).round(DECIMALS)
    write_csv(folder / "values.csv", table)
    title = f"{one.model}, {one.part}"
    plots.save(plots.values(table, title), folder / "values.svg")


def confusions(one: Scored, classes: Sequence[str], folder: Path) -> None:
    """Write which classes were taken for which: all, or the most confused where there are many."""
    title, names = f"{one.model}, {one.part}", np.array(classes)
    predicted = one.probabilities.argmax(axis=1)
    shown = np.arange(len(names))
    if len(names) > FEW:
        pairs = by_class.confused(one, classes)
        write_csv(folder / "confused.csv", pairs)
        write_csv(folder / "classes.csv", by_class.table(one, classes))
        shown = by_class.most_confused(one, FEW)
        title += ", of the most confused pairs"
    else:
        rows = pd.DataFrame({"actual": names[one.labels], "predicted": names[predicted]})
        write_csv(folder / "confusion.csv", rows)
    if len(shown):
        counts = pd.DataFrame(confusion_matrix(one.labels, predicted, labels=shown))
        figure = plots.confusion(counts, names[shown].tolist(), title)
        plots.save(figure, folder / "confusion.svg")


def roc_points(one: Scored) -> pd.DataFrame:
    """Return the curve of the second of two classes, of every class against the rest of more.

    Returns
    -------
    DataFrame
        Columns model, false_positive_rate, true_positive_rate.
    """
    classes = one.probabilities.shape[1]
    if classes == 2:
        true, said = one.labels == 1, one.probabilities[:, 1]
    else:
        true = (one.labels[:, None] == np.arange(classes)).ravel()
        said = one.probabilities.ravel()
    false_rate, true_rate, _ = roc_curve(true, said)
    rates = pd.DataFrame(
        {"false_positive_rate": false_rate, "true_positive_rate": true_rate}
    ).round(DECIMALS)
    return rates.drop_duplicates(ignore_index=True).assign(model=one.model)[
        ["model", "false_positive_rate", "true_positive_rate"]
    ]


def reliability(one: Scored, bins: int) -> pd.DataFrame:
    """Return how often what is said with some probability is true, in bins of as many rows.

    It is the second of two classes that is asked for, the most probable one of more.

    Returns
    -------
    DataFrame
        Columns predicted (mean probability in the bin) and observed (share of true ones).
    """
    said: NDArray[np.float64]
    if one.probabilities.shape[1] == 2:
        true, said = one.labels == 1, one.probabilities[:, 1]
    else:
        true = one.labels == one.probabilities.argmax(axis=1)
        said = one.probabilities.max(axis=1)
    # A softmax in float32 may be above 1 by its last bit.
    observed, mean = calibration_curve(true, np.clip(said, 0, 1), n_bins=bins, strategy="quantile")
    return pd.DataFrame({"predicted": mean, "observed": observed}).round(DECIMALS)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
