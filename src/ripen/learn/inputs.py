"""The inputs of a model: a table's columns, features of images, both, or images."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import own
from ripen.competition.index import Index, Ints
from ripen.core.errors import reading
from ripen.core.frames import read_frame
from ripen.core.layout import Layout
from ripen.learn.models.saved import write_input
from ripen.settings.schema import Competition

if TYPE_CHECKING:  # it imports scikit-learn, which features and images do without
    from ripen.data.encoders import Encoder

READ_AT_ONCE = 1000  # rows of features: all at once would take the most memory


class Input(Protocol):
    """Rows of one kind."""

    def take(self, rows: Ints) -> Any:
        """Return the model's input for rows of the index."""

    def encoder(self, encode: str = "one_hot", sparse: bool = False, seed: int = 0) -> Any:
        """Return an unfitted transformer of the input to float32 arrays; None if it is one already.

        Parameters
        ----------
        encode : str
            An encoder of the registry (`ripen.data.encoders`).
        sparse : bool
            Whether the array may be a sparse one.
        seed : int
        """

    def save(self, folder: Path) -> None:
        """Write how raw data becomes the input into the folder of a served model."""


@dataclass(frozen=True)
class Table:
    """Typed columns, which an encoder turns into numbers.

    Attributes
    ----------
    columns : DataFrame
    scale : float or None
    types : dict of str to dict
        Types of columns beyond their dtypes (`ripen.data.encoders.described`).
    before : sequence of transformers
        The competition's own, which are fitted before the encoder.
    clip : float or None
        The largest standardized number.
    """

    columns: pd.DataFrame
    scale: float | None
    types: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: Sequence[Any] = ()
    clip: float | None = None

    def take(self, rows: Ints) -> pd.DataFrame:
        """Return the rows' columns."""
        return self.columns.iloc[rows]

    def encoder(self, encode: str = "one_hot", sparse: bool = False, seed: int = 0) -> "Encoder":
        """Return the encoder of these columns."""
        from ripen.data.encoders import Encoder

        return Encoder(self.scale, encode, self.types, self.before, sparse, seed, self.clip)

    def save(self, folder: Path) -> None:
        """Write nothing: the model has the encoder."""


@dataclass(frozen=True)
class Features:
    """Features of several nets side by side, each the mean over an image's views.

    Attributes
    ----------
    values : float32 ndarray of shape (m, d)
    places : int64 ndarray of shape (n,)
        Position of each row of the index in `values`; -1 if it has none.
    """

    values: NDArray[np.float32]
    places: Ints
    names: Sequence[str]
    competition: Competition

    def take(self, rows: Ints) -> NDArray[np.float32]:
        """Return the rows' features."""
        at = self.places[rows]
        # Rows that follow each other are a slice, which copies nothing.
        if len(at) and at[-1] - at[0] == len(at) - 1 and (np.diff(at) == 1).all():
            return self.values[at[0] : at[-1] + 1]
        return self.values[at]

    def columns(self) -> pd.DataFrame:
        """Return the features of all rows of the index as columns, missing where a row has none."""
        names = [f"feature_{number}" for number in range(self.values.shape[1])]
        found = self.values[self.places]
        found[self.places < 0] = np.nan
        return pd.DataFrame(found, columns=names)

    def encoder(self, encode: str = "one_hot", sparse: bool = False, seed: int = 0) -> None:
        """Return nothing: features are arrays."""
        return

    def save(self, folder: Path) -> None:
        """Write which features of an image they are."""
        from ripen.learn.models.image_features import image_features

        write_input(folder, image_features(self.competition, self.names))


def read_features(
    layout: Layout, names: Sequence[str], n: int, competition: Competition
) -> Features:
    """Read features of nets side by side.

    Parameters
    ----------
    layout : Layout
    names : sequence of str
        Of the section `features`.
    n : int
        Rows of the index.
    """
    import h5py

    with ExitStack() as stack:
        paths = [layout.features / f"{name}.h5" for name in names]
        stack.enter_context(reading(" and ".join(map(str, paths))))
        files = [stack.enter_context(h5py.File(path)) for path in paths]
        rows, nets = files[0]["row"][()], [file["features"] for file in files]
        values = np.empty((len(rows), sum(net.shape[2] for net in nets)), np.float32)
        for start in range(0, len(rows), READ_AT_ONCE):
            some = slice(start, start + READ_AT_ONCE)
            means = [net[some].mean(axis=1, dtype=np.float32) for net in nets]
            np.concatenate(means, axis=1, out=values[some])
    places = np.full(n, -1)
    places[rows] = np.arange(len(rows))
    return Features(values, places, names, competition)


@contextmanager
def opened(
    names: Sequence[str], competition: Competition, layout: Layout, index: Index
) -> Iterator[Input]:
    """Open a model's inputs.

    Parameters
    ----------
    names : sequence of str
        The model's `inputs`.
    """
    if "table" in names:
        from ripen.data.encoders import described

        columns = read_frame(layout.table)
        if features := [name for name in names if name != "table"]:
            beside = read_features(layout, features, len(index.rows), competition).columns()
            columns = pd.concat([columns, beside], axis=1)
        yield Table(
            columns,
            competition.columns.scale,
            described(competition.columns),
            own.transformers(layout.competition),
            competition.columns.clip,
        )
    elif list(names) == ["images"]:
        from ripen.learn.image_files import opened as opened_images

        with opened_images(layout, index, competition) as images:
            yield images
    else:
        yield read_features(layout, names, len(index.rows), competition)
