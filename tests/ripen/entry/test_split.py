"""Groups and times, told from what the test part has that no training row has."""

from typing import Any

import pandas as pd
import pytest

from ripen.entry import split
from ripen.entry.files import Files, Table

N = 40


def frame(**columns: Any) -> pd.DataFrame:
    rows = {"id": range(N), "y": [i % 2 for i in range(N)], "x": [i * 0.5 for i in range(N)]}
    return pd.DataFrame({name: [str(v) for v in vs] for name, vs in (rows | columns).items()})


def found(train: pd.DataFrame, test: pd.DataFrame, classes: bool = True) -> dict[str, Any]:
    return split.of_table(train, test.drop(columns="y"), "id", ["y"], classes).settings


def test_without_groups_and_time_classes_are_stratified() -> None:
    assert found(frame(), frame()) == {"split": "stratified", "folds": 5}
    assert found(frame(), frame(), classes=False) == {"split": "kfold", "folds": 5}
    rare = frame(y=["a"] * (N - 3) + ["b"] * 3)
    assert found(rare, rare) == {"split": "kfold", "folds": 5}


def test_a_group_in_the_id() -> None:
    train = frame(id=[f"{i // 2:04}_{i % 2 + 1:02}" for i in range(N)])
    test = frame(id=[f"{i // 2 + 100:04}_{i % 2 + 1:02}" for i in range(N)])
    assert found(train, test) == {
        "split": "stratified_group", "group": "id", "pattern": r"^(.+)_\d+$", "folds": 5
    }  # fmt: skip
    assert found(train, test, classes=False)["split"] == "group"
    assert found(train, train)["split"] == "stratified"  # groups on both sides
    alone = frame(id=[f"{i:04}_01" for i in range(N)])
    assert found(alone, test)["split"] == "stratified"  # no group of several rows


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("date", [f"2020-01-{i % 28 + 1:02}" for i in range(N)], ["2020-02-01"] * N),
        ("when", [f"{i % 28 + 1:02}/01/2020" for i in range(N)], ["31/01/2020"] * N),
        ("at", [f"2020-01-01 {i % 24:02}:30:00" for i in range(N)], ["2020-01-02 00:00:00"] * N),
        ("year", [1990 + i // 8 for i in range(N)], [1994 + i // 20 for i in range(N)]),
    ],
)
def test_a_later_test_part_is_split_in_time(name: str, train: list[Any], test: list[Any]) -> None:
    parts = frame(**{name: train}), frame(**{name: test})
    assert found(*parts) == {"split": "time", "column": name, "folds": 5}
    assert found(*parts[::-1])["split"] != "time"
    assert found(parts[0], parts[0])["split"] == "stratified"


def test_days_that_are_ids_are_times() -> None:
    days = pd.date_range("2020-01-01", periods=2 * N).strftime("%Y-%m-%d")
    parts = frame(id=days[:N]), frame(id=days[N:])
    assert found(*parts, classes=False) == {"split": "time", "column": "id", "folds": 5}


def test_numbers_under_another_name_are_no_time() -> None:
    later = frame(size=range(100, 100 + N))
    assert found(frame(size=range(N)), later)["split"] == "stratified"


def test_a_class_of_fewer_rows_than_folds_is_not_stratified() -> None:
    rare = ["a"] * (N - 4) + ["b"] * 4
    train = frame(y=rare, shop=[i // 2 for i in range(N)])
    assert found(train, frame(shop=[1000 + i // 2 for i in range(N)]))["split"] == "group"
    assert found(frame(y=rare), frame())["split"] == "kfold"


def test_an_entity_column() -> None:
    train = frame(patient=[f"p{i // 3}" for i in range(N)])
    test = frame(patient=[f"q{i // 3}" for i in range(N)])
    expected = {"split": "stratified_group", "group": "patient", "folds": 5}
    assert found(train, test) == expected
    assert found(train, train)["split"] == "stratified"
    few = frame(patient=[f"r{i % 3}" for i in range(N)])
    assert found(few, test)["split"] == "stratified"  # three values are a category


def test_two_columns_that_name_an_entity() -> None:
    train = frame(name=["Ann", "Bob"] * (N // 2), year=[1990 + i // 4 for i in range(N)])
    test = frame(name=["Ann", "Bob"] * (N // 2), year=[1989 - i // 4 for i in range(N)])
    mixed = frame(
        name=["Eve", "Ann"] * (N // 2), year=[(1990, 2010)[i % 2] + i // 4 for i in range(N)]
    )
    expected = {"split": "group", "group": ["name", "year"], "folds": 5}
    assert found(train, mixed, classes=False) == expected
    assert found(train, train)["split"] == "stratified"
    assert found(train, test)["group"] == "year"  # alone


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [
        ([f"{k}_{side}" for k in range(12) for side in ("left", "right")], ["90_left"], True),
        ([f"p{k}_{shot}.jpg" for k in range(12) for shot in range(2)], ["q1_0.jpg"], True),
        ([f"p{k}_{shot}" for k in range(12) for shot in range(2)], ["p1_7"], False),  # in both
        ([f"train_{k}" for k in range(24)], ["test_1"], False),
        ([f"c{k}_{shot}" for k in range(12) for shot in range(2)], ["q1_0"], False),  # classes
    ],
)
def test_whom_the_names_of_images_show(train: list[str], test: list[str], found: bool) -> None:
    known = {
        name: name.partition("_")[0] if name[0] == "c" else str(i % 3)
        for i, name in enumerate(train)
    }
    split_ = split.in_names(known, test)
    assert (split_ is not None) is found
    if split_ is not None:
        assert split_.settings["group"] == "id"


def test_whom_images_show() -> None:
    names = [f"{i}.jpg" for i in range(N)]
    known = {name: "ab"[i % 2] for i, name in enumerate(names)}
    text = pd.DataFrame({"who": [f"s{i // 4}" for i in range(N)], "kind": list(known.values())})
    table = Table("who.csv", text.assign(img=names))
    files = Files("x", {"who.csv": table})
    assert split.of_images(files, known) == (table, "who")
    assert split.of_images(files, known, Table("t.csv", pd.DataFrame({"who": ["s1"]}))) is None
    ages = Table("who.csv", text.assign(img=names, who=[str(20 + i // 4) for i in range(N)]))
    assert split.of_images(Files("x", {"who.csv": ages}), known) is None
    numbered = Table("who.csv", ages.text.rename(columns={"who": "patient"}))
    assert split.of_images(Files("x", {"who.csv": numbered}), known) == (numbered, "patient")
    dates = Table(
        "who.csv", text.assign(img=names, who=[f"2018-01-{i // 4:02}" for i in range(4, N + 4)])
    )
    assert split.of_images(Files("x", {"who.csv": dates}), known) is None
    without = Table("who.csv", table.text.drop(columns="who"))
    assert split.of_images(Files("x", {"who.csv": without}), known) is None
