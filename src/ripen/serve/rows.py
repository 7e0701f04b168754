"""Models of a table: a form made from its columns, and one row predicted at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ripen.competition.index import Index
from ripen.competition.tasks import Task
from ripen.core.errors import DataError, shown
from ripen.core.frames import read_frame
from ripen.core.layout import Layout
from ripen.data.encoders import columns, described
from ripen.serve.answers import Answer, Field
from ripen.serve.mixture import Mixture, answer
from ripen.settings.schema import Competition

LEVELS = 300  # choices of a question: with more it takes any text
TRUTH = ("false", "true")


@dataclass(frozen=True)
class Table:
    """A fitted model of a table.

    Attributes
    ----------
    mixture : Mixture
    columns : DataFrame
        The prepared training rows.
    task : Task
    names : sequence of str
        Of the model's outputs.
    """

    mixture: Mixture
    columns: pd.DataFrame
    task: Task
    names: Sequence[str]
    fields: Sequence[Field]
    title: str
    about: str
    takes: Literal["row"] = "row"

    def answer(self, question: Mapping[str, Any]) -> Answer:
        """Predict one row (`Served.answer`). A column that is not given is blank."""
        known = {each.name: each for each in self.fields}
        if unknown := sorted(map(str, set(question) - set(known))):
            raise DataError(f"column '{shown(unknown[0])}' is unknown. Known: {', '.join(known)}")
        given = {name: _text(question.get(name), name) for name in known}
        notes = [note for name in known if (note := _unusual(known[name], given[name]))]
        row = pd.DataFrame(
            {name: _typed(given[name], self.columns[name], known[name]) for name in known}
        )
        outputs = self.mixture.outputs(lambda name, model: model.of_rows(row))
        return answer(self.task, self.names, outputs, notes)


def table(
    layout: Layout,
    competition: Competition,
    index: Index,
    mixture: Mixture,
    names: Sequence[str],
    title: str,
    about: str,
) -> Table:
    """Return what answers by fitted models of a table; `names` are those of its outputs."""
    training = read_frame(layout.table).iloc[index.learnable()]
    kinds = columns.kinds(training, described(competition.columns))
    fields = [question(training[each], kinds[each]) for each in map(str, training)]
    return Table(mixture, training, index.task, names, fields, title, about)


def question(values: "pd.Series[Any]", kind: str) -> Field:
    """Return the question that a form asks for a column, from its values in the training rows."""
    name, known = str(values.name), values.dropna()
    if known.empty:
        return Field(name, kind, "")
    if kind == "number":
        least, most = float(known.min()), float(known.max())
        return Field(name, kind, f"{float(known.median()):.6g}", (), least, most)
    if kind == "boolean":
        return Field(name, kind, _spelt(known.mode().iloc[0]), TRUTH)
    if kind == "date":
        return Field(name, kind, str(known.sort_values().iloc[len(known) // 2]))
    if kind == "text":
        return Field(name, kind, "")
    blank = (known != "").sum() < len(values) / 2  # as a cabin is, of most passengers
    usual = "" if blank else _spelt(known.mode().iloc[0])
    own = isinstance(known.dtype, pd.CategoricalDtype)
    levels = known.cat.categories if own else sorted(set(known.astype(str)) - {""})
    return Field(name, kind, usual, tuple(map(str, levels)) if len(levels) <= LEVELS else ())


def _spelt(value: Any) -> str:
    return TRUTH[bool(value)] if isinstance(value, bool | np.bool_) else str(value)


def _text(value: Any, name: str) -> str:
    """Return a value of JSON as a form has it: text, "" for a blank."""
    if value is None:
        return ""
    if isinstance(value, bool | str | int | float):
        return _spelt(value) if isinstance(value, bool) else str(value)
    raise DataError(f"column '{name}': neither a number nor a text")


def _unusual(asked: Field, text: str) -> str:
    """Return what is unusual about a value; "" if nothing is."""
    if asked.least is None or asked.most is None or text == "":
        return ""
    number = _number(text, asked.name)
    if asked.least <= number <= asked.most:
        return ""
    return (
        f"{asked.name} is {number:g}: outside of what the model has learnt from, "
        f"{asked.least:g} to {asked.most:g}"
    )


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"column '{name}': '{shown(text)}' is not a number")
    return number


def _typed(text: str, like: "pd.Series[Any]", asked: Field) -> "pd.Series[Any]":
    """Return a value as a column of one row, of the type that the prepared column has."""
    if asked.levels and text and text not in asked.levels:
        allowed = ", ".join(asked.levels)
        raise DataError(f"column '{asked.name}': '{shown(text)}' is none of: {shown(allowed)}")
    value: Any = text or None
    if asked.kind == "number" and text:
        value = _number(text, asked.name)
    elif asked.kind == "boolean" and text:
        value = text == TRUTH[True]
    elif asked.kind == "date" and text:
        value = pd.to_datetime(text, errors="coerce")
        if pd.isna(value):
            raise DataError(f"column '{asked.name}': '{shown(text)}' is not a date")
    try:
        return pd.Series([value], dtype=like.dtype)
    except (TypeError, ValueError):
        raise DataError(f"column '{asked.name}': '{shown(text)}' cannot be used here") from None
