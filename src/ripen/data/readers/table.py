"""A competition of tables: one CSV file for training and one for the test, with ids in both."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.competition.ids import with_id
from ripen.competition.index import WEIGHT
from ripen.competition.submission import csv_of, read_sample
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import beside
from ripen.data.column_types import date_format, detect
from ripen.data.histories import summary
from ripen.data.joining import described, joined_by, renamed, united
from ripen.data.raw_rows import in_order, labelled, parted, with_numbers, with_tags
from ripen.data.readers import READERS, Read
from ripen.data.tables import Expected, category, form, identifier, number, read_table
from ripen.settings.schema import Column, Competition, Csv, Files

UNLEARNT = ("identifier", "constant")
LABELS = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "False": "0", "True": "1"}
"""Accepted spellings of an independent label, and the index's own."""


@READERS.register("table")
def read(competition: Competition, layout: Layout) -> Read:
    """Read and check a competition's tables.

    The columns to learn from are those of the training file, less the id, the target, the folds,
    what the settings drop, and what is an identifier or a constant there. Tables without ids number
    their rows where the sample does (`ripen.data.raw_rows.with_numbers`).

    Raises
    ------
    DataError
        One line that names file, row (the first after the header is 1), column and allowed values.
    """
    raw, files, csv = layout.raw, competition.files, competition.csv
    paths = {"train": raw / files.train, "test": raw / files.test, "more": raw / files.more}
    texts = {
        part: read_text(path, csv.separator, csv.encoding)
        for part, path in paths.items()
        if part == "train" or path.exists()
    }
    if files.further:
        texts["train"] = _with_further(texts["train"], files, raw, csv)
    if files.train == files.test:
        texts["train"], texts["test"] = parted(texts["train"], competition.targets[0])
    texts = {part: with_id(text, competition.id) for part, text in texts.items()}
    texts = with_numbers(texts, competition.id, _ids_of_sample(competition, raw / files.sample))
    if files.labels is not None:
        labels = raw / files.labels
        texts["train"] = with_labels(
            texts["train"], read_text(labels, csv.separator, csv.encoding), competition, labels
        )
    if (tags := competition.columns.tags) is not None:
        texts["train"] = with_tags(texts["train"], tags, competition.targets, paths["train"])
    for part in (part for part in texts if part != "test"):
        texts[part] = learnable(competition, texts[part], paths[part])
    texts = with_others(competition, raw, texts)
    named = _named(competition, texts, paths["train"])
    features = features_of(competition, named, texts)
    left_out = set(named) - set(features) | _others(competition)
    tables, rows = [], []
    for part, text in texts.items():
        wanted = {competition.id: identifier()} | features
        ignored = left_out
        if part == "test":  # some test files have the target column too, blank
            ignored = ignored | set(competition.targets)
            _check_columns(paths, text, list(wanted), ignored)
        else:
            wanted |= {name: expected(competition) for name in competition.targets}
        table = read_table(paths[part], text, wanted, ignored, csv.decimal)
        if part == "test":
            target = _solution(competition, raw / files.solution, paths["test"], text)
        else:
            target = joined(competition, table, text)
        tables.append(table[list(features)])
        rows.append(_rows(part, text[competition.id], target))
        if (name := competition.columns.weight) is not None:
            rows[-1][WEIGHT] = _weight(name, text, paths[part], part, csv.decimal)
    index = pd.concat(rows, ignore_index=True)
    return Read(
        index,
        together(tables, features),
        beside.columns(competition, layout, index, list(texts.values())),
    )


def _with_further(train: pd.DataFrame, files: Files, raw: Path, csv: Csv) -> pd.DataFrame:
    """Return the training rows of all files, which have the same columns."""
    tables = {
        name: read_text(raw / name, csv.separator, csv.encoding) for name in files.further or ()
    }
    for name, table in tables.items():
        if odd := sorted({*map(str, table)} ^ {*map(str, train)}):
            raise DataError(
                f"{raw / name}: column '{odd[0]}' is in this or in {files.train} alone. The tables "
                "of files.further need its columns"
            )
    return pd.concat([train, *tables.values()], ignore_index=True)


