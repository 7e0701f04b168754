"""What a competition of images asks for: the source of its classes, its ids and its parts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from ripen.core.errors import DataError
from ripen.data.labels import LABELS, Known, is_image
from ripen.entry.files import Files, Table

MIN_SIDE = 32  # that of conf/kind/_images.yaml
_NUMBERED = re.compile(r"(.+)\.\d+")


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
        The target's columns, if they are several.
    """

    read: str
    known: dict[str, str]
    reason: str
    table: str = ""
    id: str = ""
    label: str = ""
    several: pd.DataFrame | None = None

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
    ids = set(sample.text.iloc[:, 0])
    training = [name for name in files.images if not _is_test(name, ids)]
    if not training:
        raise DataError(f"{files.where}: no training image found among {len(files.images)} images")
    names = {PurePosixPath(name).name: name for name in training}
    stems = {PurePosixPath(name).stem: name for name in training}
    folders = Counter(PurePosixPath(name).parent.name for name in training)
    for table in files.tables.values():
        if table is sample:
            continue
        for column in table.text:
            values = set(table.text[column])
            if values in (set(names), set(stems)):
                asked = [str(name) for name in sample.text.columns[1:]]
                way = "with" if values == set(names) else "without"
                if len(asked) > 1 and set(asked) <= set(table.text):
                    known = dict.fromkeys(table.text[column], "")
                    reason = f"{table.name} has each image's targets, by its name {way} suffix"
                    several = table.text[asked]
                    return Labels("csv", known, reason, table.name, str(column), "", several)
                label = _label(table, str(column), sample)
                # If the folders are these classes, no table is needed.
                if label and set(table.text[label]) != set(folders):
                    known = dict(zip(table.text[column], table.text[label], strict=True))
                    reason = f"{table.name} has each image's {label}, by its name {way} suffix"
                    return Labels("csv", known, reason, table.name, str(column), label)
    if len(folders) > 1:
        known = {PurePosixPath(n).name: PurePosixPath(n).parent.name for n in training}
        shown = ", ".join(sorted(folders)[:4])
        return Labels("folder", known, f"{len(folders)} folders: {shown}, …")
    classes = {stem: match[1] for stem in stems if (match := _NUMBERED.fullmatch(stem))}
    if len(classes) == len(stems) and len(set(classes.values())) > 1:
        shown = ", ".join(sorted(set(classes.values()))[:4])
        return Labels("name", classes, f"the names begin with the class: {shown}")
    raise DataError(
        f"{files.where}: no labels found for images such as {training[0]}: neither in a table, nor "
        "in folders, nor in names such as cat.0.jpg"
    )


def check_ids(files: Files, sample: Table) -> str:
    """Check that the sample asks for the test images; return how it names them.

    Raises
    ------
    DataError
        Names the first id without an image.
    """
    ids = list(sample.text.iloc[:, 0])
    paths = [PurePosixPath(name) for name in files.images]
    names, stems = {path.name for path in paths}, {path.stem for path in paths}
    suffix = is_image(str(ids[0]))
    odd = [id for id in ids if id not in (names if suffix else stems)]
    numbered = {str(int(stem)) for stem in stems if stem.isdecimal()}
    odd = [id for id in odd if id not in numbered]
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


def _is_test(name: str, ids: set[str]) -> bool:
    path = PurePosixPath(name)
    if any(part.lower().startswith("test") for part in path.parts[:-1]):
        return True
    named = any(part.lower().startswith("train") for part in path.parts[:-1])
    return not named and bool({path.name, path.stem} & ids)


def _label(table: Table, image: str, sample: Table) -> str | None:
    """Return the column of labels: named as in the sample, else the only other, else "label"."""
    others = [str(name) for name in table.text if name != image]
    wanted = {str(name).lower() for name in sample.text.columns[1:]}
    named = [name for name in others if name.lower() in wanted]
    classes = [name for name in others if set(table.text[name]) == set(sample.text.columns[1:])]
    named = named or classes or [name for name in others if name.lower() in ("label", "class")]
    return named[0] if named else (others[0] if len(others) == 1 else None)
