"""The figures of a report, in the order in which they tell the story, each with its sentence.

A sentence says what its figure shows, and is made from the table that the figure was drawn from. A
figure that shows nothing has none, and is left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.core.frames import read_frame
from ripen.judge.scoring import Leaderboard, significant
from ripen.settings.naming import setting_name, trial_name

CLOSE = 0.02  # of a probability that is as good as right
LEAST = 5  # pixels of a filter's side that show anything


@dataclass(frozen=True)
class Source:
    """Where a figure comes from.

    Attributes
    ----------
    folder : Path
        With the figure and its table.
    model : str
        Whose it is; "" for a figure of all models.
    board : Leaderboard
    metrics : mapping
        The content of `metrics/<competition>.json`.
    """

    folder: Path
    model: str
    board: Leaderboard
    metrics: Mapping[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        """Read a table beside the figure."""
        return read_frame(self.folder / f"{name}.csv")


Say = Callable[[Source], str | None]


@dataclass(frozen=True)
class Entry:
    """A kind of figure.

    Attributes
    ----------
    title : str
        Its heading.
    alt : str
        Its description for screen readers.
    say : callable
        Returns its sentence; None if it shows nothing.
    wide : bool
        Whether it takes the whole width of the page.
    """

    title: str
    alt: str
    say: Say
    wide: bool = False


def scores(source: Source) -> str | None:
    if len(source.board.rows) < 2:
        return None
    return (
        "A dot is a score, its whiskers one standard error to either side. The grey band is one "
        f"standard error around {source.board.rows[0].model}'s score."
    )


def error(source: Source) -> str | None:
    curve = source.table("error")
    if len(curve) < 2:
        return None
    kept = curve.iloc[int(curve.validation_loss.argmin())]
    last = curve.iloc[-1]
    said = (
        f"{source.model}: from {curve.validation_loss.iloc[0]:.3g} down to "
        f"{kept.validation_loss:.3g} on validation rows, at iteration {kept.iteration:,.0f} of "
        f"{last.iteration:,.0f}"
    )
    ended = source.metrics["models"][source.model]
    if ended.get("best_iteration", kept.iteration) != kept.iteration:
        return f"{said}. Its budget is fixed, so the last weights are kept."
    said += ", whose weights are kept."
    if kept.iteration < last.iteration and last.loss < kept.loss:
        said += (
            f" After that the training error still falls, to {last.loss:.3g}, and the validation "
            "error does not: the net begins to learn the training rows by heart."
        )
    elif kept.iteration == last.iteration:
        said += " It was still falling when the iterations were used up."
    return said


def trainings(source: Source) -> str | None:
    table = source.table("trainings").dropna()
    if not len(table):
        return None
    last = table.iloc[-1]
    ends = last.drop("iteration").astype(float).sort_values()
    listed = ", ".join(f"{name} {significant(value, 3)}" for name, value in ends.items())
    return f"Error after {last.iteration:,.0f} iterations: {listed}. Lower is better."


def learning_curve(source: Source) -> str | None:
    table = source.table("learning_curve").set_index("n_train").astype(float)
    found = table.dropna(axis=1)
    if len(found) < 2 or not found.shape[1]:
        return None
    gains = (found.iloc[-1] - found.iloc[0]).abs()
    most, least = gains.idxmax(), gains.idxmin()
    ends = f"from {found.index[0]:,} to {found.index[-1]:,} training rows"
    said = f"{ends.capitalize()} {most} goes {_way(found[most])}"
    said += f", {least} {_way(found[least])}." if least != most else "."
    tested = any(column.part == "test" for column in source.board.columns)
    return said if tested else f"{said} Scored on the first fold alone."


def roc(source: Source) -> str | None:
    table = source.table("roc")
    if "model" not in table:
        table = table.assign(model=source.model)
    areas = {
        str(model): float(np.trapezoid(line.true_positive_rate, line.false_positive_rate))
        for model, line in table.groupby("model", sort=False)
    }
    order = sorted(areas, key=lambda name: -areas[name])
    if len(order) == 1:
        return f"The area under {order[0]}'s curve is {areas[order[0]]:.3f}. Guessing has 0.5."
    first, last = (f"{name}, {areas[name]:.3f}" for name in (order[0], order[-1]))
    said = f"The area under the curve is largest for {first}, and smallest for {last}"
    return f"{said}. Guessing has 0.5."


def confusion(source: Source) -> str | None:
    if not (source.folder / "confusion.csv").exists():
        pairs = source.table("confused")
        return f"{_pair(source.model, pairs.iloc[0])}." if len(pairs) else None
    table = source.table("confusion").astype(str)
    wrong = table[table.actual != table.predicted]
    right = f"{source.model} gets {len(table) - len(wrong):,} of {len(table):,} rows right"
    if not len(wrong):
        return f"{right}."
    counts = wrong.groupby(["actual", "predicted"]).size().rename("n").reset_index()
    most = counts.sort_values("n", ascending=False, kind="stable").iloc[0]
    return f"{right}. {_pair('Its', most)}."


def reliability(source: Source) -> str | None:
    table = source.table("reliability")
    if len(table) < 2:
        return None
    gaps = (table.observed - table.predicted).abs()
    worst = table.iloc[int(gaps.argmax())]
    if gaps.max() < CLOSE:
        return f"{source.model}'s probabilities are right: no dot is off by {CLOSE:.0%} or more."
    return (
        f"The largest gap: where {source.model} predicts {worst.predicted:.0%}, "
        f"{worst.observed:.0%} is observed. On the dotted line both are equal."
    )


def values(source: Source) -> str | None:
    table = source.table("values")
    off = table.residual.abs()
    return (
        f"Half of {source.model}'s predictions are within {significant(off.median())} of the true "
        f"value, nine of ten within {significant(float(off.quantile(0.9)))}."
    )


def residuals(source: Source) -> str | None:
    table = source.table("values")
    mean, error_ = table.residual.mean(), table.residual.std() / np.sqrt(len(table))
    if abs(mean) < 2 * error_:
        return "On average, predictions are neither too high nor too low."
    side = "low" if mean > 0 else "high"
    return f"On average, predictions are too {side} by {significant(abs(mean), 3)}."


def mistakes(source: Source) -> str | None:
    table = source.table("mistakes")
    if not len(table):
        return None
    first = table.iloc[0]
    return (
        f"The images whose true class got the least probability from {source.model}. The worst: "
        f"true {first.actual}, predicted {first.predicted} with {first.probability:.0%}."
    )


def network(source: Source) -> str | None:
    return (
        "Green arrows are positive weights, orange dashed ones negative, and thicker ones larger. "
        "Training has made a few of them thick: these are the inputs that the net relies on."
    )


def regions(source: Source) -> str | None:
    return "The net's answer over two features. On the thin line both classes have 50%."


def filters(source: Source) -> str | None:
    drawn = (source.folder / "filters.svg").read_text(encoding="utf-8")
    size = re.search(r"filters of (\d+)x", drawn)
    if size is None or int(size[1]) < LEAST:  # of 3x3 pixels there is nothing to see
        return None
    if drawn.count("<image") < 2:
        return "What the first layer looks for: grey is a weight of 0."
    return "What the first layer looks for, before and after the training: grey is a weight of 0."


def activations(source: Source) -> str | None:
    return "What layers make of an image, from the first to the last: bright is a strong response."


def saliency(source: Source) -> str | None:
    return "Bright pixels decide: a change there moves the score of the predicted class most."


def sweep_curves(source: Source) -> str | None:
    trials = source.table("trials")
    scored = trials.dropna(subset=["validation_loss"])
    if not len(scored):
        return f"All {len(trials)} trials diverged."
    best, worst = (scored.iloc[int(each)] for each in _ends(scored.validation_loss))
    return (
        f"{len(trials)} trials. The best one ({_setting(best, trials)}) reaches a validation error "
        f"of {significant(best.validation_loss, 3)}, the worst ({_setting(worst, trials)}) one of "
        f"{significant(worst.validation_loss, 3)}."
    )


def converged(source: Source) -> str | None:
    ended = source.table("trials").ended
    # Where all trials use up their iterations, the figure is a straight line of equal dots.
    if ended.nunique() < 2 and ended.iloc[0] != "converged":
        return None
    counts = ", ".join(f"{n} by {how}" for how, n in ended.value_counts(sort=False).items())
    return f"How the trials ended: {counts}."


def swept(source: Source) -> str:
    return "Grey dots are trials, the line is the mean of those with the same value."


ENTRIES = {
    "scores": Entry(
        "Scores and standard errors", "Each model's score and its standard error", scores
    ),
    "learning_curve": Entry(
        "Learning curve", "Score of each model by number of training rows", learning_curve
    ),
    "error": Entry("Error against iterations", "Training and validation error by check", error),
    "trainings": Entry(
        "Trainings of equal length", "Validation error of each net at each check", trainings
    ),
    "network_strip": Entry(
        "The net while it learns", "The net before, during and after training", network, wide=True
    ),
    "regions": Entry("Decision regions", "Probability over two features", regions),
    "confusion": Entry("Confusion matrix", "Counts of true class by predicted class", confusion),
    "roc": Entry("ROC curve", "True by false positive rate of each model", roc),
    "reliability": Entry("Calibration", "Observed share by predicted probability", reliability),
    "values": Entry("Predicted against true values", "Predicted by true value of each row", values),
    "residuals": Entry("Residuals", "True minus predicted by predicted value", residuals),
    "mistakes": Entry(
        "Worst mistakes", "Images whose true class was given the least probability", mistakes, True
    ),
    "saliency": Entry(
        "Saliency: which pixels decide",
        "Where a change of an image moves its class's score most",
        saliency,
        True,
    ),
    "activations": Entry(
        "Activations, layer by layer",
        "The strongest channel of some layers for some images",
        activations,
        wide=True,
    ),
    "filters": Entry(
        "First filters", "The first layer's weights before and after training", filters, wide=True
    ),
    "curves": Entry("The sweep's trials", "Validation error of each trial", sweep_curves),
    "converged": Entry("Iterations until convergence", "Iterations by learning rate", converged),
}
HIDDEN = ("network", "network_before", "network_after")  # the strip has them all


def say(name: str, source: Source) -> tuple[Entry, str] | None:
    """Return a figure's heading and sentence; None if it shows nothing, or another shows it too.

    A figure of a name that is not listed, such as one that a competition draws itself, has its name
    as its heading and no sentence.
    """
    if name in HIDDEN:
        return None
    if name not in ENTRIES and (source.folder / "trials.csv").exists():
        words = setting_name(name)
        return Entry(f"Accuracy by {words}", f"Accuracy of each {words}", swept), swept(source)
    if name not in ENTRIES:
        words = name.replace("_", " ").capitalize()
        return Entry(words, words, lambda _: ""), ""
    entry = ENTRIES[name]
    said = entry.say(source)
    return None if said is None else (entry, said)


def _way(column: "pd.Series[float]") -> str:
    return f"from {significant(column.iloc[0], 3)} to {significant(column.iloc[-1], 3)}"


def _ends(column: "pd.Series[float]") -> tuple[np.intp, np.intp]:
    return column.argmin(), column.argmax()


def _pair(whose: str, row: "pd.Series[Any]") -> str:
    times = "once" if row.n == 1 else f"{row.n:,} times"
    owner = whose if whose == "Its" else f"{whose}'s"
    return f"{owner} most frequent mistake: true {row.actual}, predicted {row.predicted} ({times})"


def _setting(trial: "pd.Series[Any]", trials: pd.DataFrame) -> str:
    keys = [str(key) for key in trials.columns[1 : list(trials.columns).index("ended")]]
    return trial_name({key: trial[key] for key in keys})
