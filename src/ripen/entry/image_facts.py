"""What a competition of images asks for: the source of its classes, its ids and its parts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from ripen.core.errors import DataError
from ripen.data.column_types import detect
from ripen.data.labels import LABELS, MOST, Known, has_several, identified, is_image, part_of
from ripen.entry.files import Files, Table
from ripen.entry.sample_ids import unique

MIN_SIDE = 32  # that of conf/kind/_images.yaml
SHOWN = 4  # classes, in a reason
_USUAL = ("label", "class", "category_id")  # names of labels; the last is COCO's
_NUMBERED = re.compile(r"(.+?)[._ -]\(?\d+\)?")


@dataclass(frozen=True)
class Labels:
    """How images get their classes: the section `images.labels`.

    Attributes
    ----------
    read : str
        A label reader.
    known : dict of str to str
        Class of each training image by its file name, or by its stem if the table has no suffixes.
    reason : str
    table, id, label : str
        Settings of the reader "csv".
    several : DataFrame, optional
        The target's columns; by default the labels in `known`.
    objects : bool
        Whether the table has a row for several images of one object.
    """

    read: str
    known: dict[str, str]
    reason: str
    table: str = ""
    id: str = ""
    label: str = ""
    several: pd.DataFrame | None = None
    objects: bool = False

    @property
    def targets(self) -> pd.DataFrame:
        """The target's columns as text, a row for each training image."""
        if self.several is not None:
            return self.several
        return pd.DataFrame({self.label or "class": list(self.known.values())})

    def settings(self) -> dict[str, str]:
        """Return the section, without default values."""
        given = {"id": self.id, "label": self.label} if self.read == "csv" else {}
        changed = {key: name for key, name in given.items() if name and name != key}
        return {"read": self.read} | changed


def labels_of(files: Files, sample: Table) -> Labels:
    """Find where the classes of training images come from: a table, folders or file names.

    Raises
    ------
    DataError
        If none of these fits.
    """
    asked = identified(files.images, sample.text.iloc[:, 0])
    training = [name for name in files.images if not _is_test(name, name in asked)]
    if not training:
        raise DataError(f"{files.where}: no training image found among {len(files.images)} images")
    for table in files.tables.values():
        column, named = (None, {}) if table is sample else images_in(table, training)
        found = column and _listed(table, column, sample, named)
        if found:
            return found
    folders = [PurePosixPath(name).parent.name for name in training]
    if len(set(folders)) > 1:
        known = {PurePosixPath(name).name: PurePosixPath(name).parent.name for name in training}
        reason = f"{len(set(folders))} folders: {_some(folders)}"
        # Names may be there once in each folder.
        return Labels("folder", known, reason, several=pd.DataFrame({"class": folders}))
    stems = [PurePosixPath(name).stem for name in training]
    classes = {stem: match[1] for stem in stems if (match := _NUMBERED.fullmatch(stem))}
    if len(classes) == len(stems) and 1 < len(set(classes.values())) <= max(2, len(stems) / 2):
        shown = _some(classes.values())
        return Labels("name", classes, f"the names begin with the class: {shown}")
    raise DataError(
        f"{files.where}: no labels found for images such as {training[0]}: neither in a table, nor "
        "in folders, nor in names such as cat.0.jpg"
    )


def _some(names: Iterable[str]) -> str:
    found = sorted(set(names))
    return ", ".join(found[:SHOWN]) + ", …" * (len(found) > SHOWN)


