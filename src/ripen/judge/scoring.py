"""Models scored: predictions beside their targets, every model's metrics, and one leaderboard.

The leaderboard has three renderings: a CSV file (`table`), the terminal (`ripen.judge.terminal`)
and the report (`ripen.judge.page`). The metrics' registry gives their order and their headings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.index import Index, Ints
from ripen.competition.metrics import DECIMALS, DIGITS, METRICS, order_of, scores
from ripen.competition.predictions import PARTS
from ripen.competition.scorer import Scorer, spread
from ripen.competition.tasks import Targets, Task
from ripen.core.errors import DataError, reading
from ripen.core.frames import read_frame
from ripen.core.json_files import read_json
from ripen.core.layout import BLEND, Layout
from ripen.settings.naming import how_it_ended

BAYES = "bayes"  # the name of the best possible rule in tables
ROWS = "n"  # the number of rows that were scored, which stands among a part's metrics
SCORE, ERROR = "score", "standard_error"  # the competition's metric again, with Kaggle's digits
RIVALS = "rivals"  # the key of the differences from the best model
KAGGLES = 5  # decimals of a score on Kaggle
CLEAR = 2.0  # standard errors of a difference: a smaller one may be chance (95%)

Metrics = dict[str, Any]
"""What `metrics/<competition>.json` holds."""


@dataclass(frozen=True)
class Scored:
    """One model's outputs on one part, for the rows whose target is known.

    Attributes
    ----------
    model : str
    part : "validation" or "test"
    rows : int64 ndarray of shape (n,)
        Of the index.
    targets : ndarray of shape (n,)
        Classes, or values in regression.
    outputs : float64 ndarray of shape (n, k)
        Probabilities of each class, or one value, k = 1.
    folds : int64 ndarray of shape (n,), or None
        The fold that each row was held out in; None on the test part, or with a single fold.
    """

    model: str
    part: str
    rows: Ints
    targets: Targets
    outputs: NDArray[np.float64]
    folds: Ints | None = None

    @property
    def title(self) -> str:
        """Its name in figures."""
        return f"{self.model}, {self.part}"

    @property
    def labels(self) -> Ints:
        """The targets of a classification, shape (n,)."""
        return self.targets.astype(np.int64)

    @property
    def predicted(self) -> Ints:
        """The most probable class of each row, shape (n,)."""
        return np.asarray(self.outputs.argmax(axis=1))


def join(predicted: Mapping[str, pd.DataFrame], index: Index) -> Iterator[Scored]:
    """Yield every model's outputs on each part with known targets, in the models' order."""
    targets, known, folds = index.targets, index.known(), index.folds
    for model, table in predicted.items():
        for part, found in table.groupby("part", sort=False):
            found = found[known[found["row"].to_numpy()]]
            if len(found):
                rows = found["row"].to_numpy(np.int64)
                own = folds[rows] if part == "validation" else None
                several = own is not None and len(np.unique(own)) > 1
                outputs = predictions.outputs(found)
                kept = own if several else None
                yield Scored(model, str(part), rows, targets[rows], outputs, kept)


def deciding_part(scored: Iterable[Scored]) -> str:
    """Return the part that decides which model is best: "test" where nothing is validated."""
    return "validation" if any(one.part == "validation" for one in scored) else "test"


def drawn_part(scored: Iterable[Scored]) -> str:
    """Return the part that figures show: "test" where its targets are known, else "validation"."""
    return "test" if any(one.part == "test" for one in scored) else "validation"


# --- metrics/<competition>.json ------------------------------------------------------------------


def evaluate(
    scored: list[Scored],
    trainings: Mapping[str, dict[str, Any]],
    bayes: dict[str, Any] | None,
    task: Task,
    scorer: Scorer,
) -> Metrics:
    """Return what `metrics/<competition>.json` holds.

    Parameters
    ----------
    scored : list of Scored
        Every model on every part with known targets.
    trainings : mapping of str to dict
        How and when the training of each net ended.
    bayes : dict or None
        Scores of the best possible rule, where it is known.
    task : Task
    scorer : Scorer
        The competition's metric, which decides.

    Returns
    -------
    dict
        ``models`` by name and part, each with ``score``, the competition's metric with more digits,
        and its ``standard_error``; ``best``, among the models that were scored on the most rows:
        the blend, unless one is clearly ahead of it; ``best_by``, the part and the metric that
        decide; ``rivals``, how far each other model that was scored on the same rows is behind the
        best, with the standard error of that difference (`differences`); ``metric``, the title and
        the direction of one that is not in the registry;
        ``bayes``.

    Raises
    ------
    DataError
        If no target is known, or the metric is undefined for every model.
    """
    if not scored:
        raise DataError("no row with a prediction has a known target: nothing can be scored")
    models: dict[str, dict[str, Any]] = {}
    for one in scored:
        found = scores(task.metrics, one.targets, one.outputs) | measured(one, scorer)
        models.setdefault(one.model, {})[one.part] = found
    for name, values in trainings.items():
        models.setdefault(name, {}).update(values)
    part = deciding_part(scored)
    metric = scorer.metric
    rivals = {name: own[part] for name, own in models.items() if SCORE in own.get(part, {})}
    if not rivals:
        raise DataError(f"metric '{metric.name}' is undefined on the {part} rows of every model")
    # A score on fewer rows, such as those of one fold, is not comparable with one on all of them.
    most = max(own[ROWS] for own in rivals.values())
    best = metric.best({name: own[SCORE] for name, own in rivals.items() if own[ROWS] == most})
    deciding = [one for one in scored if one.part == part]
    behind = differences(deciding, best, scorer)
    if tied(behind.get(BLEND)):
        # The highest of many scores is partly luck. On samples of the mirror's tables a blend that
        # the rows did not tell from it was .3 to .9 points of accuracy better on the other rows.
        best, behind = BLEND, differences(deciding, BLEND, scorer)
    own_metric = {"title": metric.title, "greater_is_better": metric.greater_is_better}
    return (
        {"models": models, "best": best, "best_by": f"{part}/{metric.name}"}
        | {RIVALS: behind}
        | ({} if metric.name in METRICS else {"metric": own_metric})
        | ({BAYES: bayes} if bayes else {})
    )


def measured(one: Scored, scorer: Scorer) -> dict[str, float]:
    """Return a model's score by the competition's metric, and its standard error, if defined."""
    value = scorer(one.rows, one.outputs)
    if np.isnan(value):
        return {}
    error = scorer.standard_error(one.rows, one.outputs, one.folds)
    found = {scorer.metric.name: round(value, DECIMALS), SCORE: round(value, DIGITS)}
    return found if np.isnan(error) else found | {ERROR: round(error, DIGITS)}


def differences(scored: list[Scored], best: str, scorer: Scorer) -> dict[str, dict[str, float]]:
    """Return how far models are behind the best, and the standard error of that difference.

    Both are scored on the same folds or bootstrap samples: rows that are hard for both cancel out,
    so the standard error is smaller than those of the two scores.

    Parameters
    ----------
    scored : list of Scored
        The part that decides.
    best : str
    scorer : Scorer

    Returns
    -------
    dict
        By model ``behind``, below 0 if it is ahead, and its ``standard_error``. Models of other
        rows are left out, as are those whose metric or its error is undefined.
    """
    (first,) = (one for one in scored if one.model == best)
    ahead = scorer.resampled(first.rows, first.outputs, first.folds)
    sign = 1 if scorer.metric.greater_is_better else -1
    score = scorer(first.rows, first.outputs)
    found = {}
    for one in scored:
        if one.model == best or not np.array_equal(one.rows, first.rows):
            continue
        behind = sign * (score - scorer(one.rows, one.outputs))
        error = spread(scorer.resampled(one.rows, one.outputs, one.folds) - ahead, first.folds)
        if np.isfinite(behind) and np.isfinite(error):
            # No -0.0 in a file.
            found[one.model] = {"behind": round(behind, DIGITS) + 0.0, ERROR: round(error, DIGITS)}
    return found


def tied(rival: Mapping[str, float] | None) -> bool:
    """Return whether the rows do not tell a model from the best one; False if not compared."""
    return rival is not None and abs(rival["behind"]) < CLEAR * rival[ERROR]


def read_metrics(competition: str) -> Metrics:
    """Read `metrics/<competition>.json`.

    Raises
    ------
    DataError
        If it does not exist, or holds no scores of models.
    """
    file = Layout(competition).metrics
    if not file.exists():
        raise DataError(f"{file}: no such file. Run: ripen run 'competitions=[{competition}]'")
    metrics: Metrics = read_json(file)
    with reading(file):
        leaderboard(metrics)  # it needs all that others read
    return metrics


# --- The leaderboard -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One score of a leaderboard: a part and a metric, or the number of rows."""

    part: str
    metric: str

    @property
    def name(self) -> str:
        """The column's name in a file."""
        return f"{self.part}_{self.metric}"


