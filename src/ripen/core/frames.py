"""Tables that stages write and others read: CSV and Parquet."""

from pathlib import Path
from typing import Any

import pandas as pd

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
