"""The types of a table's columns, detected from the training part's values as text.

Only `detect` decides on types: stage `prepare` and `ripen new` both call it.
"""

import re
from typing import Any

import numpy as np
import pandas as pd

from ripen.settings.schema import Column

MISSING = frozenset({"", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?"})
"""Texts that stand for a missing value in a column of numbers or dates. In any other column only a
blank does: `NA` is a level of many columns of house prices."""

BLANK = frozenset({""})

FEW = 20  # rows: with fewer, distinct values do not make an identifier
NUMERIC = 0.95  # share of numbers above which a column's other values are mistakes
WORDS = 2.0  # mean words in a value, and
DISTINCT = 0.5  # share of distinct values, from which on a column holds text
LONG = 40  # mean characters: text, however often it is repeated

BOOLEANS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))

# Levels from low to high; a column may lack some. "NA" and "None" come below all.
SCALES = (
    ("Po", "Fa", "TA", "Gd", "Ex"),
    ("poor", "fair", "average", "good", "very good", "excellent"),
    ("very low", "low", "medium", "high", "very high"),
    ("low", "moderate", "high"),
    ("tiny", "small", "medium", "large", "huge"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("cold", "warm", "hot"),
    ("novice", "beginner", "intermediate", "advanced", "expert"),
)
BELOW = ("NA", "None", "none")

# The first format that fits every value wins. Formats with the month first come first, as in most
# of Kaggle's files, unless the separator is a full stop.
DATES = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m",
    "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%m/%d/%Y", "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M", "%d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%y", "%d/%m/%y",
    "%d.%m.%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y",
    "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%H:%M:%S", "%H:%M",
)  # fmt: skip

UNIX = "unix"  # seconds or milliseconds since 1970, in a column named like a time
_UNIX_NAME = re.compile(r"time|date|stamp|unix|epoch", re.IGNORECASE)
MILLISECONDS = 1e11
_UNIX = r"[1-9]\d{8,9}(?:\d{3})?(?:\.0)?"  # from 1973 on

# An amount of money, a percentage, or a number with commas between thousands.
_AMOUNT = r"\s*[-+]?[$€£]?\s?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?\s?%?\s*"
_SIGNS = r"[$€£%,]"
_DATE = re.compile(r"\d{1,4}[-/.: ]|[A-Za-z]{3,9} \d{1,2}, \d{4}$")
_ID_NAME = re.compile(r"(^|_|\s)(?i:id|index|idx|key|uuid|guid|unnamed: 0)$|[a-z](Id|ID)$|^$")
_RANGE = re.compile(r"[<>≤≥]?=?\s*(\d+(?:\.\d+)?)\s*(?:(?:-|–|to)\s*\d+(?:\.\d+)?|\+)?\s*[A-Za-z]*")
_ENDS = re.compile(r"^[<>≤≥]|\d\s*(?:-|–|to)\s*\d|\+")


def detect(values: "pd.Series[str]", decimal: str = ".") -> Column:
    """Detect the type of a column of the training part.

    Parameters
    ----------
    values : Series of str
        Every value as text; the name is the column's.
    decimal : "." or ","

    Returns
    -------
    Column
        Its type, the levels of an ordered one, the format of dates.

        - constant: the same value in all rows, or none;
        - number: numbers, blanks and texts of `MISSING`. A few other values among many numbers are
          left for the reader to report;
        - identifier: one word, different in every row, or a column named like an id;
        - boolean: two levels such as True and False; 0 and 1 are numbers;
        - date: in one of the formats `DATES`, or seconds since 1970 under the name of a time;
        - ordered: levels of one of the `SCALES`, or ranges of numbers such as 18-25;
        - text: several words, most values different;
        - category: anything else.
    """
    given = values[values != ""]
    levels = given.unique()
    if values.nunique() <= 1:
        return Column(type="constant")
    unique = len(levels) == len(values) >= FEW
    if is_unix(values):
        return Column(type="date", format=UNIX)
    if _is_number(values, decimal):
        named = _ID_NAME.search(str(values.name)) is not None
        whole = named and unique and bool(given.str.fullmatch(r"\d+").all())
        return Column(type="identifier" if whole else "number")
    if tuple(sorted(level.casefold() for level in levels)) in BOOLEANS:
        return Column(type="boolean")
    if format_ := _calendar_format(values):
        return Column(type="date", format=format_)
    if order := _ordered(list(levels)):
        return Column(type="ordered", levels=order)
    words = given.str.count(r"\S+").mean()
    length = given.str.len().mean()
    if len(given) >= FEW and (
        (words >= WORDS and len(levels) >= DISTINCT * len(given))
        or (length >= LONG and words > WORDS)
    ):
        return Column(type="text")
    return Column(type="identifier" if unique and words < WORDS else "category")


