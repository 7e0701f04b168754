"""The index: its order, its file, and what it is checked for."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.images import index as indexes
from ripen.data.images.index import Found, build, check_broken, check_classes, check_ids
from ripen.data.images.names import parse
from ripen.data.images.scan import look

CLASSES = ["cat", "dog"]


def _found(files: dict[str, bytes]) -> list[Found]:
    found = []
    for name, content in files.items():
        named = parse(name, CLASSES)
        assert named is not None
        found.append(Found("a.zip", named, look(name, content, 20)))
    return found


@pytest.fixture
def index(photo: Callable[..., Image.Image], encode: Callable[..., bytes]) -> pd.DataFrame:
    files = {
        "test1/10.jpg": encode(photo(1)),
        "test1/2.jpg": b"no picture",
        "train/dog.0.jpg": encode(photo(2).convert("L")),
        "train/cat.10.jpg": encode(photo(3)),
        "train/cat.9.jpg": encode(photo(1), quality=30),
        "train/cat.11.jpg": b"no picture",
    }
    return build(_found(files))[0]


def test_order_and_values(index: pd.DataFrame) -> None:
    assert index.id.tolist() == ["cat.9", "cat.10", "cat.11", "dog.0", "2", "10"]
    assert index.part.tolist() == ["train"] * 4 + ["test"] * 2
    assert index.label.tolist() == [0, 0, 0, 1, -1, -1]
    # test1/10.jpg is train/cat.9.jpg, less compressed; the two broken files are one.
    assert index.group.tolist() == [0, 1, 2, 3, 2, 0]
    assert index.problem.tolist() == [
        "",
        "",
        *["is no picture that Pillow knows"],
        "",
        *(["is no picture that Pillow knows"]),
        "",
    ]
    assert index.notes.tolist() == ["", "", "", "greyscale", "", ""]
    assert index.width.tolist() == [160, 160, 0, 160, 0, 160]


def test_it_comes_back_as_it_was_written(index: pd.DataFrame, tmp_path: Path) -> None:
    indexes.write(tmp_path / "index.csv", index)
    pd.testing.assert_frame_equal(indexes.read(tmp_path / "index.csv"), index)
    again = indexes.read(tmp_path / "index.csv")
    indexes.write(tmp_path / "again.csv", again)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "index.csv").read_bytes()


def test_the_same_id_twice(photo: Callable[..., Image.Image], encode: Callable[..., bytes]) -> None:
    files = {name: encode(photo(1)) for name in ("test1/1.jpg", "test/01.jpg", "test/2.jpg")}
    with pytest.raises(DataError, match=r"^test/01\.jpg and test1/1\.jpg have the same id 1$"):
        build(_found(files))


def test_broken_pictures_up_to_a_limit(index: pd.DataFrame) -> None:
    check_broken(index, 0.25)
    message = (
        r"^1 of 4 labelled pictures are broken, more than max_broken 0\.2 allows\. The first: "
        r"train/cat\.11\.jpg: is no picture that Pillow knows$"
    )
    with pytest.raises(DataError, match=message):
        check_broken(index, 0.2)
    with pytest.raises(DataError, match="there is no picture whose class is known"):
        check_broken(index[index.part == "test"], 0.2)


def test_an_empty_class(index: pd.DataFrame) -> None:
    check_classes(index, CLASSES)
    with pytest.raises(DataError, match=r"^class 'bird' has 0 whole training pictures\."):
        check_classes(index, [*CLASSES, "bird"])
    with pytest.raises(DataError, match=r"^class 'dog' has 1 .* Needed: at least 2$"):
        check_classes(index, CLASSES, at_least=2)


def test_ids_of_the_sample(index: pd.DataFrame) -> None:
    check_ids(index, ["10", "2"], "sampleSubmission.csv")
    message = r"^sampleSubmission\.csv names test id 3, and there is no test picture 3\.jpg, n"
    with pytest.raises(DataError, match=message):
        check_ids(index, ["2", "10", "11", "3"], "sampleSubmission.csv")
    with pytest.raises(DataError, match=r"^test1/10\.jpg: s\.csv does not name test id 10$"):
        check_ids(index, ["2"], "s.csv")
