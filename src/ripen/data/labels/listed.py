"""The labels in a CSV file."""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from ripen.core.errors import DataError
from ripen.data.labels import (
    LABELS,
    Found,
    Known,
    Labels,
    is_image_of_folder,
    labelled,
    natural_key,
    part_of,
    spelled,
    spellings,
)

FEW = 0.01  # share of the training images that may have no row, and of the rows without an image


@LABELS.register("csv")
def by_csv(names: Sequence[str], known: Known) -> Labels:
    """Look up the label of each training image in a table.

    Images in a test folder are the test images. In a folder that is neither, those of the table are
    training images and those of the sample submission test images. A few training images without a
    row, and rows without an image, are left out, and the first of each is named.

    Parameters
    ----------
    names : sequence of str
        File names with their folders.
    known : Known
        `classes`, `ids` and `table` are used.

    Raises
    ------
    DataError
        If more images have no label, or labels no image, or a class is unknown.

    >>> by_csv(["train/007.png", "test/007.png"], Known(table={"007": "cat"})).images
    [Labelled(part='train', label=0, key=('', 7, ''), id='007'), \
Labelled(part='test', label=-1, key=('', 7, ''), id='007')]
    """
    ids, rest = frozenset(known.ids), dict.fromkeys(known.table)
    unlisted: list[str] = []

    def read(name: str) -> Found | None:
        path = PurePosixPath(name)
        if not is_image_of_folder(path):
            return None
        part, _ = part_of(path)
        row = next((id for id in spellings(path) if id in known.table), None)
        if part != "test" and row is not None:
            rest.pop(row, None)
            return Found("train", known.table[row], natural_key(row), row)
        if part == "train" or (part is None and not ids.intersection(spellings(path))):
            unlisted.append(name)
            return None
        id = spelled(path, ids, path.stem)
        return Found("test", None, natural_key(id), id)

    labels = labelled(names, read, known)
    path = PurePosixPath(next(iter(unlisted), ""))
    _left_out(
        f"{path}: the table of labels has no row {path.name} or {path.stem}", unlisted, known.table
    )
    first = next(iter(rest), "")
    _left_out(f"the table of labels has a row {first}, but no image of it", rest, known.table)
    return labels


def _left_out(line: str, lacking: Collection[str], table: Collection[str]) -> None:
    """Say that something is left out; refuse more than a few.

    Raises
    ------
    DataError
        With this line.
    """
    line += f", nor of {len(lacking) - 1} others" if len(lacking) > 1 else ""
    if len(lacking) > FEW * len(table):
        raise DataError(line)
    if lacking:
        print(f"left out: {line}")


def read_table(
    content: bytes, where: str, id: str, label: str, separator: str = ",", encoding: str = "utf-8"
) -> dict[str, str]:
    """Return the label of each image from a CSV file.

    All values stay text, so that an id 00001 keeps its zeros.

    Parameters
    ----------
    content : bytes
        The file's content.
    where : str
        Name of the file, for errors.
    id, label : str
        Names of the columns.
    separator, encoding : str

    Raises
    ------
    DataError
        If the file is not a CSV file with these columns, an id is missing or duplicated, or a label
        is missing.
    """
    labels: dict[str, str] = {}
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
        lines = io.StringIO(text, newline="")
        table = csv.DictReader(lines, strict=True, delimiter=separator)
        columns = table.fieldnames or []
        for name in (id, label):
            if name not in columns:
                raise DataError(f"{where}: has no column '{name}'. Found: {', '.join(columns)}")
        for row in table:
            if not row[id] or not row[label]:
                raise DataError(f"{where}: line {table.line_num} has no {label if row[id] else id}")
            if row[id] in labels:
                raise DataError(f"{where}: line {table.line_num} has id {row[id]} a second time")
            labels[row[id]] = row[label]
    except (UnicodeDecodeError, LookupError, csv.Error) as error:
        raise DataError(f"{where}: is not a CSV file: {error}") from None
    return labels
