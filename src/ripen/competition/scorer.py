"""A competition's metric on rows of its index, with its columns and its standard error."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import submission
from ripen.competition.ids import others, with_id
from ripen.competition.index import Index, Ints
from ripen.competition.metric_file import metric_of
from ripen.competition.metrics import Metric
from ripen.competition.tasks import Targets
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.core.registry import nearest
from ripen.settings.schema import Competition

LARGEST = 20_000  # rows of a sample of differences
RESAMPLES = 100  # bootstrap samples: they give the standard error to within 7%
Outputs = NDArray[np.float64]


@dataclass(frozen=True)
class Scorer:
    """The metric of a competition, with the columns of the index that it needs.

    Attributes
    ----------
    metric : Metric
    targets : ndarray of shape (n,) or (n, k)
        The targets of all rows of the index.
    columns : mapping of str to ndarray of shape (n,)
        The columns that the metric's settings name: weights, groups, events.
    """

    metric: Metric
    targets: Targets
    columns: Mapping[str, NDArray[Any]]

    def __call__(self, rows: Ints, outputs: Outputs) -> float:
        """Score a model's outputs; NaN where the metric is undefined.

        Parameters
        ----------
        rows : int64 ndarray of shape (m,)
            Of the index.
        outputs : float64 ndarray of shape (m, outputs)

        Raises
        ------
        DataError
            If the outputs do not fit the metric, or the competition's own metric raises.
        """
        taken = {name: column[rows] for name, column in self.columns.items()}
        return self.metric(self.targets[rows], outputs, taken)

    def standard_error(self, rows: Ints, outputs: Outputs, folds: Ints | None) -> float:
        """Return the standard error of a score; NaN where it is undefined.

        With folds it is the standard deviation of the folds' scores, divided by the square root of
        their number. Without folds (a hold-out or the test part) it is the standard deviation of
        the scores of `RESAMPLES` bootstrap samples of the rows (Efron, 1979), drawn with a fixed
        seed.

        Parameters
        ----------
        rows, outputs
            As above.
        folds : int64 ndarray of shape (m,), or None
        """
        return spread(self.resampled(rows, outputs, folds), folds)

    def resampled(
        self, rows: Ints, outputs: Outputs, folds: Ints | None, size: int | None = None
    ) -> NDArray[np.float64]:
        """Return the score of each fold, or of each bootstrap sample; NaN where it is undefined.

        The samples, of `size` rows or of as many as there are, depend on the number of rows alone,
        so that the difference of two models' values is that of models on the same rows.
        """
        if folds is not None:
            samples = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        else:
            random, size = np.random.default_rng(0), size or len(rows)
            samples = [random.integers(len(rows), size=size) for _ in range(RESAMPLES)]
        return np.array([self.score_or_nan(rows[sample], outputs[sample]) for sample in samples])

    def loss(self, rows: Ints, outputs: Outputs) -> float:
        """Return the score with its sign turned where greater is better; infinite if undefined."""
        score = self.score_or_nan(rows, outputs)
        if np.isnan(score):
            return np.inf
        return -score if self.metric.greater_is_better else score

    def gain(self, rows: Ints, before: Outputs, after: Outputs) -> tuple[float, float]:
        """Return how much better some outputs are than others, and the standard error of that.

        The error is that of the difference on bootstrap samples, the same for both.

        Parameters
        ----------
        rows : int64 ndarray of shape (m,)
        before, after : float64 ndarray of shape (m, outputs)

        Returns
        -------
        float, float
            The first is above 0 for an improvement, whichever direction the metric has.
        """
        size = min(len(rows), LARGEST)
        one, other = (self.resampled(rows, each, None, size) for each in (before, after))
        gain = self.loss(rows, before) - self.loss(rows, after)
        # Samples of fewer rows than there are (Bickel et al., 1997) have a larger error.
        return gain, float(spread(other - one, None) * np.sqrt(size / len(rows)))

    def score_or_nan(self, rows: Ints, outputs: Outputs) -> float:
        """Score a model's outputs; NaN where the metric is undefined, infinite or raises."""
        try:
            found = self(rows, outputs)
        except DataError:  # from a metric file that needs both classes, for instance
            return np.nan
        return found if np.isfinite(found) else np.nan


def spread(values: NDArray[np.float64], folds: Ints | None) -> float:
    """Return the standard error that resampled values give; NaN where too few are defined.

    Parameters
    ----------
    values : float64 ndarray of shape (samples,)
        From `Scorer.resampled`, or the difference of two models' values.
    folds : int64 ndarray, or None
        As they were resampled.
    """
    found = values[np.isfinite(values)]
    if folds is not None:
        return float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else np.nan
    # The metric may be undefined for a sample, for instance one with a single class. If it is for
    # most, so is the standard error.
    return float(found.std(ddof=1)) if len(found) > RESAMPLES / 2 else np.nan


