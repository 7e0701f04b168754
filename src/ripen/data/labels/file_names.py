"""The label in a file's name: its class and number, or its WordNet synset."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ripen.core.errors import ConfigError, DataError
from ripen.data.labels import (
    LABELS,
    Found,
    Known,
    Labels,
    identified,
    is_image,
    labelled,
    natural_key,
)

_NUMBERED = re.compile(r"\d+")
_LABELLED = re.compile(r"(.+?)([._ -])\(?(\d+)\)?")
_SYNSET = re.compile(r"(?:^|/)(n\d{8})(?=[_/])")
_SYNSET_OF_CLASS = re.compile(r"\b(n\d{8})\b")


@LABELS.register("name")
def by_name(names: Sequence[str], known: Known) -> Labels:
    """Read ``train/<class>.<number>.jpg``, and ``test/<number>.jpg`` or the sample's ids.

    The number may follow a line, a dash or a blank too: ``cat_1``, ``cat (1)``.

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

    asked = identified(names, known.ids)

    def read(name: str) -> Found:
        path = PurePosixPath(name)
        folder, stem = path.parent.name.lower(), path.stem
        if folder.startswith("test"):
            numbered = _NUMBERED.fullmatch(stem) is not None
            id = asked.get(name, str(int(stem)) if numbered else "")
            if not (is_image(name) and id):
                raise DataError(
                    f"{name}: is not a test image's name. Allowed: {folder}/<number>.jpg"
                )
            return Found("test", None, (int(stem),) if numbered else natural_key(id), id)
        match = _LABELLED.fullmatch(stem)
        if not (folder.startswith("train") and is_image(name) and match):
            raise DataError(
                f"{name}: is not an image's name. Allowed: train/<class>.<number>.jpg, "
                "test/<number>.jpg"
            )
        number = int(match[3])
        id = f"{match[1]}.{number}" if match[2] == "." else stem
        return Found("train", match[1], (number, id), id)

    return labelled(names, read, known)


@LABELS.register("synset")
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

    def read(name: str) -> Found:
        match = _SYNSET.search(name)
        if match is None or not is_image(name):
            raise DataError(f"{name}: is not an image's name. Allowed: <synset>_<name>.JPEG")
        if classes and match[1] not in classes:
            raise DataError(f"{name}: synset {match[1]} is not one of the {len(classes)} classes")
        stem = PurePosixPath(name).stem
        return Found(known.part, classes.get(match[1], match[1]), (stem,), stem)

    return labelled(names, read, known)


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