def convert(values: "pd.Series[str]", column: Column, decimal: str = ".") -> "pd.Series[Any]":
    """Convert a column's values to its type; a value that does not fit becomes missing.

    Returns
    -------
    Series
        Numbers are float64, booleans pandas' "boolean", dates datetime64; categories and ordered
        columns are pandas' "category", with sorted levels or in their order; texts, identifiers and
        constants are text. Missing values are missing in each of them.
    """
    given = values.mask(is_missing(values, column))
    match column.type:
        case "number":
            # Each text once: of an image's pixels there are few.
            codes, texts = pd.factorize(given, use_na_sentinel=False)
            once = with_points(pd.Series(texts, dtype=given.dtype), decimal)
            numbers = pd.to_numeric(once, errors="coerce").to_numpy(np.float64, na_value=np.nan)
            return pd.Series(numbers[codes], given.index, name=given.name)
        case "boolean":
            places = {text: bool(place) for pair in BOOLEANS for place, text in enumerate(pair)}
            found = given.str.casefold().map(places | {"0": False, "1": True})
            return found.astype("boolean")
        case "date":
            return dates(given, column.format or date_format(values))
        case "ordered":
            assert column.levels is not None
            known = given.where(given.isin(column.levels))
            return known.astype(pd.CategoricalDtype(column.levels, ordered=True))
        case "category":
            return given.astype("category")
    return given


def is_missing(values: "pd.Series[str]", column: Column) -> "pd.Series[bool]":
    """Return which values mean a missing one."""
    texts = MISSING if column.type in ("number", "date") else BLANK
    return values.str.strip().isin(texts.union(column.unknown or ()))


def with_points(values: "pd.Series[str]", decimal: str) -> "pd.Series[str]":
    """Write numbers with a decimal point, as pandas reads them: ``$1,200.50`` as ``1200.50``."""
    if decimal != ".":
        # With a decimal comma 1.5 is a mistake: the question mark makes it an invalid number.
        return values.str.replace(".", "?").str.replace(decimal, ".")
    signs = values.str.contains(_SIGNS, na=False)
    if not signs.any():  # most columns, and the match below takes long
        return values
    amounts = signs & values.str.fullmatch(_AMOUNT, na=False)
    return values.mask(amounts, values.str.replace(_SIGNS, "", regex=True))


def dates(values: "pd.Series[Any]", format_: str | None) -> "pd.Series[Any]":
    """Return times, without their zone in UTC; a value of another format is missing."""
    if format_ == UNIX:
        seconds = pd.to_numeric(values, errors="coerce")
        milliseconds = seconds >= MILLISECONDS
        return pd.to_datetime(seconds.mask(milliseconds, seconds / 1000), unit="s")
    zoned = format_ is not None and format_.endswith("%z")
    found = pd.to_datetime(values, format=format_, errors="coerce", utc=zoned)
    return found.dt.tz_localize(None) if zoned else found


def date_format(values: "pd.Series[str]") -> str | None:
    """Return the format that fits all values present, None if there is none."""
    return UNIX if is_unix(values) else _calendar_format(values)


def _calendar_format(values: "pd.Series[str]") -> str | None:
    """Return which of `DATES` fits all values present, None if none does."""
    given = values[~values.isin(MISSING)].drop_duplicates()
    if given.empty or not given.str.match(_DATE).all():
        return None
    for format_ in DATES:
        # Most formats fail on the first value already.
        if dates(given[:1], format_).isna().all():
            continue
        if dates(given, format_).notna().all():
            return format_
    return None


def is_unix(values: "pd.Series[str]") -> bool:
    """Whether values are seconds or milliseconds since 1970, in a column named like a time."""
    if not _UNIX_NAME.search(str(values.name)):
        return False
    given = values[~values.isin(MISSING)]
    return bool(len(given) and given.str.fullmatch(_UNIX).all())


def _is_number(values: "pd.Series[str]", decimal: str) -> bool:
    """Whether all values are numbers or missing, or nearly all, so that others are mistakes."""
    # Each text once: of an image's pixels there are few.
    once = values.drop_duplicates()
    once = once[~once.str.strip().isin(MISSING)]
    if pd.to_numeric(with_points(once, decimal), errors="coerce").notna().all():
        return True
    given = values[~values.str.strip().isin(MISSING)]
    share = pd.to_numeric(with_points(given, decimal), errors="coerce").notna().mean()
    return bool(share == 1 or (share >= NUMERIC and len(given) >= FEW))


def _ordered(levels: list[str]) -> list[str]:
    """Return levels from low to high if they have an order, else []."""
    below = [level for level in BELOW if level in levels]
    others = [level for level in levels if level not in below]
    if len(others) < 2:
        return []
    for scale in SCALES:
        places = {level.casefold(): place for place, level in enumerate(scale)}
        if all(level.casefold() in places for level in others):
            return below + sorted(others, key=lambda level: places[level.casefold()])
    ranges = [(_RANGE.fullmatch(level.strip()), level) for level in others]
    # Require at least one range, closed or open: 10A and 11B are codes.
    if all(match for match, _ in ranges) and any(_ENDS.search(level) for level in others):
        starts = sorted((float(m[1]), not level.startswith("<"), level) for m, level in ranges if m)
        return below + [level for _, _, level in starts]
    return []
