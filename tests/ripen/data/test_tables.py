from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.competition.datasets.avocado import DATASET, FEATURES, sample
from ripen.competition.datasets.tabular import check_classes, read_sample, read_table
from ripen.core.errors import DataError

Rewrite = Callable[[list[str]], list[str]]


def good_lines(n: int = 5) -> list[str]:
    frame = sample(n, 0.0, np.random.default_rng(0)).assign(ripe=[0, 1] * (n // 2) + [0] * (n % 2))
    frame.insert(0, "id", np.arange(1, n + 1))
    return frame.to_csv(index=False).splitlines()


def cell(row: int, column: str, value: str) -> Rewrite:
    def rewrite(lines: list[str]) -> list[str]:
        at = lines[0].split(",").index(column)
        cells = lines[row].split(",")
        cells[at] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return rewrite


def without_column(name: str) -> Rewrite:
    def rewrite(lines: list[str]) -> list[str]:
        at = lines[0].split(",").index(name)
        rows = [line.split(",") for line in lines]
        return [",".join(row[:at] + row[at + 1 :]) for row in rows]

    return rewrite


def read(path: Path) -> pd.DataFrame:
    return read_table(path, DATASET, DATASET.columns())


def test_a_good_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("\n".join(good_lines()) + "\n", encoding="utf-8")
    frame = read(path)
    expected = pd.read_csv(path)
    np.testing.assert_array_equal(frame.to_numpy(), expected.to_numpy())
    assert frame.dtypes["id"] == frame.dtypes["ripe"] == np.int64
    assert {frame.dtypes[feature.name] for feature in FEATURES} == {np.dtype(np.float64)}


def test_columns_may_come_in_any_order_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    rows = [",".join(reversed(line.split(","))) for line in good_lines()]
    path.write_text("\n".join(rows), encoding="utf-8-sig")
    assert list(read(path).columns) == list(DATASET.columns())


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (without_column("red"), r"column 'red' is missing\. Needed: id, height_cm"),
        (
            lambda lines: [lines[0] + ",stone", *(line + ",1" for line in lines[1:])],
            r"column 'stone' is one too many\. Allowed: id, height_cm",
        ),
        (
            cell(2, "weight_g", "heavy"),
            r"row 2, column 'weight_g': 'heavy' is not a number from 0 to 1000",
        ),
        (cell(3, "green", "nan"), r"row 3, column 'green': 'nan' is not a number from 0 to 255"),
        (cell(3, "green", ""), r"row 3, column 'green': '' is not a number from 0 to 255"),
        (cell(4, "blue", "256"), r"row 4, column 'blue': '256' is not a number from 0 to 255"),
        (cell(4, "blue", "-1"), r"row 4, column 'blue': '-1' is not a number from 0 to 255"),
        (cell(1, "squishiness", "inf"), r"row 1, column 'squishiness': 'inf' is not a number"),
        (cell(5, "id", "2"), r"row 5, column 'id': '2' is in row 2 already"),
        (cell(5, "id", "two"), r"row 5, column 'id': 'two' is not a whole number"),
        (cell(1, "ripe", "2"), r"row 1, column 'ripe': '2' is not a whole number from 0 to 1"),
        (cell(1, "ripe", "0.5"), r"row 1, column 'ripe': '0\.5' is not a whole number"),
        (lambda lines: lines[:1], r"has a header and no rows"),
        (lambda lines: [], r"the file is empty"),
        (lambda lines: [*lines, "1,2,3,4,5,6,7,8,9,10"], r"not a table of one header"),
    ],
)
def test_bad_input_is_one_line_with_file_row_and_column(
    tmp_path: Path, rewrite: Rewrite, message: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_text("\n".join(rewrite(good_lines())), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_wrong_encoding(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes("\n".join(good_lines()).encode() + b"\n\xff\xfe")
    with pytest.raises(DataError, match=r"train\.csv: byte \d+ is not UTF-8"):
        read(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv: no such file"):
        read(tmp_path / "train.csv")


def test_a_single_class() -> None:
    with pytest.raises(DataError, match=r"'ripe' has 0 rows of class 1 \('ripe'\)"):
        check_classes(Path("train.csv"), DATASET, pd.Series([0, 0, 0]))


def test_a_sample_keeps_its_order_of_columns_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("ripe,id\n0.5,9\n0.5,3\n", encoding="utf-8")
    sample = read_sample(path, DATASET)
    assert list(sample.columns) == ["ripe", "id"]
    assert sample.id.tolist() == [9, 3]


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_another_error(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train\.csv: "):
            read(path)
