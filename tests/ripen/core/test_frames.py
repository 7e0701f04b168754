"""Tables of other stages: whole, or one line that names the file."""

from pathlib import Path

import pandas as pd
import pytest

from ripen.core.errors import DataError
from ripen.core.frames import read_frame


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_damaged_table_is_one_line(name: str, tmp_path: Path) -> None:
    file, table = tmp_path / name, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(DataError, match=rf"{name}: cannot be read: No such file.*dvc repro$"):
        read_frame(file)
    file.write_bytes(
        table.to_parquet() if name == "x.parquet" else table.to_csv(index=False).encode()
    )
    pd.testing.assert_frame_equal(read_frame(file), table)
    file.write_bytes(b"\xff\0" * 30)
    with pytest.raises(DataError, match=rf"{name}: is damaged, or another kind of file: .*repro$"):
        read_frame(file)
