"""Types of columns, and the encodings that need no fit: booleans, ordered levels, dates, codes."""

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

KINDS = ("number", "category", "ordered", "boolean", "date", "text")
TRUE = {"true", "t", "yes", "y", "1", "1.0"}
FALSE = {"false", "f", "no", "n", "0", "0.0"}
CYCLES = {"year": 365.25, "week": 7.0, "day": 24.0}  # lengths in days, days and hours
WORDS, DISTINCT = 2.0, 0.5  # of texts: mean words in a value, and share of distinct values
MANY, CODED = 30, 0.5  # of codes: more levels than these, and the share of them with a digit
RUNS = re.compile(r"(?P<letters>[^\W\d_]+)|(?P<number>\d+)")
COMPARED = 3  # texts of a row that are compared with each other, at most
WORD = re.compile(r"\w+")
PARTS = ("letters", "last letters", "number", "last number")
Types = Mapping[str, Mapping[str, Any]] | None


def kinds(table: pd.DataFrame, types: Types = None) -> dict[str, str]:
    """Return the type of each column: from the settings, else from its dtype.

    Parameters
    ----------
    table : DataFrame
        Numbers, booleans, dates and ordered categories have pandas' own dtypes. Any other column is
        a text if most values are distinct and have several words, else a category, in which a blank
        is a level.
    types : mapping of str to mapping, optional
        By column, its `type`, one of `KINDS`.
    """
    return {str(name): _kind(table[name], (types or {}).get(str(name), {})) for name in table}


def _kind(values: "pd.Series[Any]", known: Mapping[str, Any]) -> str:
    if (declared := known.get("type")) in KINDS:
        return str(declared)
    if dtypes.is_bool_dtype(values.dtype):
        return "boolean"
    if dtypes.is_numeric_dtype(values.dtype):
        return "number"
    if dtypes.is_datetime64_any_dtype(values.dtype):
        return "date"
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "ordered" if values.dtype.ordered else "category"
    given = _text(values)[lambda text: text != ""]
    words, different = given.str.count(r"\S+").mean(), given.nunique()
    return "text" if words >= WORDS and different >= DISTINCT * len(given) else "category"


def levels(table: pd.DataFrame, types: Types = None) -> dict[str, list[str]]:
    """Return the levels of each ordered category, lowest first: given, pandas' own, or sorted."""
    found = {}
    for name, kind in kinds(table, types).items():
        if kind == "ordered":
            given = (types or {}).get(name, {}).get("levels")
            own = isinstance(table[name].dtype, pd.CategoricalDtype)
            seen = table[name].cat.categories if own else sorted(set(_text(table[name])) - {""})
            found[name] = [str(level) for level in (given or seen)]
    return found


