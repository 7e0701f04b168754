"""Labels and ids from the names of files, as Kaggle's picture competitions give them.

A training picture is `train/cat.0.jpg`, a test picture `test1/1.jpg` or `test/1.jpg`.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from ripen.errors import DataError

_SUFFIX = r"\.(jpe?g|png|gif|bmp|webp|tiff?)$"
_NUMBERED = re.compile(r"(\d+)" + _SUFFIX, re.IGNORECASE)
_LABELLED = re.compile(r"(.+)\.(\d+)" + _SUFFIX, re.IGNORECASE)
_NO_PICTURES = {"thumbs.db", "desktop.ini", "__macosx"}
_TABLES = (".csv", ".zip")


class Named(NamedTuple):
    """What a picture's name says; sorted, training pictures come first, by class and number.

    Attributes
    ----------
    part : int
        0 for training, 1 for test.
    label : int
        Row of the class among the competition's; -1 where it is not known.
    number : int
        So that 2 comes before 10.
    id : str
        What Kaggle calls it: "cat.0", or "1" in the test part.
    """

    part: Literal[0, 1]
    label: int
    number: int
    id: str


def parse(name: str, classes: Sequence[str]) -> Named | None:
    """Return what a file's name says; None for what is not meant to be a picture.

    That is a folder, a table, an archive, or what operating systems leave behind.

    Parameters
    ----------
    name : str
        In its archive, with folders.
    classes : sequence of str

    Raises
    ------
    DataError
        If it is neither a training picture's name nor a test picture's.

    >>> parse("train/dog.12.jpg", ["cat", "dog"])
    Named(part=0, label=1, number=12, id='dog.12')
    >>> parse("test1/7.jpg", ["cat", "dog"])
    Named(part=1, label=-1, number=7, id='7')
    """
    path = PurePosixPath(name)
    lower = [part.lower() for part in path.parts]
    if name.endswith(("/", *_TABLES)) or lower[-1].startswith(".") or _NO_PICTURES & set(lower):
        return None
    folder = lower[-2] if len(lower) > 1 else ""
    if folder.startswith("test"):
        if match := _NUMBERED.fullmatch(path.name):
            return Named(1, -1, int(match[1]), str(int(match[1])))
        raise DataError(f"{name}: is no test picture's name. Allowed: {folder}/<number>.jpg")
    labelled = _LABELLED.fullmatch(path.name)
    if not folder.startswith("train") or not labelled:
        raise DataError(
            f"{name}: is no picture's name. Allowed: train/<class>.<number>.jpg, test/<number>.jpg"
        )
    if labelled[1] not in classes:
        raise DataError(f"{name}: unknown class '{labelled[1]}'. Allowed: {', '.join(classes)}")
    number = int(labelled[2])
    return Named(0, list(classes).index(labelled[1]), number, f"{labelled[1]}.{number}")
