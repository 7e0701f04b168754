"""Parquet as tables of text."""

from pathlib import Path

import pandas as pd
import pytest

from ripen.core import csv_files
from ripen.core.errors import DataError

TABLE = pd.DataFrame(
    {
        "id": ["007", "b"],
        "paid": [True, False],
        "size": [0.1, None],
        "count": pd.array([3, None], "Int64"),
        "day": pd.to_datetime(["2024-02-29 00:00", "2024-03-01 12:30"]),
        "kind": pd.Categorical(["x", None]),
        "tags": [["p", "q"], []],
    }
)
TEXTS = {
    "id": ["007", "b"],
    "paid": ["True", "False"],
    "size": ["0.1", ""],
    "count": ["3", ""],
    "day": ["2024-02-29 00:00:00", "2024-03-01 12:30:00"],
    "kind": ["x", ""],
    "tags": ["p, q", ""],
}


@pytest.mark.parametrize("form", ["parquet", "feather"])
def test_every_value_is_text(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"train.{form}"
    getattr(TABLE, f"to_{form}")(file)
    assert csv_files.read_text(file).to_dict("list") == TEXTS
    assert csv_files.sniff(file) == {}


def test_a_file_that_is_no_table_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    with pytest.raises(DataError, match=r"t\.parquet: no such file"):
        csv_files.read_text(file)
    TABLE.to_parquet(file, index=False)
    whole = file.read_bytes()
    for content in (b"", b"id,x\n1,2\n", whole[:-20], whole[: len(whole) // 2] + whole[-400:]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"t\.parquet: is not Parquet, or is trunc") as caught:
            csv_files.read_text(file)
        assert "\n" not in str(caught.value)
    (tmp_path / "t.feather").write_bytes(whole)
    with pytest.raises(DataError, match=r"t\.feather: is not Feather, or is truncated"):
        csv_files.read_text(tmp_path / "t.feather")
    TABLE[:0].to_parquet(file, index=False)
    with pytest.raises(DataError, match=r"t\.parquet: has no rows"):
        csv_files.read_text(file)