def codes(table: pd.DataFrame, known: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the parts of each category whose levels are codes, such as ``C85`` or ``PC 17599``.

    These are categories of many levels, most of which have a digit. Parts with a single value, or
    with the values of an earlier part, are left out. "" stands for the whole code; it is left out
    where most codes are distinct, and so do not group rows.
    """
    found = {}
    for name in (name for name, kind in known.items() if kind == "category"):
        values = _text(table[name])[lambda text: text != ""]
        given = pd.unique(values)
        if len(given) <= MANY or np.mean([bool(re.search(r"\d", each)) for each in given]) < CODED:
            continue
        whole = [""] if len(given) < DISTINCT * len(values) else []
        kept = dict[tuple[Any, ...], str]()
        for part, each in _parts(pd.Series(given)).items():
            if each.nunique() > 1:
                kept.setdefault(tuple(map(str, each)), part)
        if kept:
            found[name] = whole + list(kept.values())
    return found


def as_numbers(
    table: pd.DataFrame,
    known: Mapping[str, str],
    order: Mapping[str, list[str]],
    coded: Mapping[str, list[str]] | None = None,
) -> pd.DataFrame:
    """Return a table of numbers, text columns and categories, each row computed from itself alone.

    Parameters
    ----------
    table : DataFrame of n rows
    known : mapping of str to str
        From `kinds`.
    order : mapping of str to list of str
        From `levels`. Any other level counts as missing.
    coded : mapping of str to list of str, optional
        From `codes`.

    Returns
    -------
    DataFrame of n rows
        Float64 columns, NaN where blank, and columns of text, whose dtype is object.
    """
    found: dict[str, Any] = {}
    for name, kind in known.items():
        values = table[name]
        if kind == "number":
            found[name] = values
        elif kind == "boolean":
            found[name] = _truth(values)
        elif kind == "ordered":
            places = {level: float(place) for place, level in enumerate(order[name])}
            found[name] = _text(values).map(places).astype(np.float64)
        elif kind == "date":
            found |= {f"{name} {part}": column for part, column in _date(values).items()}
        elif coded and name in coded:
            parts = {"": _text(values)} | _parts(_text(values))
            found |= {f"{name} {part}".strip(): parts[part] for part in coded[name]}
        else:
            found[name] = _text(values)
    texts = [name for name, kind in known.items() if kind == "text"][:COMPARED]
    for one, other in combinations(texts, 2):
        compared = _compared(_text(table[one]), _text(table[other]))
        found |= {f"{one} and {other} {part}": column for part, column in compared.items()}
    return pd.DataFrame(found, index=table.index)


def _compared(one: "pd.Series[str]", other: "pd.Series[str]") -> dict[str, Any]:
    """Return how alike two texts of a row are, such as two questions.

    Shares of words that both have: of all their words (Jaccard), and of the shorter one's
    (Szymkiewicz and Simpson's overlap); 0 where one is blank. And the logarithm of how many times
    more words the first has, of one more than it has.
    """
    found = np.zeros((len(one), 3))
    for place, texts in enumerate(zip(one, other, strict=True)):
        first, second = (set(WORD.findall(text.lower())) for text in texts)
        both, fewer = len(first & second), min(len(first), len(second))
        if fewer:
            found[place, :2] = both / len(first | second), both / fewer
        found[place, 2] = np.log((len(first) + 1) / (len(second) + 1))
    return dict(zip(("shared words", "overlap", "length"), found.T, strict=True))


def _text(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return values as text, "" where missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):  # each level once, not each row
        levels = np.array([*map(str, values.cat.categories), ""], object)
        return pd.Series(levels[values.cat.codes], values.index, object, values.name)
    return values.astype(object).where(values.notna(), "").map(str).astype(object)


def _truth(values: "pd.Series[Any]") -> "pd.Series[Any]":
    def number(value: str) -> float:
        lower = value.strip().lower()
        return 1.0 if lower in TRUE else 0.0 if lower in FALSE else np.nan

    return _text(values).map(number).astype(np.float64)


def _parts(values: "pd.Series[str]") -> dict[str, Any]:
    """Return the first and the last run of letters of codes, and of digits as a number."""
    known = {}
    for code in pd.unique(values):
        runs = list(RUNS.finditer(code))
        letters = [run["letters"] for run in runs if run["letters"]] or [""]
        numbers = [float(run["number"]) for run in runs if run["number"]] or [np.nan]
        known[code] = letters[0], letters[-1], numbers[0], numbers[-1]
    return {
        part: values.map({code: each[k] for code, each in known.items()}).astype(
            np.float64 if part.endswith("number") else object
        )
        for k, part in enumerate(PARTS)
    }


def _date(values: "pd.Series[Any]") -> dict[str, Any]:
    """Return parts of a date, and its position in year, week and day as sine and cosine."""
    dates = pd.to_datetime(values.replace("", None), errors="coerce", format="mixed")
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert(None)
    at = dates.dt
    hours = at.hour + at.minute / 60 + at.second / 3600
    days = (dates - pd.Timestamp(0)) / pd.Timedelta(days=1)
    parts: dict[str, Any] = {
        "days": days, "year": at.year, "month": at.month, "day": at.day, "weekday": at.day_of_week,
        "hour": hours,
    }  # fmt: skip
    for name, place in (("year", at.day_of_year), ("week", at.day_of_week), ("day", hours)):
        angle = 2 * np.pi * place / CYCLES[name]
        parts |= {f"{name} sin": np.sin(angle), f"{name} cos": np.cos(angle)}
    return {name: column.astype(np.float64) for name, column in parts.items()}
