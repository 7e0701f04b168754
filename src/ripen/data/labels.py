"""Label readers: the part, class and id of every image, from file names or a table.

A reader is a function `read(names, known)`, registered under the name that a competition's settings
use. It sees all file names at once, and returns what each means:

- `name`: the label is in the file's name, ``train/cat.0.jpg``, and the test images are numbered;
- `folder`: the label is the name of the folder, ``train/cat/IMG_0001.JPG``;
- `csv`: a table has the label of each training image, by its file name with or without suffix;
- `synset`: a WordNet synset is in the file's or folder's name, ``n01440764/n01440764_10026.JPEG``.
"""

import csv
import difflib
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from ripen.core.errors import ConfigError, DataError

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")
UNKNOWN = -1
"""Label of an image whose class is not known."""

_SUFFIXES = "jpg, jpeg, png, gif, bmp, webp, tif, tiff"
_IMAGE = re.compile(rf"\.({_SUFFIXES.replace(', ', '|')})$", re.IGNORECASE)
_NUMBERED = re.compile(r"\d+")
_LABELLED = re.compile(r"(.+)\.(\d+)")
_SYNSET = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
_SYNSET_OF_CLASS = re.compile(r"\b(n\d{8})\b")
# "train", "Test1", "test_stg1", "training images", but not a class named "trainers" or "testudo".
_PART = re.compile(r"(train|test)(ing)?(images?|set|data|[^a-z].*)?", re.IGNORECASE)
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
_NOT_LISTED = (".csv", ".zip")


class Labelled(NamedTuple):
    """What a reader found out about one image.

    Attributes
    ----------
    part : "train" or "test"
    label : int
        Row of the class in `Labels.classes`; -1 if the class is not known.
    key : tuple of int and str
        Sorts the images of one part and class, 2 before 10.
    id : str
        As the sample submission spells it.
    """

    part: Part
    label: int
    key: tuple[int | str, ...]
    id: str


@dataclass(frozen=True)
class Labels:
    """The result of a reader.

    Attributes
    ----------
    classes : tuple of str
        Names of the classes: those that were given, or all that were found, sorted.
    images : list of Labelled or None
        One for each file name; None for a file that is not an image.
    """

    classes: tuple[str, ...]
    images: list[Labelled | None]


@dataclass(frozen=True)
class Known:
    """What is known about the images besides their file names.

    Attributes
    ----------
    classes : tuple of str
        Names of the classes in the order of their labels; empty to take all that are found.
    ids : collection of str
        Ids of the sample submission, which decide how a test image's id is spelled; empty if there
        is no sample.
    table : mapping of str to str
        For `csv`: the label of each training image by its id, as `read_table` returns it.
    part : "train" or "test"
        For `synset`: the part that all images belong to, which their names do not tell.
    """

    classes: Sequence[str] = ()
    ids: Collection[str] = ()
    table: Mapping[str, str] = field(default_factory=dict)
    part: Part = "train"


Reader = Callable[[Sequence[str], Known], Labels]
_REGISTRY: dict[str, Reader] = {}


def register(name: str) -> Callable[[Reader], Reader]:
    """Register a function as the label reader of this name."""

    def registered(read: Reader) -> Reader:
        _REGISTRY[name] = read
        return read

    return registered


def registry() -> dict[str, Reader]:
    """Return all label readers by name, in alphabetical order."""
    return dict(sorted(_REGISTRY.items()))


