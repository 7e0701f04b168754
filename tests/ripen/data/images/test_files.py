"""Pictures in archives, and in archives in these, from there to the index."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.images.files import opened, within
from ripen.data.images.index import build, survey
from ripen.data.images.names import parse
from tests.ripen.photographs import zipped

KAGGLE = partial(parse, classes=["cat", "dog"])


@pytest.fixture
def files(photo: Callable[..., Image.Image], encode: Callable[..., bytes]) -> dict[str, bytes]:
    names = ["train/cat.0.jpg", "train/dog.0.jpg", "train/cat.1.jpg", "test1/10.jpg", "test1/2.jpg"]
    return {name: encode(photo(i)) for i, name in enumerate(names)}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("threads", [1, 2])
def test_nested_archives(
    files: dict[str, bytes], tmp_path: Path, method: int, threads: int
) -> None:
    train = {name: content for name, content in files.items() if name.startswith("train")}
    test = {name: content for name, content in files.items() if name.startswith("test")}
    outer = {
        "train.zip": zipped(train),
        "test1.zip": zipped(test),
        "sampleSubmission.csv": b"id,label",
    }
    (tmp_path / "dogs-vs-cats.zip").write_bytes(zipped(outer, method))
    with opened(tmp_path) as archives:
        assert list(archives) == [
            "dogs-vs-cats.zip",
            "dogs-vs-cats.zip/test1.zip",
            "dogs-vs-cats.zip/train.zip",
        ]
        index, _ = build(survey(archives, KAGGLE, 20, threads))
        assert index["id"].tolist() == ["cat.0", "cat.1", "dog.0", "2", "10"]
        assert index["problem"].tolist() == [""] * 5
        for row in index.itertuples():
            assert archives[str(row.archive)].read(str(row.name)) == files[str(row.name)]


def test_a_damaged_member_is_a_picture_with_a_problem(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(zipped(files))
    content[content.index(files["train/dog.0.jpg"]) + 99] ^= 255
    (tmp_path / "all.zip").write_bytes(content)
    with opened(tmp_path) as archives:
        assert [file.name for file in within(archives["all.zip"])] == list(files)
        index, _ = build(survey(archives, KAGGLE, 20, 2))
    (bad,) = index[index["problem"] != ""].itertuples()
    assert bad.name == "train/dog.0.jpg"
    assert "'train/dog.0.jpg' is damaged" in str(bad.problem)


def test_a_name_that_no_picture_has(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(files | {"train/bird.0.jpg": b""}))
    with (
        opened(tmp_path) as archives,
        pytest.raises(DataError, match=r"^train/bird\.0\.jpg: unknown class 'bird'"),
    ):
        build(survey(archives, KAGGLE, 20, 1))


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no archive, \*\.zip$"), opened(tmp_path):
        pass
