"""The leaderboard: all models of a competition, the best score first.

It has three renderings: a CSV file (`table`), the terminal (`ripen.judge.terminal`) and the report
(`ripen.judge.page`). The metrics' registry gives the headings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition.metrics import DECIMALS, METRICS, order_of
from ripen.competition.predictions import PARTS
from ripen.core.errors import DataError, reading
from ripen.core.json_files import read_json
from ripen.core.layout import Layout
from ripen.judge.scoring import BAYES, CLEAR, ERROR, RIVALS, ROWS, SCORE, Metrics, tied
from ripen.settings.naming import how_it_ended

KAGGLES = 5  # decimals of a score on Kaggle


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
