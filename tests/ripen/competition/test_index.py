"""The index: its round trip, its parts, and the classes of a competition."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ripen.competition import index as indexes
from ripen.competition.index import COLUMNS, Index
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.compose import changed
from ripen.settings.schema import Competition

Make = Callable[..., Competition]
ROWS = pd.DataFrame(
    {
        "id": ["007", "NA", 'x,"y"', "4", "5", "6"],
        "part": ["train", "train", "train", "more", "test", "test"],
        "target": ["yes", "no", "yes", "no", "", "yes"],
        "group": ["a", "a", "", "", "", ""],
        "fold": [0, 1, -1, -1, -1, -1],
        "problem": ["", "", "is broken", "", "", ""],
    }
)
IMAGES = ROWS.assign(
    archive="train.zip", name="a.jpg", width=640, height=480, bytes=12345, brightness=0.25
)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    found = Layout("cheese")
    found.prepared.mkdir(parents=True)
    return found


@pytest.mark.parametrize("rows", [ROWS, IMAGES], ids=["table", "images"])
def test_an_index_comes_back_as_it_was_written(
    layout: Layout, make_competition: Make, rows: pd.DataFrame
) -> None:
    names = {"no": "not ripe", "yes": "ripe — Käse"}
    indexes.write(layout.prepared, rows, names)
    found = indexes.read(layout, make_competition("avocado"))
    pd.testing.assert_frame_equal(found.rows, rows, check_dtype=False)
    assert found.rows["fold"].dtype == np.int64
    assert (found.classes, found.names) == (("no", "yes"), ("not ripe", "ripe — Käse"))
    assert found.task is TASKS["binary"]
    first = (layout.prepared / "index.csv").read_bytes()
    indexes.write(layout.prepared, found.rows, names)
    assert (layout.prepared / "index.csv").read_bytes() == first


def test_an_index_has_the_declared_columns() -> None:
    assert list(ROWS) == list(COLUMNS)


def test_parts_exclude_rows_with_a_problem() -> None:
    index = Index(ROWS, TASKS["binary"], ("no", "yes"), ("no", "yes"))
    assert index.learnable().tolist() == index.part("train").tolist() == [0, 1]
    assert index.part("more").tolist() == [3]
    assert index.part("test").tolist() == [4, 5]
    assert index.known().tolist() == [True, True, True, True, False, True]
    assert index.targets.tolist() == [1, 0, 1, 0, -1, 1]
    assert index.folds.tolist() == [0, 1, -1, -1, -1, -1]
    assert index.outputs == 2


def test_targets_of_a_regression_are_values() -> None:
    rows = ROWS.assign(target=["1.5", "2", "3", "4", "", "1e-3"])
    index = Index(rows, TASKS["regression"], (), ())
    np.testing.assert_array_equal(index.targets, [1.5, 2, 3, 4, np.nan, 0.001])
    assert index.outputs == 1


@pytest.mark.parametrize(
    ("declared", "found", "known", "expected"),
    [
        (None, ["b", "a", "b"], {}, {"a": "a", "b": "b"}),
        (None, ["10", "9"], {}, {"9": "9", "10": "10"}),  # by size, not by letters
        (["b", "a"], ["a", "b"], {}, {"b": "b", "a": "a"}),
        (["n2", "n1"], ["n1"], {"n1": "cat", "n2": "dog", "n3": "fox"}, {"n2": "dog", "n1": "cat"}),
        ({"1": "ripe", "0": "not"}, ["0", "1"], {}, {"1": "ripe", "0": "not"}),
        (None, ["n1"], {"n1": "cat", "n2": "dog"}, {"n1": "cat", "n2": "dog"}),
    ],
)
def test_classes_are_the_declared_ones_or_those_that_occur(
    make_competition: Make, declared: Any, found: list[str], known: Any, expected: dict[str, str]
) -> None:
    competition = changed(make_competition("avocado"), classes=declared)
    classes = indexes.classes_of(competition, found, known, "train.csv")
    assert list(classes.items()) == list(expected.items())


def test_an_unknown_class_is_named(make_competition: Make) -> None:
    competition = make_competition("avocado")
    with pytest.raises(DataError, match=r"^train\.csv: unknown class '2'\. Allowed: 0, 1$"):
        indexes.classes_of(competition, ["0", "2"], {}, "train.csv")


def test_a_single_class_is_not_enough(make_competition: Make) -> None:
    competition = changed(make_competition("avocado"), classes=None)
    with pytest.raises(DataError, match=r"train\.csv: the target has 1 classes \(0\), and task"):
        indexes.classes_of(competition, ["0", "0"], {}, "train.csv")


def test_a_regression_has_no_classes(make_competition: Make) -> None:
    competition = changed(make_competition("avocado"), task="regression", metric="rmse")
    assert indexes.classes_of(competition, ["1.5"], {}, "train.csv") == {}


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), min_size=1))
def test_any_text_survives_as_an_id(ids: list[str]) -> None:
    rows = pd.DataFrame({name: [""] * len(ids) for name in COLUMNS} | {"id": ids, "fold": -1})
    with tempfile.TemporaryDirectory() as folder:
        indexes.write(Path(folder), rows, {"0": "no", "1": "yes"})
        back = pd.read_csv(Path(folder) / "index.csv", dtype=str, keep_default_na=False)
    assert back["id"].tolist() == ids
