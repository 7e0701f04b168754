"""Tables: which columns there are, their types, and input that is invalid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.competitions.avocado.distribution import FEATURES, sample
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.readers import READERS, Read
from ripen.settings.compose import changed
from ripen.settings.schema import Competition
from tests.ripen.learn import fits

LAYOUT = Layout("avocado")
TRAIN = LAYOUT.raw / "train.csv"
Rewrite = Callable[[list[str]], list[str]]


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    LAYOUT.raw.mkdir(parents=True)


def competition(**values: Any) -> Competition:
    return changed(fits.competition(), **values)


def read(lines: list[str] | None = None, own: Competition | None = None) -> Read:
    """Read a training table of these lines, and what else is in the raw folder."""
    if lines is not None:
        TRAIN.write_text("\n".join(lines), encoding="utf-8")
    return READERS["table"](own or competition(), LAYOUT)


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


def test_a_good_file_is_read_as_it_is() -> None:
    found = read(good_lines())
    expected = pd.read_csv(TRAIN)
    np.testing.assert_array_equal(
        found.columns.to_numpy(), expected[list(found.columns)].to_numpy()
    )
    assert list(found.columns) == [feature.name for feature in FEATURES]
    assert {str(kind) for kind in found.columns.dtypes} == {"float64"}
    assert found.rows["id"].tolist() == ["1", "2", "3", "4", "5"]
    assert found.rows["target"].tolist() == ["0", "1", "0", "1", "0"]
    assert set(found.rows["part"]) == {"train"}


def test_columns_may_come_in_any_order_and_with_a_byte_order_mark() -> None:
    rows = [",".join(reversed(line.split(","))) for line in good_lines()]
    TRAIN.write_text("\n".join(rows), encoding="utf-8-sig")
    found = read()
    assert sorted(found.columns) == sorted(feature.name for feature in FEATURES)
    pd.testing.assert_frame_equal(found.columns[list(read(good_lines()).columns)], read().columns)


def test_a_test_table_has_the_training_tables_columns_in_its_order() -> None:
    lines = [",".join(reversed(line.split(","))) for line in without_column("ripe")(good_lines(4))]
    (LAYOUT.raw / "test.csv").write_text("\n".join(lines), encoding="utf-8")
    found = read(good_lines())
    assert found.rows["part"].tolist() == ["train"] * 5 + ["test"] * 4
    assert found.rows["target"].tolist()[5:] == [""] * 4
    expected = pd.read_csv(LAYOUT.raw / "test.csv")[list(found.columns)]
    np.testing.assert_array_equal(found.columns[5:].to_numpy(), expected.to_numpy())


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (without_column("red"), r"column 'red', which columns names, is missing$"),
        (without_column("id"), r"column 'id' is missing\. Found: height_cm"),
        (without_column("ripe"), r"column 'ripe' is missing\. Found: id, height_cm"),
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
        (cell(5, "id", ""), r"row 5, column 'id': '' is not an id"),
        (cell(1, "ripe", "2"), r"row 1, column 'ripe': '2' is not a class: 0, 1"),
        (cell(1, "ripe", "0.5"), r"row 1, column 'ripe': '0\.5' is not a class"),
        (lambda lines: lines[:1], r"has a header and no rows"),
        (lambda lines: [], r"the file is empty"),
        (lambda lines: [*lines, "1,2,3,4,5,6,7,8,9,10"], r"not a table of one header"),
    ],
)
def test_bad_input_is_one_line_with_file_row_and_column(rewrite: Rewrite, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(rewrite(good_lines()))
    assert str(caught.value).startswith(f"{TRAIN}: ")
    assert "\n" not in str(caught.value)


def test_a_column_that_only_the_test_table_has_is_one_too_many() -> None:
    lines = without_column("ripe")(good_lines())
    stone = [lines[0] + ",stone", *(line + ",1" for line in lines[1:])]
    (LAYOUT.raw / "test.csv").write_text("\n".join(stone), encoding="utf-8")
    message = r"test\.csv: column 'stone' is one too many\. Allowed: id, height_cm"
    with pytest.raises(DataError, match=message):
        read(good_lines())


def test_wrong_encoding() -> None:
    TRAIN.write_bytes("\n".join(good_lines()).encode() + b"\n\xff\xfe")
    with pytest.raises(DataError, match=r"train\.csv: byte \d+ is not UTF-8"):
        read()


def test_a_missing_file() -> None:
    with pytest.raises(DataError, match=r"train\.csv: no such file"):
        read()


def test_types_follow_from_the_values_of_all_files() -> None:
    own = competition(
        columns={"drop": ["name"], "types": {"code": {"type": "category", "missing": True}}}
    )
    lines = ["id,name,age,code,mixed,empty,ripe"]
    lines += ["a,Ann,1.5,1,2,,0", "b,Bob,,2,3,,1"]
    test = ["id,age,code,mixed,empty", "c,7,,three,"]
    (LAYOUT.raw / "test.csv").write_text("\n".join(test), encoding="utf-8")
    found = read(lines, own)
    assert list(found.columns) == ["age", "code", "mixed", "empty"]
    kinds = [pd.api.types.is_numeric_dtype(found.columns[name]) for name in found.columns]
    # One word among the test rows makes a category of a column; a blank one is none of numbers.
    assert kinds == [True, False, False, False]
    assert found.columns["age"].isna().tolist() == [False, True, False]
    assert found.columns["mixed"].tolist() == ["2", "3", "three"]


def test_a_number_of_a_regression_keeps_its_digits() -> None:
    own = competition(task="regression", metric="rmse", columns={}, classes=None)
    found = read(["id,x,ripe", "a,1,0.1", "b,2,3", "c,3,1e-7"], own)
    assert found.rows["target"].tolist() == ["0.1", "3.0", "1e-07"]
    with pytest.raises(DataError, match=r"row 2, column 'ripe': 'ripe' is not a number$"):
        read(["id,x,ripe", "a,1,0.1", "b,2,ripe"], own)


def test_a_dropped_column_that_is_missing_is_named() -> None:
    own = competition(columns={"drop": ["stone"]})
    with pytest.raises(DataError, match=r"column 'stone', which columns names, is missing$"):
        read(good_lines(), own)


def test_a_column_of_folds_is_not_learnt_from() -> None:
    own = competition(validation={"split": "column", "column": "fold"}, columns={})
    found = read(["id,x,fold,ripe", "a,1,0,0", "b,2,-1,1"], own)
    assert list(found.columns) == ["x"]
    assert found.beside["fold"].tolist() == ["0", "-1"]


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_another_error(content: bytes) -> None:
    TRAIN.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.csv: ") as caught:
        read()
    assert "\n" not in str(caught.value)
