"""What a competition of photographs is, whose files are archives, as Kaggle gives them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandera.pandas as pa

from ripen.core.errors import ConfigError
from ripen.data.labels import Known, Labels, reader


@dataclass(frozen=True)
class Photos:
    """A competition of photographs.

    Attributes
    ----------
    id : str
        The sample submission's column of ids.
    named : tuple of str, or Path
        The classes, as the names of training pictures have them; or a table of WordNet synsets,
        one of which is in the name of every picture.
    submitted : mapping of str to int
        The columns of a submission, each with the class whose probability it holds; none where
        nothing is submitted.
    kaggle : str or None
        Kaggle's name of the competition, whose archive has all its files.
    title, source, licence : str
        For the data card.
    listed : Path or None
        A table of the photographs that are at `source`, a repository on GitHub, one by one.
    chosen : tuple of str
        The synsets that are the classes, to be learnt; none where it is all of the table's, which
        the nets know already.
    """

    id: str
    named: tuple[str, ...] | Path
    submitted: Mapping[str, int]
    kaggle: str | None
    title: str
    source: str
    licence: str
    listed: Path | None = None
    chosen: tuple[str, ...] = ()

    @property
    def learns(self) -> bool:
        """Whether there is something to train, and so folds to validate it on."""
        return bool(self.submitted or self.chosen)

    def only(self, synsets: Sequence[str]) -> "Photos":
        """Return the competition that has some of the synsets as its classes, in their order."""
        return replace(self, chosen=tuple(sorted(synsets)))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels.

        Raises
        ------
        ConfigError
            If one of the chosen is not in the table.
        """
        if isinstance(self.named, tuple):
            return self.named
        # Some of the 1,000 have the same name as another.
        return tuple(f"{name} ({synset})" for synset, name in self._synsets.items())

    def read_labels(self, names: Sequence[str]) -> Labels:
        """Return the labels of files.

        Raises
        ------
        DataError
            If the reader does not understand the name of an image.
        """
        form = "name" if isinstance(self.named, tuple) else "synset"
        part: Literal["train", "test"] = "train" if self.learns else "test"
        return reader(form)(names, Known(classes=self.classes, part=part))

    def photographs(self) -> dict[str, str]:
        """Return the SHA-256 of the photographs that are fetched one by one, by file."""
        if self.listed is None:
            return {}
        with self.listed.open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["sha256"] for row in csv.DictReader(file)}

    @cached_property
    def _synsets(self) -> dict[str, str]:
        """The first of a synset's names, by synset."""
        with Path(str(self.named)).open(encoding="utf-8", newline="") as file:
            names = {r["synset"]: r["name"].partition(",")[0] for r in csv.DictReader(file)}
        if unknown := sorted(set(self.chosen) - set(names)):
            raise ConfigError(f"synset {unknown[0]} is none of the {len(names)} of {self.named}")
        return {synset: names[synset] for synset in self.chosen} or names

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
