"""Label readers: the part, class and id of every image, from file names or a table.

A reader is a function `read(names, known)`, registered under the name that a competition's settings
use, in a file of this folder. It sees all file names at once, and returns what each means:

- `name`: the label is in the file's name, ``train/cat.0.jpg``, and the test images are numbered;
- `folder`: the label is the name of the folder, ``train/cat/IMG_0001.JPG``;
- `csv`: a table has the label of each training image, by its file name with or without suffix;
- `synset`: a WordNet synset is in the file's or folder's name, ``n01440764/n01440764_10026.JPEG``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from ripen.core.errors import DataError
from ripen.core.registry import Registry

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")
UNKNOWN = -1
"""Label of an image whose class is not known."""

MOST = 0.9
"""Share of the ids that must name images, for the way of spelling them to be the right one."""

_SUFFIXES = "jpg, jpeg, png, gif, bmp, webp, tif, tiff, ppm, pgm, jp2"
_IMAGE = re.compile(rf"\.({_SUFFIXES.replace(', ', '|')})$", re.IGNORECASE)
# "train", "Test1", "test_stg1", "training images", "Final_Test", but not a class named "trainers"
# or "testudo".
_PART = re.compile(r"(?:.*[_ -])?(train|test)(ing)?(images?|set|data|[^a-z].*)?", re.IGNORECASE)
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
_NOT_LISTED = (
    ".csv", ".tsv", ".zip", ".json", ".jsonl", ".tfrec", ".tfrecord", ".tfrecords", ".parquet",
    ".feather", ".npy", ".npz", ".pkl", ".h5", ".hdf5", ".xml", ".xlsx", ".py", ".ipynb", ".rtf",
)  # fmt: skip
# Not those of a class, "with_mask/with_mask_1.png".
_MASK = re.compile(r"(^|/)((train|test)[_-])?masks/|_mask\.\w+$", re.IGNORECASE)
_OF_OBJECT = re.compile(r"(.+)[_ -][^_ -]+")
_TEXTS = re.compile(
    r"(readme|licen[cs]e|about|notes?|info)[^/]*\.(txt|md|html|pdf)$", re.IGNORECASE
)


class Labelled(NamedTuple):
    """What a reader finds for one image.

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
        Names of the classes: the given ones, or all found, sorted.
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
        Names of the classes in the order of their labels; empty to use all found.
    ids : collection of str
        Ids of the sample submission, which decide how a test image's id is spelled; empty if there
        is no sample.
    table : mapping of str to str
        For `csv`: the label of each training image by its id; blank for one to be left out.
    part : "train" or "test"
        For `synset`: the part that all images belong to, which their names do not show.
    """

    classes: Sequence[str] = ()
    ids: Collection[str] = ()
    table: Mapping[str, str] = field(default_factory=dict)
    part: Part = "train"


Reader = Callable[[Sequence[str], Known], Labels]
LABELS: Registry[Reader] = Registry("label reader", "ripen.data.labels")


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
    """Whether a file is an operating system's own, such as ``__MACOSX/._cat.jpg``."""
    lower = [part.lower() for part in PurePosixPath(name).parts]
    return lower[-1].startswith(".") or bool(_JUNK & set(lower))


def is_mask(name: str) -> bool:
    """Whether an image shows a part of another one: ``masks/1.png``, ``1_mask.png``."""
    return _MASK.search(name) is not None


class Found(NamedTuple):
    """What a file name means; `class_name` is None where the class is not known."""

    part: Part
    class_name: str | None
    key: tuple[int | str, ...]
    id: str


def labelled(names: Sequence[str], read: Callable[[str], Found | None], known: Known) -> Labels:
    """Return what `read` finds in each name. Tables, nested archives and junk are not read."""
    return numbered(
        names, [None if is_skipped(name) else read(name) for name in names], known.classes
    )


def numbered(names: Sequence[str], found: Sequence[Found | None], given: Sequence[str]) -> Labels:
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


def _classes(found: Iterable[Found | None]) -> tuple[str, ...]:
    return tuple(
        sorted({each.class_name for each in found if each and each.class_name is not None})
    )


def is_skipped(name: str) -> bool:
    """Whether a file is a folder, a nested archive, junk, a mask, or data beside images."""
    listed = not name.lower().endswith(("/", *_NOT_LISTED))
    text = _TEXTS.search(name) is not None
    return not listed or text or is_junk(name) or is_mask(name)


