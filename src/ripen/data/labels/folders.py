"""The label as the name of the folder."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from ripen.core.errors import DataError
from ripen.data.labels import (
    LABELS,
    Found,
    Known,
    Labels,
    identified,
    is_image,
    is_image_of_folder,
    is_skipped,
    natural_key,
    numbered,
    part_of,
)


@LABELS.register("folder")
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
    asked = identified(names, known.ids)
    # The sample has no training images: spell their ids like those of the test images.
    with_suffix = any(is_image(id) for id in known.ids)

    def read(name: str) -> Found | None:
        path = PurePosixPath(name)
        if not is_image_of_folder(path):
            return None
        part, depth = part_of(path)
        if part == "test":
            id = asked.get(name, path.stem)
            return Found("test", None, natural_key(id), id)
        if depth == len(path.parts) - 2:  # directly in the folder of the part
            raise DataError(
                f"{name}: is not in the folder of a class. Allowed: train/<class>/<file>"
            )
        id = path.name if with_suffix else path.stem
        return Found("train", path.parent.name, natural_key(id), id)

    found = [None if is_skipped(name) else read(name) for name in names]
    training = [each.id for each in found if each is not None and each.part == "train"]
    if len(set(training)) < len(training):
        found = [
            each._replace(id=f"{each.class_name}/{each.id}")
            if each is not None and each.part == "train"
            else each
            for each in found
        ]
    return numbered(names, found, known.classes)
