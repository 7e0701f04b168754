"""Column types: what is detected, and what the values become."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from ripen.data.column_types import convert, detect
from ripen.settings.schema import Column

N = 40
CITIES = ["Ulm", "Bonn", "Jena", "Kiel"]
CASES: dict[str, tuple[Sequence[str], Column]] = {
    "numbers": ([str(k / 3) for k in range(N)], Column(type="number")),
    "numbers with every missing text": (
        [*map(str, range(N)), "", "NA", "?", "nan", "null", "-1e3", "007"],
        Column(type="number"),
    ),
    "nought and one": (["0", "1"] * 20, Column(type="number")),
    "an infinite number": ([*map(str, range(N)), "inf"], Column(type="number")),
    "a mistake among numbers": ([*map(str, range(N)), "abc"], Column(type="number")),
    "amounts of money": ([f"${k},{k:03}.50" for k in range(1, N)], Column(type="number")),
    "shares": ([f"{k}%" for k in range(N)], Column(type="number")),
    "moments of a zone": (
        [f"2016-03-01T0{k % 9}:30:00+01:00" for k in range(N)],
        Column(type="date", format="%Y-%m-%dT%H:%M:%S%z"),
    ),
    "a third of codes": (["1", "2", "C3"] * 13, Column(type="category")),
    "NA as a level": (["NA", "Pave", "Grvl"] * 13, Column(type="category")),
    "one value": (["5"] * N, Column(type="constant")),
    "one value and blanks": (["x", ""] * 20, Column(type="category")),
    "one number and blanks": (["5", ""] * 20, Column(type="number")),
    "nothing": ([""] * N, Column(type="constant")),
    "true and false": (["True", "False", ""] * 13, Column(type="boolean")),
    "Y and N": (["Y", "N"] * 20, Column(type="boolean")),
    "yes and n": (["yes", "n"] * 20, Column(type="category")),
    "qualities": (
        ["TA", "Gd", "NA", "Ex", "Fa"] * 8,
        Column(type="ordered", levels=["NA", "Fa", "TA", "Gd", "Ex"]),
    ),
    "words for a size": (
        ["High", "Low", "Medium"] * 13,
        Column(type="ordered", levels=["Low", "Medium", "High"]),
    ),
    "ages": (
        ["26-35", "18-25", "65+", "<18", "36-64"] * 8,
        Column(type="ordered", levels=["<18", "18-25", "26-35", "36-64", "65+"]),
    ),
    "codes with numbers": (["10A", "11B", "12C"] * 13, Column(type="category")),
    "days": (
        [f"2016-03-{k % 28 + 1:02}" for k in range(N)],
        Column(type="date", format="%Y-%m-%d"),
    ),
    "moments": (
        [f"2016-03-01 0{k % 9}:30:00" for k in range(N)] + [""],
        Column(type="date", format="%Y-%m-%d %H:%M:%S"),
    ),
    "the day first": (
        [f"{k % 28 + 1}/3/2016" for k in range(N)],
        Column(type="date", format="%d/%m/%Y"),
    ),
    "the month first, where both fit": (
        [f"{k % 9 + 1}/3/2016" for k in range(N)],
        Column(type="date", format="%m/%d/%Y"),
    ),
    "German days": (
        [f"{k % 9 + 1:02}.03.2016" for k in range(N)],
        Column(type="date", format="%d.%m.%Y"),
    ),
    "versions": ([f"1.{k % 5}.{k % 5}" for k in range(N)], Column(type="category")),
    "names": ([f"Dr {k} of {CITIES[k % 4]}" for k in range(N)], Column(type="text")),
    "the same long sentence": (
        ["The quick brown fox jumps over the lazy dog again.", "No fox was seen by anyone today."]
        * 20,
        Column(type="text"),
    ),
    "hashes": ([f"{k:x}f{k * 7:x}" for k in range(N)], Column(type="identifier")),
    "few different words": (["a", "b", "c"], Column(type="category")),
}


def series(values: Sequence[str], name: str = "x") -> "pd.Series[str]":
    return pd.Series(list(values), name=name, dtype="str")


@pytest.mark.parametrize("case", CASES)
def test_type_is_detected(case: str) -> None:
    values, expected = CASES[case]
    assert detect(series(values)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("PassengerId", "identifier"), ("house_id", "identifier"), ("Unnamed: 0", "identifier"),
     ("id", "identifier"), ("area", "number"), ("paid", "number")],
)  # fmt: skip
def test_whole_numbers_are_an_identifier_by_their_name(name: str, expected: str) -> None:
    assert detect(series([str(k) for k in range(1, N)], name)).type == expected
    assert detect(series(["1", "2"] * N, name)).type == "number"  # of which each stands there often


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("timestamp", ["960759144", "1451606400.0"], "date"),
        ("event_time", ["1451606400000", "1451606400500", ""], "date"),
        ("x", ["1260759144", "1451606400"], "number"),
        ("time", ["12", "1451606400"], "number"),
    ],
)
def test_seconds_since_1970_are_times(name: str, values: list[str], expected: str) -> None:
    given = series(values, name)
    column = detect(given)
    assert column == Column(type=expected, format="unix" if expected == "date" else None)
    if expected == "date":
        assert convert(given, column)[1] == pd.Timestamp(2016, 1, 1, 0, 0, 0) + pd.Timedelta(
            500 if name == "event_time" else 0, "ms"
        )


def test_real_measurements_are_numbers_whatever_the_decimal_sign() -> None:
    table = load_iris(as_frame=True).data
    for name in table:
        text = table[name].astype(str)
        assert detect(text).type == "number"
        german = text.str.replace(".", ",")
        assert detect(german, ",").type == "number"
        np.testing.assert_array_equal(convert(german, Column(type="number"), ","), table[name])
        # With a decimal comma a point is a mistake, and no thousand is guessed.
        assert convert(text, Column(type="number"), ",").isna().all()


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (Column(type="number"), ["1", " 2.5 ", "NA", "", "x"], [1, 2.5, None, None, None]),
        (Column(type="boolean"), ["Yes", "no", "", "1", "maybe"], [True, False, None, True, None]),
        (
            Column(type="date", format="%d.%m.%Y"),
            ["31.12.2016", "", "2016-12-31"],
            [pd.Timestamp(2016, 12, 31), None, None],
        ),
        (Column(type="category"), ["b", "NA", "", "a"], ["b", "NA", None, "a"]),
        (Column(type="ordered", levels=["low", "high"]), ["high", "", "?"], ["high", None, None]),
        (Column(type="text"), ["A  b", ""], ["A  b", None]),
        (Column(type="identifier"), ["007"], ["007"]),
    ],
)
def test_values_get_their_type(column: Column, values: list[str], expected: list[Any]) -> None:
    found = convert(series(values), column)
    assert [None if pd.isna(value) else value for value in found] == expected


def test_levels_have_their_order() -> None:
    assert list(convert(series(["b", "a", "c"]), Column(type="category")).cat.categories) == [
        "a", "b", "c",
    ]  # fmt: skip
    found = convert(series(["b", "a"]), Column(type="ordered", levels=["c", "b", "a"]))
    assert found.cat.codes.tolist() == [1, 2]
    assert found.cat.ordered
