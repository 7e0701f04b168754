"""Tables: files checked value by value."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.competitions.avocado.distribution import FEATURES
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.data.tables import category, form, identifier, number, read_table
from ripen.settings.schema import Column
from tests.ripen.data.csv_lines import Rewrite, cell, good_lines, without_column

RANGES = {
    "height_cm": (0, 30), "weight_g": (0, 1000), "squishiness": (0, 1),
    "red": (0, 255), "green": (0, 255), "blue": (0, 255),
}  # fmt: skip
WANTED = {
    "id": identifier(),
    **{name: number(Column(min=low, max=high)) for name, (low, high) in RANGES.items()},
    "ripe": category(Column(), ["0", "1"]),
}


def read(path: Path) -> pd.DataFrame:
    return read_table(path, read_text(path), WANTED, ["notes"])


def test_a_good_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("\n".join(good_lines()) + "\n", encoding="utf-8")
    frame = read(path)
    expected = pd.read_csv(path, dtype={"id": str, "ripe": str})
    np.testing.assert_array_equal(frame.to_numpy(), expected.to_numpy())
    assert isinstance(frame.id.iloc[0], str)
    assert {frame.dtypes[feature.name] for feature in FEATURES} == {np.dtype(np.float64)}


def test_columns_may_come_in_any_order_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    rows = [",".join(reversed(line.split(","))) for line in good_lines()]
    path.write_text("\n".join(rows), encoding="utf-8-sig")
    assert list(read(path).columns) == list(WANTED)


def test_a_column_that_the_settings_drop_may_be_there(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    lines = good_lines()
    path.write_text("\n".join([lines[0] + ",notes", *(f"{line},soft" for line in lines[1:])]))
    assert list(read(path).columns) == list(WANTED)


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
        (cell(5, "id", ""), r"row 5, column 'id': '' is not an id"),
        (cell(1, "ripe", "2"), r"row 1, column 'ripe': '2' is not a class: 0, 1"),
        (cell(1, "ripe", "0.5"), r"row 1, column 'ripe': '0\.5' is not a class: 0, 1"),
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


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_another_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train\.csv: "):
            read(path)


def test_blanks_are_allowed_where_the_settings_say_so(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("age,city\n1,\n,Rome\n")
    wanted = {"age": number(Column(missing=True)), "city": category(Column(missing=True))}
    found = read_table(path, read_text(path), wanted, [])
    np.testing.assert_array_equal(found.age, [1.0, np.nan])
    assert [None if pd.isna(city) else city for city in found.city] == [None, "Rome"]
    with pytest.raises(DataError, match=r"row 1, column 'city': '' is not a value"):
        read_table(path, read_text(path), wanted | {"city": category(Column(missing=False))}, [])


GERMAN = "age;sex;member;joined;size;note\n1,5;m;ja;01.02.2016;low;A b\n;;;;;\n"
TYPES = {
    "age": Column(type="number"),
    "sex": Column(type="category"),
    "joined": Column(type="date", format="%d.%m.%Y"),
    "size": Column(type="ordered", levels=["low", "high"]),
    "note": Column(type="text"),
}


def test_every_type_is_read_in_another_form_of_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(GERMAN, encoding="utf-8")
    wanted = {name: form(column, ",") for name, column in TYPES.items()}
    found = read_table(path, read_text(path, ";"), wanted, ["member"], ",")
    day = pd.Timestamp(2016, 2, 1)
    assert found.iloc[0].tolist() == [1.5, "m", day, "low", "A b"]
    assert found.iloc[1].isna().all()
    assert found["size"].cat.ordered


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (Column(type="number"), "1.5", r"'1\.5' is not a number$"),
        (Column(type="boolean"), "maybe", r"'maybe' is not true or false$"),
        (TYPES["joined"], "2016-02-01", r"'2016-02-01' is not a date of the form %d\.%m\.%Y$"),
        (TYPES["size"], "mid", r"'mid' is not one of low, high$"),
        (Column(type="text", missing=False), "", r"'' is not a value$"),
        (Column(type="date", format="%Y", missing=False), "", r"'' is not a date of the form %Y$"),
    ],
)
def test_a_value_of_another_type_is_named(
    tmp_path: Path, column: Column, value: str, message: str
) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"x;y\n{value};1\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"train\.csv: row 1, column 'x': {message}"):
        read_table(path, read_text(path, ";"), {"x": form(column, ",")}, ["y"], ",")