def reader(name: str) -> Reader:
    """Return the label reader of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in _REGISTRY:
        near = difflib.get_close_matches(name, _REGISTRY, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(registry())}"
        raise ConfigError(f"no label reader '{name}'; {hint}")
    return _REGISTRY[name]


@register("name")
def by_name(names: Sequence[str], known: Known) -> Labels:
    """Read ``train/<class>.<number>.jpg`` and ``test/<number>.jpg``.

    Parameters
    ----------
    names : sequence of str
        File names with their folders.
    known : Known
        `classes` and `ids` are used.

    Raises
    ------
    DataError
        If an image has another form of name, or an unknown class.

    >>> by_name(["train/dog.12.jpg", "test1/7.jpg"], Known(classes=["cat", "dog"])).images[0]
    Labelled(part='train', label=1, key=(12, 'dog.12'), id='dog.12')
    """

    ids = frozenset(known.ids)

    def read(name: str) -> _Found:
        path = PurePosixPath(name)
        folder, stem = path.parent.name.lower(), path.stem
        if folder.startswith("test"):
            if not (is_image(name) and _NUMBERED.fullmatch(stem)):
                raise DataError(
                    f"{name}: is not a test image's name. Allowed: {folder}/<number>.jpg"
                )
            number = int(stem)
            return _Found("test", None, (number,), _spelled(path, ids, str(number)))
        match = _LABELLED.fullmatch(stem)
        if not (folder.startswith("train") and is_image(name) and match):
            raise DataError(
                f"{name}: is not an image's name. Allowed: train/<class>.<number>.jpg, "
                "test/<number>.jpg"
            )
        id = f"{match[1]}.{int(match[2])}"
        return _Found("train", match[1], (int(match[2]), id), id)

    return _labels(names, read, known)


@register("folder")
def by_folder(names: Sequence[str], known: Known) -> Labels:
    """Read ``train/<class>/<file>`` or ``<class>/<file>``, and test images of any file name.

    A file name that occurs in several classes does not identify an image; the ids of the training
    images then begin with the class.

    Parameters
    ----------
    names : sequence of str
        File names with their folders.
    known : Known
        `classes` and `ids` are used.

    Raises
    ------
    DataError
        If an image is in no folder, or in one of an unknown class.

    >>> by_folder(["train/one/IMG_2.JPG", "test/IMG_1.JPG"], Known(ids=["IMG_1.JPG"])).images
    [Labelled(part='train', label=0, key=('IMG_', 2, '.JPG'), id='IMG_2.JPG'), \
Labelled(part='test', label=-1, key=('IMG_', 1, '.JPG'), id='IMG_1.JPG')]
    """
    ids = frozenset(known.ids)
    # Training images are not in the sample: spell their ids like those of the test images.
    with_suffix = any(is_image(id) for id in ids)

    def read(name: str) -> _Found | None:
        path = PurePosixPath(name)
        if not _is_image_of_folder(path):
            return None
        part, depth = _part(path)
        if part == "test":
            id = _spelled(path, ids, path.stem)
            return _Found("test", None, natural_key(id), id)
        if depth == len(path.parts) - 2:  # directly in the folder of the part
            raise DataError(
                f"{name}: is not in the folder of a class. Allowed: train/<class>/<file>"
            )
        id = path.name if with_suffix else path.stem
        return _Found("train", path.parent.name, natural_key(id), id)

    found = [None if _is_skipped(name) else read(name) for name in names]
    training = [each.id for each in found if each is not None and each.part == "train"]
    if len(set(training)) < len(training):
        found = [
            each._replace(id=f"{each.class_name}/{each.id}")
            if each is not None and each.part == "train"
            else each
            for each in found
        ]
    return _numbered(names, found, known.classes)


@register("csv")
def by_csv(names: Sequence[str], known: Known) -> Labels:
    """Look up the label of each training image in a table.

    Images in a test folder are the test images. In a folder that is neither, those of the table are
    training images and those of the sample submission test images.

    Parameters
    ----------
    names : sequence of str
        File names with their folders.
    known : Known
        `classes`, `ids` and `table` are used.

    Raises
    ------
    DataError
        If an image has no label, a label has no image, or a class is unknown.

    >>> by_csv(["train/007.png", "test/007.png"], Known(table={"007": "cat"})).images
    [Labelled(part='train', label=0, key=('', 7, ''), id='007'), \
Labelled(part='test', label=-1, key=('', 7, ''), id='007')]
    """
    ids, rest = frozenset(known.ids), dict.fromkeys(known.table)

    def read(name: str) -> _Found | None:
        path = PurePosixPath(name)
        if not _is_image_of_folder(path):
            return None
        part, _ = _part(path)
        row = next((id for id in (path.name, path.stem) if id in known.table), None)
        if part != "test" and row is not None:
            rest.pop(row, None)
            return _Found("train", known.table[row], natural_key(row), row)
        if part == "train" or (part is None and not {path.name, path.stem} & ids):
            raise DataError(f"{name}: the table of labels has no row {path.name} or {path.stem}")
        id = _spelled(path, ids, path.stem)
        return _Found("test", None, natural_key(id), id)

    labels = _labels(names, read, known)
    if rest:
        more = f", nor of {len(rest) - 1} others" if len(rest) > 1 else ""
        raise DataError(
            f"the table of labels has a row {next(iter(rest))}, but no image of it{more}"
        )
    return labels


@register("synset")
def by_synset(names: Sequence[str], known: Known) -> Labels:
    """Read the WordNet synset in a file's or folder's name, as ImageNet has it.

    Parameters
    ----------
    names : sequence of str
        File names with their folders.
    known : Known
        `classes` and `part` are used. Each class has its synset in its name: ``tench (n01440764)``.

    Raises
    ------
    DataError
        If an image has no synset, or that of no class.

    >>> by_synset(["val/n01440764/ILSVRC2012_val_00000293.JPEG"], Known(part="test")).images
    [Labelled(part='test', label=0, key=('ILSVRC2012_val_00000293',), id='ILSVRC2012_val_00000293')]
    """
    classes = {synset(name): name for name in known.classes}

    def read(name: str) -> _Found:
        match = _SYNSET.search(name)
        if match is None or not is_image(name):
            raise DataError(f"{name}: is not an image's name. Allowed: <synset>_<name>.JPEG")
        if classes and match[1] not in classes:
            raise DataError(f"{name}: synset {match[1]} is not one of the {len(classes)} classes")
        stem = PurePosixPath(name).stem
        return _Found(known.part, classes.get(match[1], match[1]), (stem,), stem)

    return _labels(names, read, known)


def synset(class_name: str) -> str:
    """Return the synset in the name of a class.

    Raises
    ------
    ConfigError
        If there is none.

    >>> synset("tench (n01440764)")
    'n01440764'
    """
    match = _SYNSET_OF_CLASS.search(class_name)
    if match is None:
        raise ConfigError(f"class '{class_name}' has no synset in its name, such as n01440764")
    return match[1]


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
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: is not a CSV file: {error}") from None
    return labels


def natural_key(text: str) -> tuple[int | str, ...]:
    """Return a key that sorts numbers in a text by value.

    >>> sorted(["img10", "img9"], key=natural_key)
    ['img9', 'img10']
    """
    # Text and numbers alternate, so that two keys never compare a number with a text.
    return tuple(int(p) if i % 2 else p for i, p in enumerate(re.split(r"([0-9]+)", text)))


def is_image(name: str) -> bool:
    """Whether a file has the suffix of an image."""
    return _IMAGE.search(name) is not None


def without_suffix(name: str) -> str:
    """Return an image's name without its suffix, and any other text as it is.

    >>> without_suffix("IMG_1.JPG"), without_suffix("0001_01"), without_suffix("1.5")
    ('IMG_1', '0001_01', '1.5')
    """
    return _IMAGE.sub("", name)


def is_junk(name: str) -> bool:
    """Whether an operating system made a file for itself, such as ``__MACOSX/._cat.jpg``."""
    lower = [part.lower() for part in PurePosixPath(name).parts]
    return lower[-1].startswith(".") or bool(_JUNK & set(lower))


class _Found(NamedTuple):
    part: Part
    class_name: str | None
    key: tuple[int | str, ...]
    id: str


def _labels(names: Sequence[str], read: Callable[[str], _Found | None], known: Known) -> Labels:
    return _numbered(
        names, [None if _is_skipped(name) else read(name) for name in names], known.classes
    )


def _numbered(names: Sequence[str], found: Sequence[_Found | None], given: Sequence[str]) -> Labels:
    """Replace the names of classes by their numbers."""
    classes = tuple(given) or _classes(found)
    rows = {name: row for row, name in enumerate(classes)}
    images: list[Labelled | None] = []
    for name, each in zip(names, found, strict=True):
        if each is None:
            images.append(None)
            continue
        if each.class_name is not None and each.class_name not in rows:
            raise DataError(
                f"{name}: unknown class '{each.class_name}'. Allowed: {', '.join(classes)}"
            )
        label = UNKNOWN if each.class_name is None else rows[each.class_name]
        images.append(Labelled(each.part, label, each.key, each.id))
    return Labels(classes, images)


def _classes(found: Iterable[_Found | None]) -> tuple[str, ...]:
    return tuple(
        sorted({each.class_name for each in found if each and each.class_name is not None})
    )


def _is_skipped(name: str) -> bool:
    """Whether a file is a folder, a table, a nested archive or junk."""
    return name.lower().endswith(("/", *_NOT_LISTED)) or is_junk(name)


def _is_image_of_folder(path: PurePosixPath) -> bool:
    """Whether a file is an image; one of another kind may only lie beside the folders.

    Raises
    ------
    DataError
        If another file is among the images, such as one of a format that Pillow does not read.
    """
    if is_image(path.name):
        return True
    if len(path.parts) > 1:
        raise DataError(f"{path}: is not an image's name. Allowed suffixes: {_SUFFIXES}")
    return False


def _part(path: PurePosixPath) -> tuple[Part | None, int]:
    """Return the part that the first such folder of a path names, and the folder's depth."""
    for depth, folder in enumerate(path.parts[:-1]):
        if match := _PART.fullmatch(folder):
            return ("train" if match[1].lower() == "train" else "test"), depth
    return None, -1


def _spelled(path: PurePosixPath, ids: frozenset[str], otherwise: str) -> str:
    """Return a test image's id as the sample submission spells it: with or without the suffix."""
    return next((id for id in (path.name, path.stem) if id in ids), otherwise)
