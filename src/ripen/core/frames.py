"""Tables that stages write and others read, as CSV or Parquet."""

from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.atomic import replacing
from ripen.core.errors import reading


def read_frame(path: Path, **options: Any) -> pd.DataFrame:
    """Return the content of a CSV or Parquet file.

    Parameters
    ----------
    path : Path
    **options
        As `pandas.read_csv` takes them.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    with reading(path):
        parquet = path.suffix == ".parquet"
        frame: pd.DataFrame = pd.read_parquet(path) if parquet else pd.read_csv(path, **options)
        return frame


def write_frame(path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Write a table as CSV, atomically and without its index.

    Parameters
    ----------
    path : Path
    frame : DataFrame
    **options
        As `DataFrame.to_csv` takes them.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", **options)