def images_in(table: Table, images: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return the column that names these images, and the id that each has there.

    A few may lack an image or a row. Of several columns it is that of the longest names: numbers of
    rows may look like names without their noughts.

    Raises
    ------
    DataError
        If a name is in the column twice.
    """
    best: tuple[str | None, dict[str, str]] = None, {}
    for column in table.text:
        values = table.text[column]
        once = values.drop_duplicates()
        if len(once) < MOST * len(values):
            continue
        named = identified(images, once)
        most = len(set(named.values())) >= MOST * len(once) and len(named) >= MOST * len(images)
        if most and len("".join(named.values())) > len("".join(best[1].values())):
            best = str(column), named
    if best[0] is not None:
        unique(table, best[0])
    return best


def _listed(table: Table, column: str, sample: Table, named: Mapping[str, str]) -> Labels | None:
    """Return the labels that a table of images has, None if it has none.

    It is not needed where each image lies in a folder that is named after its label.
    """
    objects = has_several(named.values())
    way = "with" if is_image(table.text[column].iloc[0]) else "without"
    asked = [str(name) for name in sample.text.columns[1:]]
    if len(asked) > 1 and set(asked) <= set(table.text):
        known = dict.fromkeys(table.text[column], "")
        reason = f"{table.name} has each image's targets, by its name {way} suffix"
        return Labels("csv", known, reason, table.name, column, "", table.text[asked], objects)
    label = _label(table, column, sample)
    if not label:
        return None
    known = dict(zip(table.text[column], table.text[label], strict=True))
    if len(set(known.values())) < 2:  # a table for each class, beside its images
        return None
    if all(PurePosixPath(name).parent.name == known[id] for name, id in named.items()):
        return None
    reason = f"{table.name} has each image's {label}, by its name {way} suffix"
    return Labels("csv", known, reason, table.name, column, label, objects=objects)


def beside(train: Table, test: Table, labels: Labels, id: str) -> list[str]:
    """Return the columns of both tables that say more of an image than its name."""
    others = {labels.id, id, *labels.targets}
    shared = [str(name) for name in train.text if name in test.text and name not in others]
    unlearnt = ("identifier", "constant")
    return [name for name in shared if detect(train.text[name]).type not in unlearnt]


def models_of(task: str) -> dict[str, dict[str, Any]]:
    """Return models for the columns beside images: two of them alone, and one with the features."""
    linear = "ridge" if task == "regression" else "logistic_regression"
    return {
        "columns": {"estimator": "hist_gradient_boosting", "inputs": ["table"]},
        "columns_linear": {"estimator": linear, "inputs": ["table"]},
        "joined": {"estimator": linear, "inputs": ["efficientnet_lite2", "table"]},
    }


def asks_for_images(files: Files, sample: Table) -> bool:
    """Whether the sample's ids are names of images."""
    try:
        check_ids(files, sample)
    except DataError:
        return False
    return True


def check_ids(files: Files, sample: Table) -> str:
    """Check that the sample asks for the test images; return how it names them.

    Raises
    ------
    DataError
        Names the first id without an image.
    """
    ids = list(sample.text.iloc[:, 0])
    known = set(identified(files.images, ids).values())
    suffix = is_image(str(ids[0]))
    odd = [id for id in ids if id not in known]
    if odd:
        raise DataError(f"{sample.name}: there is no image of id {odd[0]} ({len(odd)} such ids)")
    return f"test images by their names {'with' if suffix else 'without'} suffix"


def read_by(name: str, files: Files, labels: Labels, ids: Sequence[str]) -> int:
    """Return the number of test images that the label reader finds. It must parse every name.

    Raises
    ------
    DataError
        As the reader does.
    """
    found = LABELS[name](list(files.images), Known(ids=ids, table=labels.known))
    return sum(each is not None and each.part == "test" for each in found.images)


def check_read(name: str, files: Files, labels: Labels, sample: Table) -> None:
    """Check that the label reader finds the test images of the sample.

    Raises
    ------
    DataError
        If it takes some for training images, or as the reader does.
    """
    ids = list(sample.text.iloc[:, 0])
    found = read_by(name, files, labels, ids)
    if found < len(set(ids)):
        raise DataError(
            f"{sample.name}: asks for {len(set(ids)):,} images, of which {found:,} are in the test "
            "part. Put them into a folder that is named test"
        )


def _is_test(name: str, asked: bool) -> bool:
    """Whether an image is of the test part: by its folder, else if the sample asks for it."""
    part, _ = part_of(PurePosixPath(name))
    return part == "test" or (part is None and asked)


def _label(table: Table, image: str, sample: Table) -> str | None:
    """Return the column of labels: named as in the sample, else the only other, else "label"."""
    others = [str(name) for name in table.text if name != image]
    wanted = {str(name).lower() for name in sample.text.columns[1:]}
    named = [name for name in others if name.lower() in wanted]
    classes = [name for name in others if set(table.text[name]) == set(sample.text.columns[1:])]
    named = named or classes or [name for name in others if name.lower() in _USUAL]
    return named[0] if named else (others[0] if len(others) == 1 else None)