@dataclass(frozen=True)
class SubmissionScorer(Scorer):
    """A metric of two tables: the solution and the submission, in the form of the sample.

    Attributes
    ----------
    competition : Competition
    index : Index
    id : str
        The sample's column of ids.
    names : list of str
        Its other columns.
    where : Path
        The sample, for errors.
    form : Form
        Of the sample's labels.
    """

    competition: Competition
    index: Index
    id: str
    names: list[str]
    where: Path
    form: submission.Form = submission.Form()

    def __call__(self, rows: Ints, outputs: Outputs) -> float:
        """Score a model's outputs, as above."""
        one = replace(self.form, best=1)
        truth = self._table(rows, perfect(self.targets[rows], outputs.shape[1]), one)
        extra = {name: column[rows] for name, column in self.columns.items() if name not in truth}
        return float(
            self.metric.score(
                truth.assign(**extra),
                self._table(rows, outputs, self.form),
                self.id,
                **self.metric.settings,
            )
        )

    def _table(self, rows: Ints, outputs: Outputs, form: submission.Form) -> pd.DataFrame:
        """Return outputs in the form of the sample, values typed as pandas reads them."""
        values = submission.columns(
            self.names, outputs, self.competition, self.index, self.where, form
        )
        # Ids must stay unique, and the bootstrap may draw a row twice: number the rows then.
        ids = self.index.rows["id"].to_numpy()[rows]
        ids = ids if len(set(ids)) == len(ids) else np.arange(len(rows))
        classes = np.array(self.index.classes)
        return pd.DataFrame(
            {self.id: _typed(ids)}
            | {
                name: _typed(column, classes if set(column) <= set(classes) else None)
                for name, column in values.items()
            }
        )


def perfect(targets: Targets, outputs: int) -> Outputs:
    """Return the outputs of a model that knows the targets, shape (n, outputs)."""
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return np.eye(outputs)[targets]
    return targets.reshape(len(targets), -1).astype(np.float64)


def scorer(competition: Competition, layout: Layout, index: Index) -> Scorer:
    """Return a competition's metric, ready for rows of its index.

    Raises
    ------
    DataError
        If a column that the metric needs is missing.
    """
    metric = metric_of(layout.competition, competition.metric)
    files = competition.files
    tables = {
        part: [layout.raw / name for name in names if (layout.raw / name).exists()]
        for part, names in {"train": [files.train], "test": [files.test, files.solution]}.items()
    }
    columns = {
        column: row_column(column, tables, competition, index, metric.name)
        for column in metric.columns.values()
    }
    if metric.needs != "submission":
        return Scorer(metric, index.targets, columns)
    where = layout.raw / files.sample
    sample = submission.read_sample(where, competition.id, competition.csv)
    id = submission.id_column(sample, competition.id)
    names = others(sample, id, competition.id)
    form = submission.form_of(sample[names[0]], competition, index.classes)
    return SubmissionScorer(
        metric, index.targets, columns, competition, index, id, names, where, form
    )


def row_column(
    name: str,
    tables: Mapping[str, list[Path]],
    competition: Competition,
    index: Index,
    metric: str,
) -> NDArray[Any]:
    """Return a column of the competition's files for each row of the index, as text or numbers.

    Parameters
    ----------
    name : str
    tables : mapping of str to list of Path
        The files of each part; a later one overrides an earlier one.
    competition : Competition
        Its settings say which column holds the ids, and how files are written.
    index : Index
        Its own column of that name, such as `group`, is used if no file has one.
    metric : str
        Name of the metric, for errors.

    Returns
    -------
    ndarray of shape (n,)
        Blank for rows without a known target, such as those of a test part.

    Raises
    ------
    DataError
        If a row with a known target has no value.
    """
    found, seen = _looked_up(name, tables, competition, index)
    scored = index.known() & (index.rows["part"] != "more") & (index.rows["problem"] == "")
    lacking = index.rows[scored & found.isna()]
    if len(lacking):
        row = lacking.iloc[0]
        files = ", ".join(path.name for path in tables.get(row["part"], [])) or "the index"
        raise DataError(
            f"{files}: metric '{metric}' takes column '{name}', which row '{row['id']}' lacks"
            f"{nearest(name, [] if name in seen else seen)}"
        )
    texts, deciding = np.asarray(found.fillna(""), dtype=object), np.asarray(scored)
    typed = _typed(texts, texts[deciding])
    decimal = competition.csv.decimal
    if decimal == "." or typed is not texts:
        return typed
    pointed = np.array([text.replace(decimal, ".") for text in texts], dtype=object)
    numbers = _typed(pointed, pointed[deciding])
    return texts if numbers is pointed else numbers


def _looked_up(
    name: str, tables: Mapping[str, list[Path]], competition: Competition, index: Index
) -> tuple["pd.Series[Any]", list[str]]:
    """Return a column for each row of the index, missing where no table has it, and all names."""
    found = pd.Series(index.rows.get(name), index.rows.index, dtype=object)
    seen: list[str] = []
    id, csv = competition.id, competition.csv
    for part, paths in tables.items():
        rows = index.rows.index[index.rows["part"] == part]
        for path in paths:
            table = with_id(read_text(path, csv.separator, csv.encoding), id)
            seen += map(str, table)
            if name in table and id in table:
                values = table.drop_duplicates(id).set_index(id)[name]
                found[rows] = values.reindex(index.rows.loc[rows, "id"]).to_numpy()
    return found, seen


def _typed(values: NDArray[Any], deciding: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return text as pandas would read it from a file: numbers or booleans, if all values are.

    If `deciding` is given, these values alone decide, and others become NaN among numbers.
    """
    if values.dtype.kind not in "OU":
        whole = values.dtype.kind == "f" and np.isin(values, (0, 1)).all()
        return values.astype(np.int64) if whole else values
    looked = pd.Series(values if deciding is None else deciding)
    if looked.isin(["True", "False"]).all():
        return np.asarray(values == "True")
    if pd.to_numeric(looked, errors="coerce").notna().all():
        return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"))
    return values
