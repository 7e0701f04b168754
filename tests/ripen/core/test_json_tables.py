"""JSON as tables: what becomes of records, lists and squares of numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ripen.core import csv_files, json_tables
from ripen.core.errors import DataError

RECORDS: list[dict[str, Any]] = [
    {"id": "a", "paid": True, "size": 1.5, "tags": ["x", "y z"], "at": [1, 2]},
    {"id": "b", "paid": False, "size": None, "tags": [], "at": [3, 4.5], "more": {"k": [1]}},
]
TEXTS = {
    "id": ["a", "b"],
    "paid": ["True", "False"],
    "size": ["1.5", ""],
    "tags": ["x, y z", ""],
    "at_0": ["1.0", "3.0"],
    "at_1": ["2.0", "4.5"],
    "more": ["", '{"k": [1]}'],
}


@pytest.mark.parametrize("form", ["records", "lines", "columns"])
def test_every_form_is_the_same_table(form: str, tmp_path: Path) -> None:
    by_column = {
        name: {str(row): record.get(name) for row, record in enumerate(RECORDS)}
        for name in RECORDS[1]
    }
    content = {
        "records": json.dumps(RECORDS, indent=1),
        "lines": "\n".join(map(json.dumps, RECORDS)),
        "columns": json.dumps(by_column),
    }[form]
    file = tmp_path / "train.json"
    file.write_text(content, encoding="utf-8")
    assert csv_files.read_text(file).to_dict("list") == TEXTS
    assert csv_files.sniff(file) == {}


def test_a_square_of_numbers_becomes_its_distribution_and_box_means() -> None:
    square = np.random.default_rng(0).normal(size=(3, 16, 16)).round(3)
    records = [{"band": each.ravel().tolist()} for each in square]
    found = json_tables.table_of(records, "").astype(float)
    assert found.shape == (3, 7 + json_tables.BOX**2)
    np.testing.assert_allclose(found["band_low"], np.quantile(square.reshape(3, -1), 0.05, axis=1))
    np.testing.assert_allclose(found["band_std"], square.std(axis=(1, 2)))
    np.testing.assert_allclose(found["band_box_1_2"], square[:, 2:4, 4:6].mean(axis=(1, 2)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": 1},', "t.json: line 1: not JSON"),
        ('{"0": "cat", "1": "dog"}', "t.json: is no table: a list of records"),
        ("[]", "t.json: is no table"),
        ("\u00e9".encode("latin-1"), "t.json: is not UTF-8"),
        (None, "t.json: no such file"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(
    content: str | bytes | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "t.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        csv_files.read_text(file)


def test_images_and_their_annotations_are_one_table() -> None:
    images = [{"id": 7, "file_name": "a/7.jpg"}, {"id": 8, "file_name": "a/8.jpg"}]
    annotations = [{"id": 0, "image_id": 8, "category_id": 2}, {"image_id": 7, "category_id": 3}]
    found = json_tables.table_of({"images": images, "annotations": annotations, "info": {}}, "")
    expected = {"id": ["8", "7"], "category_id": ["2", "3"], "file_name": ["a/8.jpg", "a/7.jpg"]}
    assert found.to_dict("list") == expected
    assert list(json_tables.table_of({"images": images}, "")) == ["id", "file_name"]
