"""Predictions in one form: tables, their outputs, and the file that keeps every digit."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout


@settings(max_examples=30)
@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
def test_every_digit_survives_the_file(values: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        layout = Layout("cheese")
        layout.model("net").mkdir(parents=True)
        table = predictions.table("test", np.arange(4), values)
        predictions.write(layout.model("net"), [table])
        back = predictions.read(layout, ["net"])["net"]
    np.testing.assert_array_equal(predictions.outputs(back), values)


def test_tables_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("cheese")
    halves = np.array([[0.5, 0.5]] * 2)
    for name in ("b", "a"):
        layout.model(name).mkdir(parents=True)
        tables = [predictions.table(part, np.array([5, 6]), halves) for part in predictions.PARTS]
        predictions.write(layout.model(name), tables)
    both = predictions.read(layout, ["a", "b"])
    assert list(both) == ["a", "b"]
    assert both["a"].columns.tolist() == ["part", "row", "p0", "p1"]
    assert both["a"].part.tolist() == ["validation", "validation", "test", "test"]
    assert both["a"].to_dict("list") == both["b"].to_dict("list")


def test_a_model_without_predictions_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("imagenet")
    with pytest.raises(
        DataError, match=r"data/imagenet/models/squeezenet/predictions\.csv: cannot be read: No suc"
    ):
        predictions.read(layout, ["squeezenet"])
    rows = predictions.table("test", np.array([4]), np.array([[0.25, 0.75]]))
    layout.model("squeezenet").mkdir(parents=True)
    predictions.write(layout.model("squeezenet"), [rows])
    left = predictions.read(layout, ["squeezenet"])
    assert list(left) == ["squeezenet"]
    assert left["squeezenet"].to_dict("list") == rows.to_dict("list")


def test_outputs_are_in_the_order_of_the_classes() -> None:
    values = np.random.default_rng(0).random((2, 12))
    table = predictions.table("test", np.arange(2), values)
    assert list(table)[2:5] == ["p0", "p1", "p2"]
    np.testing.assert_array_equal(predictions.outputs(table), values)


def test_a_regression_has_one_output() -> None:
    table = predictions.table("test", np.array([3]), np.array([[2.5]], np.float32))
    assert table.to_dict("list") == {"part": ["test"], "row": [3], "p0": [2.5]}
