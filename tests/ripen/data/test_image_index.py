"""The index: its order, its file and its checks."""

from collections.abc import Callable

import pandas as pd
import pytest
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.image_index import Found, build, check_broken, check_ids
from ripen.data.labels import LABELS, Known
from ripen.data.scan import scan_image

CLASSES = ["cat", "dog"]
MakeImage = Callable[..., Image.Image]
Encode = Callable[..., bytes]


def _found(files: dict[str, bytes]) -> list[Found]:
    labels = LABELS["name"](list(files), Known(classes=CLASSES)).images
    found = []
    for (name, content), labelled in zip(files.items(), labels, strict=True):
        assert labelled is not None
        found.append(Found("a.zip", labelled, scan_image(name, content, 20)))
    return found


@pytest.fixture
def index(make_image: MakeImage, encode: Encode) -> pd.DataFrame:
    files = {
        "test1/10.jpg": encode(make_image(1)),
        "test1/2.jpg": b"not an image",
        "train/dog.0.jpg": encode(make_image(2).convert("L")),
        "train/cat.10.jpg": encode(make_image(3)),
        "train/cat.9.jpg": encode(make_image(1), quality=30),
        "train/cat.11.jpg": b"not an image",
    }
    return build(_found(files))[0]


def test_order_and_values(index: pd.DataFrame) -> None:
    assert index.id.tolist() == ["cat.9", "cat.10", "cat.11", "dog.0", "2", "10"]
    assert index.part.tolist() == ["train"] * 4 + ["test"] * 2
    assert index.label.tolist() == [0, 0, 0, 1, -1, -1]
    # test1/10.jpg is train/cat.9.jpg with less compression; the two broken files are equal.
    assert index.group.tolist() == [0, 1, 2, 3, 2, 0]
    assert index.problem.tolist() == [
        "",
        "",
        "is not an image that Pillow can read",
        "",
        "is not an image that Pillow can read",
        "",
    ]
    assert index.notes.tolist() == ["", "", "", "greyscale", "", ""]
    assert index.width.tolist() == [160, 160, 0, 160, 0, 160]


def test_duplicate_ids_are_refused(make_image: MakeImage, encode: Encode) -> None:
    files = {name: encode(make_image(1)) for name in ("test1/1.jpg", "test/01.jpg", "test/2.jpg")}
    with pytest.raises(DataError, match=r"^test/01\.jpg and test1/1\.jpg have the same id 1$"):
        build(_found(files))


def test_a_few_broken_images_are_allowed(index: pd.DataFrame) -> None:
    check_broken(index, 0.25)
    message = (
        r"^1 of 4 labelled images have a problem, more than max_broken 0\.2 allows\. The first: "
        r"train/cat\.11\.jpg: is not an image that Pillow can read$"
    )
    with pytest.raises(DataError, match=message):
        check_broken(index, 0.2)
    with pytest.raises(DataError, match="no labelled image found"):
        check_broken(index[index.part == "test"], 0.2)


def test_test_ids_must_be_the_samples(index: pd.DataFrame) -> None:
    check_ids(index, ["10", "2"], "sampleSubmission.csv")
    message = r"^sampleSubmission\.csv has test id 3, but there is no test image 3, nor 1"
    with pytest.raises(DataError, match=message):
        check_ids(index, ["2", "10", "11", "3"], "sampleSubmission.csv")
    with pytest.raises(DataError, match=r"^test1/10\.jpg: s\.csv has no test id 10$"):
        check_ids(index, ["2"], "s.csv")
