"""Tables of files as text, most of them CSV: the callers decide what a value means."""

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core import json_tables, parquet_tables
from ripen.core.archives import Limits
from ripen.core.errors import DataError

SNIFFED = 1 << 16  # bytes: of the head to detect the format, of the end to find the last row
SEPARATORS = ",;\t|"
PACKED = ".gz"
UTF16 = "utf-16"  # as Excel saves "Unicode text", with a byte order mark
OTHERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    json_tables.SUFFIX: json_tables.read_table,
    parquet_tables.SUFFIX: parquet_tables.read_table,
    parquet_tables.FEATHER: parquet_tables.read_table,
}


def read_text(path: Path, separator: str = ",", encoding: str = "utf-8") -> pd.DataFrame:
    """Read a CSV file with a header, every value as text; of a cell of pixels a summary.

    By its suffix a file is a table of JSON, Parquet or Feather, or a CSV file compressed by gzip.

    Raises
    ------
    DataError
        If the file is missing, truncated, empty, not a table, or in another encoding.
    """
    if read := OTHERS.get(path.suffix.lower()):
        return read(path)
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"  # skips a byte order mark if there is one
    try:
        unpacked = _unpacked(path) if _is_packed(path) else None
        text = _parsed(path, unpacked, separator, encoding)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not {error.encoding.removesuffix('-sig').upper()}. "
            "Set csv.encoding (latin-1?), or save the file with encoding UTF-8"
        ) from None
    except LookupError:
        raise DataError(f"{path}: csv.encoding '{encoding}' is unknown to Python") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty. A header and rows are needed") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).removeprefix("Error tokenizing data.").split())
        raise DataError(f"{path}: not a table of one header and equal rows: {reason}") from None
    if text.empty:
        raise DataError(f"{path}: has a header and no rows. At least one row is needed")
    _check_whole(path, text, separator, _end(path, unpacked, encoding))
    return json_tables.spread(text)


def _parsed(path: Path, unpacked: bytes | None, separator: str, encoding: str) -> pd.DataFrame:
    """Return the table; one that is malformed is read again with quotes escaped by backslashes."""
    options: dict[str, Any] = {"encoding": encoding, "sep": separator, "index_col": False}
    options |= {"dtype": str, "keep_default_na": False}
    first = next(csv.reader([_start(path, unpacked, encoding)], delimiter=separator), [])
    if not has_header(first):
        options |= {"header": None, "names": [str(place) for place in range(len(first))]}

    def read(**further: Any) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            content = path if unpacked is None else io.BytesIO(unpacked)
            table: pd.DataFrame = pd.read_csv(content, **options, **further)
            return table

    try:
        return read()
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        if b'\\"' not in (path.read_bytes() if unpacked is None else unpacked):
            raise
        return read(escapechar="\\")


def has_header(first: list[str]) -> bool:
    """Whether the first row of a table names its columns.

    A row of numbers alone is data, unless these are all different, and whole or in order: columns
    may be named by their places, or by wavelengths.

    >>> has_header(["id", "1"]), has_header(["0", "1", "2"]), has_header(["0.3", "-1.2", "0.1"])
    (True, True, False)
    """
    try:
        numbers = [float(name) for name in first]
    except ValueError:
        return True
    if len(numbers) < 2 or len(set(numbers)) < len(numbers):
        return not numbers
    in_order = numbers in (sorted(numbers), sorted(numbers, reverse=True))
    return in_order or all(number >= 0 and number.is_integer() for number in numbers)


def _start(path: Path, unpacked: bytes | None, encoding: str) -> str:
    """Return the first line of a file as text."""
    with path.open("rb") if unpacked is None else io.BytesIO(unpacked) as file:
        text = io.TextIOWrapper(file, encoding, errors="replace", newline=None)
        return text.readline()


def _check_whole(path: Path, text: pd.DataFrame, separator: str, end: str) -> None:
    """Check that the last row is complete: pandas reads missing fields as blanks."""
    last = end.rstrip("\r\n").splitlines()[-1]
    if (fields := last.count(separator) + 1) < len(text.columns) and '"' not in last:
        raise DataError(
            f"{path}: row {len(text)}, the last one, has {fields} fields, and the header "
            f"{len(text.columns)}. Is the file truncated?"
        )


def _end(path: Path, unpacked: bytes | None, encoding: str) -> str:
    """Return the end of a file as text, with the last row in it."""
    if encoding == UTF16:  # the byte order mark is at its start
        return (unpacked or path.read_bytes()).decode(encoding, errors="replace")
    if unpacked is not None:
        return unpacked[-SNIFFED:].decode(encoding, errors="replace")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - SNIFFED))
        return file.read().decode(encoding, errors="replace")


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == PACKED


def _unpacked(path: Path) -> bytes:
    """Return the content of a file compressed by gzip."""
    most = Limits().at_once
    try:
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path}: is not gzip, or is truncated: {error}") from None
    if len(content) > most:
        raise DataError(f"{path}: has more than {most} bytes when it is unpacked. Unpack it first")
    return content


def sniff(path: Path) -> dict[str, str]:
    """Detect the format of a CSV file.

    Returns
    -------
    dict of str to str
        The settings ``separator``, ``decimal`` and ``encoding`` of the section `csv`, where they
        differ from a comma, a point and UTF-8.

    Raises
    ------
    DataError
        If it is missing.
    """
    try:
        content = _unpacked(path) if _is_packed(path) else path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    found: dict[str, str] = {}
    if path.suffix.lower() in OTHERS:
        return found
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found["encoding"] = UTF16
        text = content.decode(UTF16, errors="replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            # Every byte is a character in Latin-1, so this cannot fail.
            found["encoding"] = "latin-1"
            text = content.decode("latin-1")
    head = text[:SNIFFED]
    # Take the separator with the most columns, if every row has the same number of them.
    rows = {separator: _rows(head, separator, len(text) > SNIFFED) for separator in SEPARATORS}
    columns = {separator: _columns(each) for separator, each in rows.items()}
    separator = max(columns, key=lambda each: columns[each])
    if columns[separator] > 1 and separator != ",":
        found["separator"] = separator
        # Between commas a decimal comma would need quotes: only look for one with other separators.
        fields = [field.strip() for row in rows[separator][1:] for field in row]
        commas = sum(re.fullmatch(r"-?\d+,\d+", field) is not None for field in fields)
        points = sum(re.fullmatch(r"-?\d+\.\d+", field) is not None for field in fields)
        if commas > points:
            found["decimal"] = ","
    return found


def _rows(head: str, separator: str, cut: bool) -> list[list[str]]:
    """Return the first rows, without the last one if the text is cut off; [] if it is no table."""
    # Unlike str.splitlines the reader splits at line feeds alone, and not within quotes.
    try:
        rows = list(islice(csv.reader(io.StringIO(head, newline=""), delimiter=separator), 51))
    except csv.Error:
        return []
    rows = rows[:-1] if len(rows) > 50 or (cut and len(rows) > 1) else rows
    return [row for row in rows if row]


def _columns(rows: list[list[str]]) -> int:
    """Return the number of columns, 0 if it varies."""
    counts = {len(row) for row in rows}
    return counts.pop() if len(counts) == 1 else 0