@dataclass(frozen=True)
class Row:
    """One model's row of a leaderboard.

    Attributes
    ----------
    model : str
    scores : mapping of Column to float
        Without those that are undefined or unknown.
    ended : str
        How and when its training ended; "" for a model that was fitted in one piece.
    best : bool
    """

    model: str
    scores: Mapping[Column, float]
    ended: str = ""
    best: bool = False


@dataclass(frozen=True)
class Leaderboard:
    """All models, the highest score first.

    Attributes
    ----------
    decides : Column
        The score that orders the rows.
    title : str
        The metric's heading.
    columns : tuple of Column
        Every score that some row has: of each part the number of rows, then its metrics.
    rows : tuple of Row
    bayes : Row or None
        The best possible rule, where it is known.
    compared, tied : tuple of str
        The models that were compared with the best one on the same rows; those whose difference
        from it is less than two standard errors, which so many rows cannot show.
    """

    decides: Column
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    bayes: Row | None = None
    compared: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()

    @property
    def best(self) -> Row:
        """The best model's row."""
        return next((row for row in self.rows if row.best), self.rows[0])

    @property
    def certainty(self) -> str:
        """What the choice of the best model rests on, in one or two sentences."""
        rows = self.best.scores.get(Column(self.decides.part, ROWS))
        count = "" if rows is None else f"{rows:,.0f} "
        rests = f"Chosen by {self.heading(self.decides)} on {count}rows"
        if self.tied:
            safest = "" if self.rows[0].best else " Of tied models the blend is the safest choice."
            return (
                f"{rests}. {self.best.model} is tied with {_listed(self.tied)}: less than "
                f"{CLEAR:g} standard errors apart, which may be chance.{safest}"
            )
        if self.compared:
            return f"{rests}: {CLEAR:g} standard errors or more ahead of every other model."
        return f"{rests}."

    @property
    def summary(self) -> list[Column]:
        """The columns for a reader, the metric that decides first.

        The part that decides has its first three metrics, the other one two: more do not fit on a
        terminal. Rows are counted only where models were scored on different numbers of them.
        """
        shown: list[Column] = []
        for part in PARTS:
            own = [column for column in self.columns if column.part == part]
            rows = Column(part, ROWS)
            if len({row.scores[rows] for row in self.rows if rows in row.scores}) > 1:
                shown.append(rows)
            metrics = [column for column in own if column.metric not in (ROWS, SCORE, ERROR)]
            metrics.sort(key=lambda column: column.metric != self.decides.metric)
            shown += metrics[: 3 if part == self.decides.part else 2]
        return shown

    def heading(self, column: Column) -> str:
        """Return a column's name for a reader."""
        if column.metric == self.decides.metric:
            return f"{column.part} {self.title}"
        return f"{column.part} {'rows' if column.metric == ROWS else METRICS[column.metric].title}"

    def text(self, row: Row, column: Column) -> str:
        """Return a score for a reader, "" where there is none.

        That of the competition's metric has Kaggle's five digits, and its standard error two.
        """
        value = row.scores.get(column)
        if value is None or column.metric == ROWS:
            return "" if value is None else str(value)
        score, error = (row.scores.get(Column(column.part, key)) for key in (SCORE, ERROR))
        if column.metric != self.decides.metric or score is None:
            return fixed(value, DECIMALS)
        shown = fixed(score, KAGGLES)
        return shown if error is None else f"{shown} ± {two_digits(error)}"


