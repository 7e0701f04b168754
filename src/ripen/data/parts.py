"""Signs of how training and test part were split: groups or times that only the test part has."""

import re
from typing import Any

import pandas as pd
from pandas.api import types

GROUP_IN_ID = r"^(.+)_\d+$"
GROUP_IN_NAME = r"^(.+)_(?:\d+|left|right)(?:\.\w+)?$"  # of an image, with or without suffix
LEAST_GROUPS = 10  # in the training part: fewer may be a plain category
_TIME_NAME = re.compile(r"date|time|year|month|week|day|hour|period|season", re.IGNORECASE)


def group_in_id(
    train: "pd.Series[str]", test: "pd.Series[str]", pattern: str = GROUP_IN_ID, least: int = 2
) -> bool:
    """Whether ids are ``group_number``, with some groups of several rows and none in both parts.

    Another `pattern` captures the group of another form; `least` groups must be in the first part.

    >>> group_in_id(pd.Series(["1_01", "1_02", "3_01"]), pd.Series(["2_01"]))
    True
    """
    parts = [each.str.extract(pattern)[0] for each in (train, test)]
    if any(each.isna().any() for each in parts):
        return False
    several = parts[0].nunique() < len(parts[0])
    return several and parts[0].nunique() >= least and not set(parts[0]) & set(parts[1])


def is_time(values: "pd.Series[Any]") -> bool:
    """Whether a typed column holds dates, or numbers under the name of a time."""
    if types.is_datetime64_any_dtype(values):
        return True
    return types.is_numeric_dtype(values) and bool(_TIME_NAME.search(str(values.name)))


def later(train: "pd.Series[Any]", test: "pd.Series[Any]") -> bool:
    """Whether a typed column is a time, and no test row is earlier than the last training row."""
    if not (is_time(train) and is_time(test)) or train.nunique() < 2 or not test.notna().any():
        return False
    return bool(test.min() >= train.max())


def are_entities(values: "pd.Series[Any]") -> bool:
    """Whether a typed column may name entities, such as customers: many levels, no fractions."""
    fractions = types.is_float_dtype(values) and (values.dropna() % 1 != 0).any()
    return values.nunique() >= LEAST_GROUPS and not fractions


def apart(train: "pd.Series[Any]", test: "pd.Series[Any]") -> bool:
    """Whether a typed column names entities with several rows each, none of them in both parts."""
    known, others = train.dropna(), test.dropna()
    several = known.nunique() <= len(known) / 2 and others.nunique() < len(others)
    return several and are_entities(known) and not set(known) & set(others)
