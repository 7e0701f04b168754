"""A table with a row for each training image."""

from pathlib import Path

import pandas as pd
import pytest

from ripen.core.errors import DataError
from ripen.data.readers.images import beside_images

INDEX = pd.DataFrame(
    {"name": ["train/a/2.jpg", "train/b/1.jpg", "test/3.jpg"], "part": ["train", "train", "test"]}
)


@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_its_columns_come_in_the_order_of_the_index(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / "who.csv"
    file.write_text(f"who,img,day\ns1,1{suffix},mon\ns2,2{suffix},tue\n")
    found = beside_images(file, INDEX)
    assert found.to_dict("list") == {"who": ["s2", "s1", ""], "day": ["tue", "mon", ""]}
    assert list(found.index) == list(INDEX.index)


def test_without_one_there_are_no_columns(tmp_path: Path) -> None:
    assert beside_images(tmp_path / "beside.csv", INDEX).shape == (3, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("who,img\ns1,1.jpg\n", r"who\.csv: has no row of train/a/2\.jpg$"),
        ("who,img\ns1,9.jpg\n", r"who\.csv: no column holds .* Its columns: who, img$"),
        ("who,img\ns1,1.jpg\ns2,1.jpg\n", r"who\.csv: no column holds the images' file names, ea"),
    ],
)
def test_one_that_does_not_fit_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        beside_images(tmp_path / "who.csv", INDEX)