def with_others(
    competition: Competition, raw: Path, texts: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return the parts with the columns of the tables beside, and with summaries of histories."""
    files, keys = competition.files, competition.files.keys or {}
    names = [*(files.joined or ()), *(files.histories or ())]
    own = {name: csv_of(raw / name, competition.csv) for name in names}
    tables = {n: read_text(raw / n, form.separator, form.encoding) for n, form in own.items()}
    found = dict(texts)
    for name, table in united({n: tables[n] for n in files.joined or ()}).items():
        found = described(found, name, table, keys.get(name))
    for name, table in united({n: tables[n] for n in files.histories or ()}).items():
        key = keys.get(name, {competition.id: competition.id})
        summed = summary(renamed(table, name, key), [*key], name, own[name].decimal)
        found = described(found, name, summed, {column: column for column in key})
    return found


def _ids_of_sample(competition: Competition, path: Path) -> "pd.Series[str] | None":
    """Return the sample's column of the name that the settings give, None where it has none."""
    if not path.exists():
        return None
    return read_sample(path, competition.id, competition.csv).get(competition.id)


# --- The columns to learn from -------------------------------------------------------------------


def _named(competition: Competition, texts: Mapping[str, pd.DataFrame], path: Path) -> list[str]:
    """Return the columns that may become features, in the file's order.

    A date is one even if it is the id: the rows of a series have no other.
    """
    train = texts["train"]
    for name in (competition.id, *competition.targets):
        if name not in train:
            raise DataError(
                f"{path}: column '{name}' is missing. Found: {', '.join(map(str, train))}"
            )
    weight = competition.columns.weight
    named = (*competition.columns.types, *([weight] if weight else []))
    dropped = [name for name in competition.columns.drop if name not in texts.get("test", ())]
    for name in (*dropped, *named):
        if name not in train:
            raise DataError(f"{path}: column '{name}', which columns names, is missing")
    used = {competition.id, *competition.targets, *_others(competition)}
    if date_format(train[competition.id]):
        used -= {competition.id}
    return [name for name in map(str, train) if name not in used]


def _others(competition: Competition) -> set[str]:
    """Return the columns that are dropped, or only for the splitter."""
    named = competition.validation.get("column")
    folds = competition.validation.get("split") == "column" and named
    weight = competition.columns.weight
    only = [*([str(named)] if folds else []), *([weight] if weight is not None else [])]
    return {*competition.columns.drop, *only}


def features_of(
    competition: Competition, named: list[str], texts: Mapping[str, pd.DataFrame]
) -> dict[str, Expected]:
    """Return the expected form of each feature: from the settings, else detected."""
    settings, decimal = competition.columns, competition.csv.decimal
    found = {}
    for name in named:
        column = settings.types.get(name, Column())
        hint = ""
        if column.type is None:
            column = _detected(name, column, texts, decimal, numbers=settings.shape is not None)
            hint = f". If it holds codes, set columns.types.{name}.type to category"
        if column.type not in UNLEARNT:
            found[name] = form(column, decimal, hint, unique=name == competition.id)
    return found


def _detected(
    name: str, column: Column, texts: Mapping[str, pd.DataFrame], decimal: str, *, numbers: bool
) -> Column:
    """Detect a column's type from the training part; `numbers` makes it a number, as for pixels.

    An ordered column also has the levels that only the test part has.
    """
    if numbers or column.min is not None or column.max is not None:
        return replace(column, type="number")
    found = detect(texts["train"][name], decimal)
    if found.type == "ordered":
        everywhere = pd.concat([text[name] for text in texts.values() if name in text])
        again = detect(everywhere.rename(name), decimal)
        found = again if again.type == "ordered" else Column(type="category")
    return replace(found, missing=column.missing)


def together(tables: list[pd.DataFrame], features: Mapping[str, Expected]) -> pd.DataFrame:
    """Return the rows of all parts; a category has the levels of all of them."""
    found = pd.DataFrame(
        {
            name: pd.concat([table[name].astype(object) for table in tables], ignore_index=True)
            if expected.column.type == "category"
            else pd.concat([table[name] for table in tables], ignore_index=True)
            for name, expected in features.items()
        }
    )
    categories = [name for name, each in features.items() if each.column.type == "category"]
    return found.astype(dict.fromkeys(categories, "category"))


def _check_columns(
    paths: Mapping[str, Path], text: pd.DataFrame, wanted: list[str], ignored: set[str]
) -> None:
    """Refuse a test table with a missing or an extra column."""
    test, train = paths["test"], paths["train"]
    if missing := [name for name in wanted if name not in text]:
        raise DataError(
            f"{test}: column '{missing[0]}' is missing. Needed: {', '.join(wanted)}. To learn "
            "without it name it in columns.drop"
        )
    if odd := [name for name in map(str, text) if name not in wanted and name not in ignored]:
        raise DataError(
            f"{test}: column '{odd[0]}' is one too many: {train} lacks it. Nothing can be learnt "
            "of it: remove it"
        )


# --- The target ----------------------------------------------------------------------------------


def expected(competition: Competition) -> Expected:
    """Return the expected form of a target."""
    if competition.task == "multilabel" or competition.one_hot:
        return replace(category(Column(), list(LABELS)), allowed="0 or 1")
    if competition.task == "regression":
        return number(Column(missing=False))
    classes = competition.classes
    return category(Column(missing=False), None if classes is None else list(classes))


def learnable(competition: Competition, text: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the rows that have a target; a line says how many are left out.

    Raises
    ------
    DataError
        If there are others, and `files.drop_unlabelled` is not set.
    """
    names = [name for name in competition.targets if name in text]
    drop, option = competition.files.drop_unlabelled, "set files.drop_unlabelled to true"
    found, left_out = labelled(text, names, str(path), drop=drop, option=option)
    if left_out:
        print(f"prepare: {path.name}: {left_out}")
    return found


def joined(competition: Competition, table: pd.DataFrame, text: pd.DataFrame) -> "pd.Series[str]":
    """Return the targets as the index has them: the file's text, numbers in Python's notation."""
    if competition.one_hot:
        return _class_of(competition, text)
    columns = []
    for name in competition.targets:
        if competition.task == "regression":
            # repr writes the shortest text that reads back as the same number.
            columns.append(table[name].map(repr))
        elif competition.task == "multilabel":
            columns.append(text[name].map(LABELS))
        else:
            columns.append(text[name])
    first, *others = columns
    for other in others:
        first = first + " " + other
    return first


def _class_of(competition: Competition, text: pd.DataFrame) -> "pd.Series[str]":
    """Return the class of each row: the name of its column that holds 1."""
    ones = text[competition.targets].apply(lambda column: column.map(LABELS) == "1")
    counts = ones.sum(axis=1)
    if (odd := counts != 1).any():
        row = int(odd.argmax())
        raise DataError(
            f"row {row + 1}: {int(counts.iloc[row])} of the target's {len(ones.columns)} columns "
            "are 1, and of classes one must be. For independent labels set task to multilabel"
        )
    found: pd.Series[str] = ones.idxmax(axis=1)
    return found


def with_labels(
    train: pd.DataFrame, labels: pd.DataFrame, competition: Competition, path: Path
) -> pd.DataFrame:
    """Return the training table with the columns of its table of labels, matched by id.

    A table of the targets alone, without ids, has them in the order of the rows.

    Raises
    ------
    DataError
        If the ids of the two are not the same, each once, or without ids the rows are not as many.
    """
    id = competition.id
    if id not in labels and labels.shape == (len(train), len(competition.targets)):
        return in_order(train, labels, competition.targets)
    if id not in labels or id not in train:
        raise DataError(f"{path}: column '{id}' is missing here or in {competition.files.train}")
    if labels[id].duplicated().any() or set(labels[id]) != set(train[id]):
        raise DataError(f"{path}: its ids are not those of {competition.files.train}, each once")
    return joined_by(id, train, labels)


def _solution(
    competition: Competition, path: Path, test: Path, test_table: pd.DataFrame
) -> "pd.Series[str]":
    """Return the test rows' targets, blank where unknown."""
    if not path.exists():
        return pd.Series("", test_table.index)
    wanted = {competition.id: identifier()}
    wanted |= {name: expected(competition) for name in competition.targets}
    text = read_text(path, competition.csv.separator, competition.csv.encoding)
    # Kaggle's own solutions have a further column, for public and private rows.
    solution = read_table(path, text, wanted, map(str, text), competition.csv.decimal)
    if text[competition.id].tolist() != test_table[competition.id].tolist():
        raise DataError(f"{path}: its ids are not those of {test}")
    return joined(competition, solution, text)


def _weight(
    name: str, text: pd.DataFrame, path: Path, part: str, decimal: str
) -> "pd.Series[float]":
    """Return the weight of each row; 1 for test rows, whose table may lack the column."""
    if part == "test" and name not in text:
        return pd.Series(1.0, text.index)
    wanted = {name: number(Column(min=0, missing=False))}
    found: pd.Series[float] = read_table(path, text, wanted, map(str, text), decimal)[name]
    return found


def _rows(part: str, ids: "pd.Series[str]", target: "pd.Series[Any]") -> pd.DataFrame:
    """Return the index's rows for one file."""
    values = {"id": ids, "part": part, "target": target}
    return pd.DataFrame(values | {"group": "", "fold": -1, "problem": ""})