def is_image_of_folder(path: PurePosixPath) -> bool:
    """Whether a file is an image; other files may only lie beside the folders.

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


def part_of(path: PurePosixPath) -> tuple[Part | None, int]:
    """Return the part that the first such folder of a path names, and the folder's depth."""
    for depth, folder in enumerate(path.parts[:-1]):
        if match := _PART.fullmatch(folder):
            return ("train" if match[1].lower() == "train" else "test"), depth
    return None, -1


def in_archive(name: str, archive: str) -> str:
    """Return the name of a nested archive's file, in a folder of its own if it is in none there.

    >>> in_archive("1.jpg", "train.zip"), in_archive("train/1.jpg", "all.zip")
    ('train/1.jpg', 'train/1.jpg')
    """
    return name if "/" in name else f"{PurePosixPath(archive).stem}/{name}"


def spellings(path: PurePosixPath) -> list[str]:
    """Return how a table may name an image: with or without its suffix, and with its folders.

    A number may have lost the noughts before it.

    >>> spellings(PurePosixPath("test/1.jpg"))
    ['1.jpg', '1', 'test/1.jpg', 'test/1']
    >>> spellings(PurePosixPath("007.jpg"))
    ['007.jpg', '007', '7']
    """
    tails = [PurePosixPath(*path.parts[start:]) for start in range(len(path.parts))][::-1]
    number = [path.stem.lstrip("0") or "0"] if path.stem.isdecimal() and path.stem[0] == "0" else []
    names = [str(each) for tail in tails for each in (tail, tail.with_suffix(""))]
    return [*names, *(each for each in number if each not in names)]


def identified(names: Iterable[str], ids: Iterable[str]) -> dict[str, str]:
    """Return the id of each image that has one, by the file's name.

    An id may have another suffix than the file or none, backslashes, and folders before those of
    the archive: ``/kaggle/input/x/train/1.jpg``. Where ids name no images so, each may be that of
    an object with several images, which begin with it or are in a folder of its name.

    >>> identified(["train/1.JPG", "train/2.JPG"], ["C:\\\\data\\\\1.jpg"])
    {'train/1.JPG': 'C:\\\\data\\\\1.jpg'}
    >>> identified(["train/7_front.png", "train/7_back.png"], ["7"])
    {'train/7_front.png': '7', 'train/7_back.png': '7'}
    """
    wanted = list(dict.fromkeys(ids))
    whole, of_objects = _spelled(tuple(names))
    best: dict[str, str] = {}
    for spelled in _without_folders(wanted):
        found = _looked_up(whole, spelled)
        rest = {without_suffix(key): id for key, id in spelled.items()}
        others = _looked_up({name: whole[name] for name in whole if name not in found}, rest)
        used = set(found.values())
        found |= {name: id for name, id in others.items() if id not in used}
        best = max(best, found, key=lambda each: len(set(each.values())))
        if len(set(best.values())) >= MOST * len(wanted):
            return best
    objects = {without_suffix(_plain(id)): id for id in wanted}
    found = _looked_up(of_objects, objects)
    shown = Counter(found.values())
    if len(shown) >= MOST * len(wanted) and has_several(found.values()):
        return found
    return best


@lru_cache(maxsize=4)  # a table's columns are tried with the same images
def _spelled(names: tuple[str, ...]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return how a table may name each image, and how the object that it shows."""
    paths = {name: PurePosixPath(_plain(name)) for name in names if not is_skipped(name)}
    whole = {name: spellings(path) for name, path in paths.items()}
    return whole, {name: _of_object(path) for name, path in paths.items()}


def has_several(ids: Iterable[str]) -> bool:
    """Whether most of these ids, of one image each, are there more than once."""
    count = Counter(ids)
    return 2 * sum(n > 1 for n in count.values()) > len(count)


def _plain(text: str) -> str:
    """Return a path with slashes, its letters composed: file systems may store accents apart."""
    return unicodedata.normalize("NFC", text).replace("\\", "/")


def _without_folders(ids: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the ids by their names: as they are, then with one leading folder less each time."""
    named = {_plain(id): id for id in ids}
    while len(named) == len(ids) > 0:
        yield named
        if not all("/" in name for name in named):
            return
        named = {name.partition("/")[2]: id for name, id in named.items()}


def _of_object(path: PurePosixPath) -> list[str]:
    """Return the objects that an image may show: what its name begins with, and its folder."""
    match = _OF_OBJECT.fullmatch(path.stem)
    return [*([match[1]] if match else []), path.parent.name]


def _looked_up(spelled: Mapping[str, Sequence[str]], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the id of each name that has a spelling among the ids; the first one counts."""
    found = {name: next((s for s in each if s in ids), None) for name, each in spelled.items()}
    return {name: ids[key] for name, key in found.items() if key is not None}
