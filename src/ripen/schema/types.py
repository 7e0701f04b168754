"""What sections are made of: strict dataclasses, and the numbers that are allowed in them."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

typed = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
