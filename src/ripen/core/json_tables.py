"""Tables written as JSON.

They are a list of records, records line by line, values by column and row, labels by name, or
images and their annotations in COCO's form.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.core.errors import DataError

SUFFIX = ".json"
FEW = 30  # numbers in a list: each becomes a column, of more their distribution and box means
ROW = 64  # numbers in a cell: it then holds an array, not text
BOX = 8  # boxes along a side of a square of numbers, such as an image
QUANTILES = {"min": 0.0, "low": 0.05, "median": 0.5, "high": 0.95, "max": 1.0}


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of JSON, every value as text.

    A list of texts becomes one text, ``salt, garlic``. A column of equally long lists of numbers
    becomes columns of numbers: one for each of at most `FEW`, ``angles_0``; of more the mean, the
    standard deviation and some quantiles, and, if they make up a square, the means of `BOX` by
    `BOX` boxes. Other lists and records remain as they are written.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds no table.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8, which JSON has to be") from None
    return table_of(_parsed(content, path), str(path))


def table_of(values: Any, where: str) -> pd.DataFrame:
    """Return parsed JSON as a table of text (`read_table`).

    >>> table_of([{"id": 7, "words": ["a", "b"]}, {"id": 8, "words": None}], "").to_dict("list")
    {'id': ['7', '8'], 'words': ['a, b', '']}
    >>> table_of({"1.jpg": "cat", "2.jpg": "dog"}, "").to_dict("list")
    {'id': ['1.jpg', '2.jpg'], 'label': ['cat', 'dog']}
    """
    if isinstance(values, dict) and _all(values.get("images"), dict):
        return _annotated(values)
    if isinstance(values, dict) and _labels(values):
        return text_of({"id": list(values), "label": list(values.values())})
    if _all(values, list) or not (_all(values, dict) and values):
        raise DataError(f"{where}: is no table: a list of records with the same names is needed")
    if isinstance(values, dict):
        rows = list(dict.fromkeys(row for column in values.values() for row in column))
        columns = {name: [column.get(row) for row in rows] for name, column in values.items()}
    else:
        columns = _by_name(values)
    return text_of(columns)


def _labels(values: Mapping[str, Any]) -> bool:
    """Whether each name has a label. Numbers are those of classes, which have names."""
    labels = all(isinstance(each, (str, int)) for each in values.values())
    return labels and not all(name.isdecimal() for name in values)


def _annotated(values: Mapping[str, Any]) -> pd.DataFrame:
    """Return COCO's images, those that have annotations with a row for each of these."""
    images = text_of(_by_name(values["images"]))
    annotations = values.get("annotations")
    if not annotations or not _all(annotations, dict) or "id" not in images:
        return images
    found = text_of(_by_name(annotations)).drop(columns="id", errors="ignore")
    return found.rename(columns={"image_id": "id"}).merge(images, on="id")


def _by_name(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def text_of(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return columns of parsed values as a table of text (`read_table`)."""
    found: dict[str, Sequence[str]] = {}
    for name, column in columns.items():
        numbers = _numbers(column)
        if numbers is None:
            found[name] = [_text(value) for value in column]
        else:
            found |= _named(name, numbers)
    return pd.DataFrame(found, dtype=str)


def spread(text: pd.DataFrame) -> pd.DataFrame:
    """Return a table with columns of numbers in place of cells that hold a row of numbers.

    Such a cell has at least `ROW` numbers with blanks between, in all rows as many, as the pixels
    of an image. They become what a list does (`read_table`).
    """
    found = text
    for place, name in enumerate(map(str, text)):
        cells = text.iloc[:, place]
        if cells.iloc[0].count(" ") < ROW - 1 or cells.str.count(" ").nunique() > 1:
            continue
        try:
            numbers = np.array(cells.str.split().tolist(), np.float64)
        except ValueError:  # words
            continue
        columns = pd.DataFrame(_named(name, numbers), index=text.index, dtype=str)
        found = pd.concat([found.drop(columns=name), columns], axis=1)
    return found


def _named(name: str, numbers: Any) -> dict[str, list[str]]:
    each = _summary(numbers)
    return {f"{name}_{part}": [repr(float(x)) for x in values] for part, values in each.items()}


def _parsed(content: str, path: Path) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        whole = error
    try:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    except json.JSONDecodeError:
        raise DataError(f"{path}: line {whole.lineno}: not JSON: {whole.msg}") from None


def _all(values: Any, kind: type) -> bool:
    """Whether the elements of a list, or the values of a mapping, are all of a kind."""
    if not isinstance(values, (list, dict)):
        return False
    return all(
        isinstance(each, kind) for each in (values if isinstance(values, list) else values.values())
    )


def _numbers(column: Sequence[Any]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]] | None":
    """Return a column of equally long lists of numbers as an array, None if it is another."""
    first = column[0] if column else None
    if not isinstance(first, list) or len(first) < 2:
        return None
    for value in column:
        if not isinstance(value, list) or len(value) != len(first):
            return None
        if not all(type(each) in (int, float) for each in value):
            return None
    return np.array(column, np.float64)


def _summary(values: Any) -> dict[str, Any]:
    count = values.shape[1]
    if count <= FEW:
        return {str(place): values[:, place] for place in range(count)}
    found = {"mean": values.mean(axis=1), "std": values.std(axis=1)}
    found |= {part: np.quantile(values, q, axis=1) for part, q in QUANTILES.items()}
    side = round(count**0.5)
    if side**2 == count:
        rows = np.array_split(np.arange(side), min(BOX, side))
        square = values.reshape(-1, side, side)
        for i, j in np.ndindex(len(rows), len(rows)):
            found[f"box_{i}_{j}"] = square[:, rows[i]][:, :, rows[j]].mean(axis=(1, 2))
    return found


def _text(value: Any) -> str:
    """Return a value as the text of a table: "" for null, texts joined by commas."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