def leaderboard(metrics: Mapping[str, Any]) -> Leaderboard:
    """Return the leaderboard of what `evaluate` returned.

    The highest score comes first, and a model without the score that decides last.
    """
    decides = Column(*metrics["best_by"].split("/"))
    rows = [
        Row(name, _flat(found), ended(found), name == metrics["best"])
        for name, found in metrics["models"].items()
    ]
    ordered = order_of(metrics)
    # Of an older file, or one without more digits, the rounded score.
    exact = Column(decides.part, SCORE)
    order = ordered.ranked(
        {
            row.model: row.scores.get(exact, row.scores[decides])
            for row in rows
            if decides in row.scores
        }
    )
    places = {name: place for place, name in enumerate(order)}
    rows.sort(key=lambda row: places.get(row.model, len(places)))
    bayes = Row(BAYES, _flat(metrics[BAYES])) if BAYES in metrics else None
    # In the order of parts, and of a part's scores in the file.
    found = dict.fromkeys(c for row in (*rows, *([bayes] if bayes else [])) for c in row.scores)
    columns = tuple(column for part in PARTS for column in found if column.part == part)
    rivals = metrics.get(RIVALS, {})  # an older file has none
    compared = tuple(row.model for row in rows if row.model in rivals)
    equal = tuple(name for name in compared if tied(rivals[name]))
    return Leaderboard(decides, ordered.title, columns, tuple(rows), bayes, compared, equal)


