"""Strict dataclasses for settings, and types of numbers with a range."""

from typing import Annotated, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def key_of(field: str) -> str:
    """Return the key of a field: `from_` stands for `from`, a keyword of Python."""
    return field.rstrip("_")


T = TypeVar("T")
_typed = dataclass(
    frozen=True,
    kw_only=True,
    config=ConfigDict(extra="forbid", strict=True, alias_generator=key_of, populate_by_name=True),
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def typed(cls: type[T]) -> type[T]:
    """Make a class a section of settings: frozen, keyword-only, strictly typed, no other keys."""
    return cast(type[T], _typed(cls))
