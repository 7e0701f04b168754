"""Tables written as Parquet or Feather."""

from pathlib import Path

import pandas as pd

from ripen.core import json_tables
from ripen.core.errors import DataError

SUFFIX, FEATHER = ".parquet", ".feather"


def read_table(path: Path) -> pd.DataFrame:
    """Read a table, by its suffix of one format or the other, every value as text.

    Lists become what they do in JSON.

    Raises
    ------
    DataError
        If the file is missing, damaged, or has no row.
    """
    import pyarrow
    from pyarrow import feather, parquet

    is_feather = path.suffix.lower() == FEATHER
    try:
        table = (feather if is_feather else parquet).read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        form = "Feather" if is_feather else "Parquet"
        raise DataError(f"{path}: is not {form}, or is truncated: {reason}") from None
    if not table.num_rows:
        raise DataError(f"{path}: has no rows. At least one row is needed")
    return json_tables.text_of({name: table[name].to_pylist() for name in table.column_names})
