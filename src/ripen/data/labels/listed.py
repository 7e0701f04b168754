"""The labels in a table."""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import pandas as pd

from ripen.core.errors import DataError
from ripen.data.labels import (
    LABELS,
    Found,
    Known,
    Labels,
    has_several,
    identified,
    is_image_of_folder,
    labelled,
    natural_key,
    part_of,
)

FEW = 0.01  # share of the training images that may have no row, and of the rows without an image


@LABELS.register("csv")
def by_csv(names: Sequence[str], known: Known) -> Labels:
    """Look up the label of each training image in a table.

    Images in a test folder are the test images. In a folder that is neither, those of the table are
    training images and those of the sample submission test images. A few training images without a
    row, and rows without an image, are left out, and the first of each is named. Where most rows
    have several images, these have the row's id.

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
    rest = dict.fromkeys(known.table)
    trained, asked = identified(names, known.table), identified(names, known.ids)
    parts = {name: part_of(PurePosixPath(name))[0] for name in names}
    several = has_several(id for name, id in trained.items() if parts[name] != "test")
    unlisted: list[str] = []

    def read(name: str) -> Found | None:
        path = PurePosixPath(name)
        if not is_image_of_folder(path):
            return None
        part, row = parts[name], trained.get(name)
        own = natural_key(name) if several else ()  # images of one object are not the same one
        if part != "test" and row is not None:
            rest.pop(row, None)
            if not known.table[row]:
                return None
            return Found("train", known.table[row], natural_key(row) + own, row)
        if part == "train" or (part is None and name not in asked):
            unlisted.append(name)
            return None
        id = asked.get(name, path.stem)
        return Found("test", None, natural_key(id) + own, id)

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


def labels_in(text: pd.DataFrame, where: str, id: str, label: str) -> dict[str, str]:
    """Return the label of each image from a table of text.

    Parameters
    ----------
    text : DataFrame of str
    where : str
        Name of the file, for errors.
    id, label : str
        Names of the columns.

    Raises
    ------
    DataError
        If the table lacks one of these columns, an id is missing or duplicated, or a label is
        missing.
    """
    for name in (id, label):
        if name not in text:
            found = ", ".join(map(str, text))
            raise DataError(f"{where}: has no column '{name}'. Found: {found}")
        if (blank := text[name] == "").any():
            raise DataError(f"{where}: row {int(blank.argmax()) + 1} has no {name}")
    if (again := text[id].duplicated()).any():
        row = int(again.argmax())
        raise DataError(f"{where}: row {row + 1} has id {text[id].iloc[row]} a second time")
    return dict(zip(text[id], text[label], strict=True))
