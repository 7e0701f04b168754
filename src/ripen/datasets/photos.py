"""What a competition of photographs is, whose files are archives, as Kaggle gives them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandera.pandas as pa


@dataclass(frozen=True)
class Photos:
    """A competition of photographs.

    Attributes
    ----------
    id : str
        The sample submission's column of ids.
    classes : tuple of str
        As the names of training pictures have them.
    submitted : mapping of str to int
        The columns of a submission, each with the class whose probability it holds.
    kaggle : str
        Kaggle's name of the competition, whose archive has all its files.
    title, source, licence : str
        For the data card.
    """

    id: str
    classes: tuple[str, ...]
    submitted: Mapping[str, int]
    kaggle: str
    title: str
    source: str
    licence: str

    def sample_columns(self) -> dict[str, str]:
        """Return the columns of the sample submission: name to what is allowed in it."""
        return {self.id: "a whole number"} | dict.fromkeys(self.submitted, "a probability")

    def schema(self, columns: dict[str, str]) -> pa.DataFrameSchema:
        """Return the checks of a file with these columns."""
        return pa.DataFrameSchema(
            {
                name: pa.Column(
                    np.int64 if name == self.id else np.float64,
                    None if name == self.id else pa.Check.in_range(0, 1),
                    coerce=True,
                    unique=name == self.id,
                )
                for name in columns
            }
        )
