"""What a competition of one table is, and how its files are read and checked."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from ripen.core.errors import DataError


class Competition(Protocol):
    """What the form of a submission is told by."""

    @property
    def id(self) -> str: ...

    @property
    def submitted(self) -> Mapping[str, int]: ...

    def sample_columns(self) -> dict[str, str]: ...

    def schema(self, columns: dict[str, str]) -> pa.DataFrameSchema: ...


@dataclass(frozen=True)
class Feature:
    """A measured column: its allowed range, ends included, and the step it is noted in."""

    name: str
    low: float
    high: float
    resolution: float

    @property
    def allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Tabular:
    """A competition whose rows are an id, measured features and, where known, a class.

    `generate` draws its files; `bayes_probability` and `bayes_accuracy` are there where the
    distribution is known.
    """

    id: str
    features: tuple[Feature, ...]
    label: str
    classes: tuple[str, ...]
    generate: Callable[..., dict[str, pd.DataFrame]]
    bayes_probability: Callable[[pd.DataFrame, float], NDArray[np.float64]]
    bayes_accuracy: Callable[[float, np.random.Generator, int], float]

    @property
    def feature_names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def columns(self, *, features: bool = True, label: bool = True) -> dict[str, str]:
        """Return the columns of one of the competition's files: name to what is allowed in it."""
        columns = {self.id: "a whole number"}
        if features:
            columns |= {feature.name: feature.allowed for feature in self.features}
        if label:
            columns |= {self.label: f"a whole number from 0 to {len(self.classes) - 1}"}
        return columns

    def sample_columns(self) -> dict[str, str]:
        """Return the columns of the sample submission: name to what is allowed in it."""
        return self.columns(features=False)

    @property
    def submitted(self) -> dict[str, int]:
        """The columns of a submission, each with the class whose probability it holds."""
        return {self.label: len(self.classes) - 1}

    def schema(self, columns: dict[str, str]) -> pa.DataFrameSchema:
        """Return the checks of a file with these columns."""
        ranges = {feature.name: (feature.low, feature.high) for feature in self.features}
        ranges[self.label] = (0, len(self.classes) - 1)
        return pa.DataFrameSchema(
            {
                name: pa.Column(
                    np.float64 if name in self.feature_names else np.int64,
                    pa.Check.in_range(*ranges[name]) if name in ranges else None,
                    coerce=True,
                    unique=name == self.id,
                )
                for name in columns
            }
        )


def read_table(path: Path, dataset: Competition, columns: dict[str, str]) -> pd.DataFrame:
    """Read a CSV file of the competition and check every value of it.

    Parameters
    ----------
    path : Path
        The file, UTF-8, comma-separated, with a header.
    dataset : Competition
        What the values must be.
    columns : dict of str to str
        The columns that the file must have, in any order, from `Tabular.columns`.

    Returns
    -------
    DataFrame
        Columns in the order of `columns`: int64 id and label, float64 features.

    Raises
    ------
    DataError
        One line that names file, row (the first after the header is 1), column and what is allowed.
    """
    text = read_columns(path, columns)
    return _checked(path, dataset, text, columns)


def read_sample(path: Path, dataset: Competition) -> pd.DataFrame:
    """Read the sample submission, whose columns, order and ids a submission must have.

    Returns
    -------
    DataFrame
        Id (int64) and the others, in the file's own order of columns; what the sample guesses
        is kept as text.

    Raises
    ------
    DataError
        As `read_table`.
    """
    columns = dataset.sample_columns()
    text = read_columns(path, columns)
    ids = _checked(path, dataset, text, {dataset.id: columns[dataset.id]})
    return text.assign(**{dataset.id: ids[dataset.id]})


def check_classes(path: Path, dataset: Tabular, labels: pd.Series) -> None:
    """Make sure that every class can be learnt and held out.

    Raises
    ------
    DataError
        If a class has fewer than two rows.
    """
    counts = labels.value_counts().reindex(range(len(dataset.classes)), fill_value=0)
    for value, count in counts.items():
        if count < 2:
            raise DataError(
                f"{path}: column '{dataset.label}' has {count} rows of class {value} "
                f"('{dataset.classes[int(str(value))]}'). At least 2 of each class are needed"
            )


def read_columns(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """Read a file that must have these columns, in any order, every value as the text it is.

    Raises
    ------
    DataError
        If it has others, no rows, or is no table.
    """
    text = read_text(path)
    missing = [name for name in columns if name not in text.columns]
    if missing:
        raise DataError(f"{path}: column '{missing[0]}' is missing. Needed: {', '.join(columns)}")
    extra = [name for name in text.columns if name not in columns]
    if extra:
        raise DataError(
            f"{path}: column '{extra[0]}' is one too many. Allowed: {', '.join(columns)}"
        )
    if text.empty:
        raise DataError(f"{path}: has a header and no rows. At least one row is needed")
    return text


def _checked(
    path: Path, dataset: Competition, text: pd.DataFrame, columns: dict[str, str]
) -> pd.DataFrame:
    """Turn text into numbers; pandera says what cannot be one, or is out of range."""
    try:
        return dataset.schema(columns).validate(text[list(columns)], lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DataError(f"{path}: {_first_failure(error.failure_cases, text, columns)}") from None


def read_text(path: Path) -> pd.DataFrame:
    """Read a table, every value as the text it is.

    Raises
    ------
    DataError
        If it is not there, not UTF-8, or no table.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8. Save the file with encoding UTF-8"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty. A header and rows are needed") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).removeprefix("Error tokenizing data.").split())
        raise DataError(f"{path}: not a table of one header and equal rows: {reason}") from None


def _first_failure(cases: pd.DataFrame, text: pd.DataFrame, columns: dict[str, str]) -> str:
    rows = cases.dropna(subset=["index"]).sort_values("index", kind="stable")
    first = rows.iloc[0]
    row, column = int(first["index"]), str(first["column"])
    if first["check"] == "field_uniqueness":
        # Both of a pair are listed; the later one is the one to mend.
        row = int(text[column].duplicated().argmax())
        earlier = int(text[column].eq(text[column].iloc[row]).argmax())
        value: Any = text[column].iloc[row]
        return f"row {row + 1}, column '{column}': {value!r} is in row {earlier + 1} already"
    return f"row {row + 1}, column '{column}': {text[column].iloc[row]!r} is not {columns[column]}"
