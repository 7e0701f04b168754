"""A competition of one table: a CSV file for training, one for the test, ids in both."""

from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.readers import READERS, Read
from ripen.data.tables import (
    Expected,
    category,
    identifier,
    is_number,
    number,
    read_table,
)
from ripen.settings.schema import Column, Columns, Competition


@READERS.register("table")
def read(competition: Competition, layout: Layout) -> Read:
    """Read and check a competition's tables.

    The columns to learn from are those of the training file, less the id, the target, the folds
    and what the settings drop. A column of numbers is a number, any other a category.

    Raises
    ------
    DataError
        One line that names file, row (the first after the header is 1), column, what is allowed.
    """
    raw, files = layout.raw, competition.files
    paths = {"train": raw / files.train, "test": raw / files.test, "more": raw / files.more}
    texts = {
        part: read_text(path) for part, path in paths.items() if part == "train" or path.exists()
    }
    features = _features(competition, texts["train"], paths["train"])
    types = _types(features, competition.columns, texts)
    tables, rows, beside = [], [], []
    for part, text in texts.items():
        targets = [] if part == "test" else [competition.target]
        wanted = {competition.id: identifier()} | {name: types[name] for name in features}
        wanted |= {name: _target(competition) for name in targets}
        others = {*competition.columns.drop, *_fold_columns(competition)}
        table = read_table(paths[part], text, wanted, others)
        target = table[competition.target] if targets else pd.Series("", table.index)
        if part == "test":
            target = _solution(competition, raw / files.solution, paths["test"], table)
        tables.append(table[features])
        beside.append(text[[name for name in _fold_columns(competition) if name in text]])
        rows.append(_rows(part, table[competition.id], target))
    index, columns, unlearnt = (
        pd.concat(each, ignore_index=True) for each in (rows, tables, beside)
    )
    return Read(index, columns, unlearnt)


def _features(competition: Competition, train: pd.DataFrame, path: Path) -> list[str]:
    """Return the columns to learn from, in the file's order."""
    for name in (competition.id, competition.target):
        if name not in train:
            raise DataError(
                f"{path}: column '{name}' is missing. Found: {', '.join(map(str, train))}"
            )
    for name in (*competition.columns.drop, *competition.columns.types):
        if name not in train:
            raise DataError(f"{path}: column '{name}', which columns names, is missing")
    used = {competition.id, competition.target, *competition.columns.drop}
    used |= _fold_columns(competition)
    return [name for name in map(str, train) if name not in used]


def _fold_columns(competition: Competition) -> set[str]:
    """Return the columns that only the splitter reads."""
    named = competition.validation.get("column")
    return {str(named)} if competition.validation.get("split") == "column" and named else set()


def _types(
    features: list[str], columns: Columns, texts: dict[str, pd.DataFrame]
) -> dict[str, Expected]:
    """Say of each column what it holds: as the settings do, else by its values in all files."""
    found = {}
    for name in features:
        known = columns.types.get(name, Column(missing=True))
        values = pd.concat([text[name] for text in texts.values() if name in text])
        numeric = known.type == "number" or (known.type is None and is_number(values, known))
        found[name] = number(known) if numeric else category(known)
    return found


def _target(competition: Competition) -> Expected:
    """Return what a target must be."""
    if competition.task == "regression":
        return number(Column())
    classes = competition.classes
    return category(Column(), None if classes is None else list(classes))


def _solution(
    competition: Competition, path: Path, test: Path, table: pd.DataFrame
) -> "pd.Series[str]":
    """Return the test rows' targets where they are known, else blanks."""
    if not path.exists():
        return pd.Series("", table.index)
    wanted = {competition.id: identifier(), competition.target: _target(competition)}
    solution = read_table(path, read_text(path), wanted, set())
    if solution[competition.id].tolist() != table[competition.id].tolist():
        raise DataError(f"{path}: its ids are not those of {test}")
    return solution[competition.target]


def _rows(part: str, ids: "pd.Series[str]", target: "pd.Series[Any]") -> pd.DataFrame:
    """Return the rows of one file for the index."""
    # repr gives each number the digits that it needs, and no more.
    written = target.map(lambda value: repr(value) if isinstance(value, float) else value)
    values = {"id": ids, "part": part, "target": written}
    return pd.DataFrame(values | {"group": "", "fold": -1, "problem": ""})
