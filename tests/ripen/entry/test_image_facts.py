"""How images are labelled: by folders, by tables with and without suffix, by names."""

import pandas as pd
import pytest

from ripen.core.errors import DataError
from ripen.entry.files import Files, Table
from ripen.entry.image_facts import Labels, beside, check_ids, check_read, labels_of, read_by


def table(name: str, **columns: list[str]) -> Table:
    return Table(name, pd.DataFrame(columns))


def files(images: list[str], *tables: Table) -> Files:
    return Files("x.zip", {each.name: each for each in tables}, images)


CSV = {"read": "csv"}
CASES = {
    "folders, flat test": (
        ["train/a/1.jpg", "train/b/2.jpg", "test/3.jpg"], [], ["3.jpg"], {"read": "folder"},
    ),
    "a word before the part": (
        ["Final_Training/a/1.ppm", "Final_Training/b/1.ppm", "Final_Test/Images/1.ppm"],
        [], ["1.ppm"], {"read": "folder"},
    ),
    "folders without train": (
        ["x/a/1.jpg", "x/b/2.jpg", "x/test/3.jpg"], [], ["3"], {"read": "folder"},
    ),
    "numbers without their noughts": (
        ["train/007.png", "train/008.png", "test/009.png"],
        [table("train.csv", id=["7", "8"], label=["a", "b"])], ["9"], CSV,
    ),
    "names beside the numbers of rows": (
        ["train/007.png", "train/008.png", "test/009.png"],
        [table("train.csv", row=["8", "7"], id=["007", "008"], label=["a", "b"])], ["009"], CSV,
    ),
    "a table without suffix": (
        ["train/01.png", "train/02.png", "test/01.png"],
        [table("train.csv", id=["01", "02"], label=["a", "b"])], ["01"], CSV,
    ),
    "a table with suffix, other names": (
        ["images/x1.png", "images/x2.png", "images/y1.png"],
        [table("labels.csv", file=["x1.png", "x2.png"], breed=["a", "b"])], ["y1"],
        CSV | {"id": "file", "label": "breed"},
    ),
    "folders that repeat the names": (
        ["train/a/1.jpg", "train/b/1.jpg", "test/3.jpg"], [], ["3"], {"read": "folder"},
    ),
    "folders that are named like classes": (
        ["train/b/1.jpg", "train/a/2.jpg", "test/3.jpg"],
        [table("train.csv", id=["1", "2"], label=["a", "b"])], ["3"], CSV,
    ),
    "a table that repeats the folders": (
        ["train/a/1.jpg", "train/b/2.jpg", "test/3.jpg"],
        [table("train.csv", id=["1", "2"], label=["a", "b"])], ["3"], {"read": "folder"},
    ),
    "a table of paths": (
        ["x/train/1.jpg", "x/train/2.jpg", "x/test/3.jpg"],
        [table("train.csv", id=["train/1.jpg", "train/2.jpg"], label=["a", "b"])], ["test/3.jpg"],
        CSV,
    ),
    "paths of another machine": (
        ["x/train/1.jpg", "x/train/2.jpg", "x/test/3.jpg"],
        [table("train.csv", id=["C:\\y\\1.jpg", "C:\\y\\2.jpg"], label=["a", "b"])],
        ["/kaggle/input/y/3.jpg"], CSV,
    ),
    "other suffixes": (
        ["train/1.JPG", "train/2.JPG", "test/3.jpeg"],
        [table("train.csv", id=["1.jpg", "2.jpg"], label=["a", "b"])], ["3.jpg"], CSV,
    ),
    "accents apart": (
        ["train/u\u0308 1.jpg", "train/u\u0308 2.jpg", "test/u\u0308 3.jpg"],
        [table("train.csv", id=["\u00fc 1", "\u00fc 2"], label=["a", "b"])], ["\u00fc 3"], CSV,
    ),
    "a table for each class": (
        ["train/a/1.jpg", "train/b/1.jpg", "test/3.jpg"],
        [table("a.csv", id=["1"], label=["0"]), table("b.csv", id=["1"], label=["1"])], ["3"],
        {"read": "folder"},
    ),
    "names with a line": (
        ["train/cat_01.jpg", "train/dog_01.jpg", "test/t1.jpg"], [], ["t1"], {"read": "name"},
    ),
    "names": (
        ["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg"], [], ["1"], {"read": "name"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_form_of_labels(name: str) -> None:
    images, tables, ids, settings = CASES[name]
    sample = table("sample_submission.csv", id=ids, label=["a"] * len(ids))
    held = files(images, sample, *tables)
    found = labels_of(held, sample)
    assert found.settings() == settings
    assert found.targets.iloc[:, 0].tolist() in (["a", "b"], ["cat", "dog"])
    check_ids(held, sample)
    assert read_by(found.read, held, found, ids) == len(ids)


def test_several_images_of_an_object_have_its_row() -> None:
    sample = table("sample_submission.csv", id=["7", "8"], label=["a", "a"])
    train = table("train.csv", id=["1", "2"], label=["a", "b"])
    sides = [
        f"{part}/{n}_{side}.png"
        for part, n in (("train", 1), ("train", 2), ("test", 7), ("test", 8))
        for side in ("front", "back")
    ]
    folders = [
        f"{part}/{side}/{n}.png"
        for part, n in (("train", 1), ("train", 2), ("test", 7), ("test", 8))
        for side in ("front", "back")
    ]
    for images in (sides, folders):
        held = files(images, sample, train)
        found = labels_of(held, sample)
        assert found.objects
        assert found.settings() == CSV
        assert read_by("csv", held, found, ["7", "8"]) == 4


def test_a_column_for_each_class_or_label() -> None:
    one_hot = table("train.csv", image=["1", "2"], a=["1", "0"], b=["0", "1"], c=["0", "0"])
    sample = table("sample.csv", image=["3"], b=["0"], a=["1"], c=["0"])
    found = labels_of(files(["im/1.png", "im/2.png", "im/3.png"], sample, one_hot), sample)
    assert found.settings() == {"read": "csv", "id": "image"}
    assert found.targets.to_dict("list") == {"b": ["0", "1"], "a": ["1", "0"], "c": ["0", "0"]}


def test_columns_beside_the_images_are_those_of_both_tables_that_say_more_than_a_name() -> None:
    columns = {"age": ["1", "2"], "file": ["1.png", "2.png"], "width": ["9", "9"]}
    train = table("train.csv", id=["1", "2"], label=["a", "b"], late=["x", "y"], **columns)
    test = table("test.csv", id=["3", "4"], **columns)
    sample = table("sample.csv", id=["3", "4"], label=["a", "a"])
    found = labels_of(files([f"im/{i}.png" for i in range(1, 5)], sample, train, test), sample)
    train = table("train.csv", **{str(n): train.text[n].tolist() * 20 for n in train.text})
    train.text["file"] = [f"{i}.png" for i in range(40)]
    assert beside(train, test, found, "id") == ["age"]


def test_a_test_image_that_is_read_as_a_training_image_is_an_error() -> None:
    sample = table("s.csv", id=["1", "2"], label=["a", "a"])
    held = files(["train/a/1.jpg", "train/b/2.jpg"], sample)
    labels = Labels("folder", {}, "")
    with pytest.raises(DataError, match=r"^s\.csv: asks for 2 images, of which 0 are in the test"):
        check_read("folder", held, labels, sample)


def test_what_does_not_fit_is_one_line() -> None:
    sample = table("s.csv", id=["7.jpg"], label=["a"])
    with pytest.raises(DataError, match=r"^s\.csv: there is no image of id 7\.jpg \(1 such ids\)$"):
        check_ids(files(["test/8.jpg"], sample), sample)
    with pytest.raises(DataError, match=r"^x\.zip: no labels found for images such as train/8\.j"):
        labels_of(files(["train/8.jpg", "test/7.jpg"], sample), sample)
    with pytest.raises(DataError, match=r"^x\.zip: no training image found among 1 images$"):
        labels_of(files(["test/7.jpg"], sample), sample)
