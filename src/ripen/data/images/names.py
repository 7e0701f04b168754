"""Labels and ids from the names of files, as Kaggle's picture competitions and ImageNet give them.

A training picture is `train/cat.0.jpg`, a test picture `test1/1.jpg` or `test/1.jpg`. In ImageNet
one is `n01440764/n01440764_10026.JPEG`, or `n01440764_tench.JPEG`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from ripen.core.errors import DataError

_SUFFIX = r"\.(jpe?g|png|gif|bmp|webp|tiff?)$"
_NUMBERED = re.compile(r"(\d+)" + _SUFFIX, re.IGNORECASE)
_LABELLED = re.compile(r"(.+)\.(\d+)" + _SUFFIX, re.IGNORECASE)
_SYNSET = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
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
    if _is_none(name):
        return None
    path = PurePosixPath(name)
    lower = [part.lower() for part in path.parts]
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


def parse_synset(name: str, labels: Mapping[str, int], part: Literal[0, 1] = 1) -> Named | None:
    """Return what the name of one of ImageNet's files says: a picture of a known class.

    Parameters
    ----------
    name : str
        In its archive, with folders.
    labels : mapping of str to int
        Rows of the classes by synset.
    part : {0, 1}
        0 for training, 1 for test: the name does not say it.

    Raises
    ------
    DataError
        If there is no synset in it, or one of no class.

    >>> parse_synset("val/n01440764/ILSVRC2012_val_00000293.JPEG", {"n01440764": 0})
    Named(part=1, label=0, number=0, id='ILSVRC2012_val_00000293')
    """
    if _is_none(name):
        return None
    path = PurePosixPath(name)
    found = _SYNSET.search(name)
    if found is None or not re.search(_SUFFIX, name, re.IGNORECASE):
        raise DataError(f"{name}: is no picture's name. Allowed: <synset>_<name>.JPEG")
    if found[1] not in labels:
        raise DataError(f"{name}: synset {found[1]} is none of the {len(labels)} classes")
    return Named(part, labels[found[1]], 0, path.stem)


def _is_none(name: str) -> bool:
    """Whether a file is not meant to be a picture."""
    lower = [part.lower() for part in PurePosixPath(name).parts]
    folder_or_table = name.lower().endswith(("/", *_TABLES))
    return folder_or_table or lower[-1].startswith(".") or bool(_NO_PICTURES & set(lower))
