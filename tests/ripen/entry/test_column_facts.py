"""Values of another type than their column's."""

from typing import Any

import pandas as pd
import pytest

from ripen.data.column_types import convert
from ripen.entry.column_facts import odd
from ripen.settings.schema import Column

NUMBERS = [str(i / 4) for i in range(40)]
DAYS = [f"2020-01-{day:02d}" for day in range(1, 29)]
CASES: dict[str, tuple[list[str], list[str], dict[str, Any] | None]] = {
    "numbers and gaps": ([*NUMBERS, "", "NA", "?"], ["1"], None),
    "a word among numbers": (
        [*NUMBERS, "-"], ["1", "n/k"], {"type": "number", "unknown": ["-", "n/k"]},
    ),
    "an infinite number": (NUMBERS, ["inf"], {"type": "number", "unknown": ["inf"]}),
    "a word among few numbers": (["4", "6"] * 20 + ["rotary"], ["4"], {"type": "category"}),
    "a third level": (["True", "False"] * 5, ["True", "Unknown"], {"type": "category"}),
    "a later format": (DAYS, ["2020-02-01 12:00"], {"type": "date", "format": "%Y-%m-%d",
                                                    "unknown": ["2020-02-01 12:00"]}),
    "words": (["a", "b"], ["c", "inf"], None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_that_do_not_fit_their_column(name: str) -> None:
    train, test, expected = CASES[name]
    found = odd(pd.DataFrame({"x": train, "only": train}), pd.DataFrame({"x": test}))
    assert found.settings == ({} if expected is None else {"x": expected})


def test_an_unknown_text_is_a_missing_value() -> None:
    column = Column(type="number", unknown=["-", "n/k"])
    found = convert(pd.Series(["1", "-", "n/k", "2"]), column)
    assert found.isna().tolist() == [False, True, True, False]