def measured_scores(board: Leaderboard) -> pd.DataFrame:
    """Return the scores that decide, best first: columns model, score, standard_error."""
    exact, error = (Column(board.decides.part, key) for key in (SCORE, ERROR))
    rows = [
        {"model": row.model, "score": score, "standard_error": row.scores.get(error, np.nan)}
        for row in board.rows
        if (score := row.scores.get(exact)) is not None
    ]
    return pd.DataFrame(rows, columns=["model", "score", "standard_error"])


def table(board: Leaderboard) -> pd.DataFrame:
    """Return the leaderboard as a table for a file: the best model first, the Bayes rule last."""
    found = pd.DataFrame(
        [
            {"model": row.model} | {column.name: row.scores.get(column) for column in board.columns}
            for row in (*board.rows, *([board.bayes] if board.bayes else []))
        ]
    )
    # Where one is missing pandas makes counts fractions.
    counts = [column.name for column in board.columns if column.metric == ROWS]
    return found.astype(dict.fromkeys(counts, "Int64"))


def ended(found: Mapping[str, Any]) -> str:
    """Return how and when a model's training ended; "" for one that was fitted in one piece."""
    if "stopped" not in found:
        return ""
    return how_it_ended(found["stopped"], found["iterations"])


def fixed(value: float, decimals: int) -> str:
    """Return a score with so many decimals, of large amounts with none.

    >>> fixed(0.81731, 5), fixed(29271.9715, 4), fixed(163.25, 4)
    ('0.81731', '29,272', '163.25')
    """
    places = decimals if abs(value) < 100 else 2 if abs(value) < 1000 else 0
    return f"{value:,.{places}f}"


def significant(value: float, digits: int = 4) -> str:
    """Return a number for a reader: so many digits that mean something, none as a power of ten.

    >>> significant(30920.4), significant(0.19734, 3), significant(1234567.0)
    ('30,920', '0.197', '1,235,000')
    """
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if 1000 <= abs(value) < 1e15 else text


def two_digits(error: float) -> str:
    """Return a standard error with two digits that mean something, at most five decimals.

    >>> two_digits(0.036123), two_digits(1234.5), two_digits(0.0)
    ('0.036', '1,234', '0.00000')
    """
    decimals = 1 - int(np.floor(np.log10(error))) if error > 0 else 5
    return f"{error:,.{min(5, max(0, decimals))}f}"


def _listed(names: Sequence[str]) -> str:
    """Return names as in a sentence: "a, b and c"."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _flat(found: Mapping[str, Any]) -> dict[Column, float]:
    """Return the scores of all parts."""
    return {
        Column(part, metric): value
        for part in PARTS
        for metric, value in found.get(part, {}).items()
    }


# --- How models learned --------------------------------------------------------------------------


def trained(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of nets, by name: those with the curve of a training."""
    return {folder.name: folder for folder in folders if (folder / "curve.csv").exists()}


def read_trainings(folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Read how and when each net's training ended."""
    return {name: read_json(own / "training.json") for name, own in folders.items()}


def side_by_side(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the validation losses of all nets by iteration, one column a net."""
    losses = {name: c.set_index("iteration").validation_loss for name, c in curves.items()}
    return pd.DataFrame(losses).reset_index()


def learning_curves(files: Mapping[str, Path]) -> pd.DataFrame | None:
    """Return the learning curves of models, in rows model, n_train, score; None without any."""
    found = [
        read_frame(file).assign(model=name)[["model", "n_train", "score"]]
        for name, file in files.items()
        if file.exists()
    ]
    return pd.concat(found) if found else None
