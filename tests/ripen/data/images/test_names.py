"""Labels and ids from Kaggle's names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.core.errors import DataError
from ripen.data.images.names import Named, parse

CLASSES = ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/cat.0.jpg", Named(0, 0, 0, "cat.0")),
        ("train/dog.12499.jpg", Named(0, 1, 12499, "dog.12499")),
        ("test1/1.jpg", Named(1, -1, 1, "1")),
        ("test/12500.jpg", Named(1, -1, 12500, "12500")),
        ("dogs/Train/cat.3.JPEG", Named(0, 0, 3, "cat.3")),
        ("train/", None),
        ("sampleSubmission.csv", None),
        ("train.zip", None),
        ("__MACOSX/train/._cat.0.jpg", None),
        ("train/.DS_Store", None),
        ("train/Thumbs.db", None),
    ],
)
def test_names(name: str, expected: Named | None) -> None:
    assert parse(name, CLASSES) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/bird.1.jpg", r"^train/bird\.1\.jpg: unknown class 'bird'. Allowed: cat, dog$"),
        ("train/cat.jpg", r"^train/cat\.jpg: is no picture's name. Allowed: train/<class>"),
        ("train/cat.1.txt", r"^train/cat\.1\.txt: is no picture's name"),
        ("test1/cat.1.jpg", r"^test1/cat\.1\.jpg: is no test picture's name. Allowed: test1/<num"),
        ("cat.1.jpg", r"^cat\.1\.jpg: is no picture's name"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(name, CLASSES)


@given(st.lists(st.integers(0, 20000), unique=True))
def test_test_pictures_sort_by_number(numbers: list[int]) -> None:
    named = sorted(parse(f"test1/{n}.jpg", CLASSES) for n in numbers)
    assert [each.id for each in named] == [str(n) for n in sorted(numbers)]
