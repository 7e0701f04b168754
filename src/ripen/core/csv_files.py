"""CSV files, read as the text that they are: what a value means is decided by who checks it."""

import warnings
from pathlib import Path

import pandas as pd

from ripen.core.errors import DataError


def read_text(path: Path) -> pd.DataFrame:
    """Read a CSV file, UTF-8, comma-separated, with a header: every value as the text it is.

    Raises
    ------
    DataError
        If it is missing, not UTF-8, not a table, or has no rows.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            text = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8. Save the file with encoding UTF-8"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty. A header and rows are needed") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).removeprefix("Error tokenizing data.").split())
        raise DataError(f"{path}: not a table of one header and equal rows: {reason}") from None
    if text.empty:
        raise DataError(f"{path}: has a header and no rows. At least one row is needed")
    return text
