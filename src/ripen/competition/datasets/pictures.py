"""What a competition of small pictures is, kept as HDF5 files; how they are checked and split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ripen.competition.datasets.prepared import Part
from ripen.competition.datasets.tabular import read_table
from ripen.core.atomic import replacing
from ripen.core.errors import DataError


@dataclass(frozen=True)
class Raw:
    """Pictures as they came.

    Attributes
    ----------
    ids : int64 ndarray of shape (n,)
    pictures : uint8 ndarray of shape (n, height, width)
    labels : int64 ndarray of shape (n,), or None where they are not known
    """

    ids: NDArray[np.int64]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


@dataclass(frozen=True)
class Images:
    """A competition of pictures of one size, and of the classes that a net is pretrained on.

    `submitted` names the columns of a submission, each with the class whose probability it holds;
    `white` is the largest value of a pixel. `generate` makes the files.
    """

    id: str
    classes: tuple[str, ...]
    pretrained: tuple[str, ...]
    submitted: Mapping[str, int]
    size: tuple[int, int]
    white: int
    generate: Callable[..., tuple[dict[str, Raw], dict[str, pd.DataFrame]]]

    def schema(self, columns: dict[str, str]) -> pa.DataFrameSchema:
        """Return the checks of a file with these columns, of ids and labels."""
        label = pa.Check.in_range(0, len(self.classes) - 1)
        return pa.DataFrameSchema(
            {
                name: pa.Column(
                    np.int64,
                    None if name == self.id else label,
                    coerce=True,
                    unique=name == self.id,
                )
                for name in columns
            }
        )

    def sample_columns(self) -> dict[str, str]:
        """Return the columns of the sample submission: name to what is allowed in it."""
        return {self.id: "a whole number"} | dict.fromkeys(self.submitted, "a probability")


def write_raw(path: Path, raw: Raw) -> None:
    """Write pictures as HDF5, whole or not at all."""
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file["id"], file["data"] = raw.ids, raw.pictures
        if raw.labels is not None:
            file["label"] = raw.labels


def read_raw(path: Path, dataset: Images, classes: int) -> Raw:
    """Read pictures and check them.

    Raises
    ------
    DataError
        One line that names the file and, where it is one picture, its row.
    """
    try:
        with h5py.File(path) as file:
            values = {name: file[name][()] for name in ("id", "data", "label") if name in file}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Run: dvc repro") from None
    except OSError:
        raise DataError(f"{path}: is no HDF5 file, or is damaged. Run: dvc repro --force") from None
    missing = {"id", "data"} - set(values)
    if missing:
        raise DataError(f"{path}: has no dataset '{min(missing)}'")
    raw = Raw(values["id"], values["data"], values.get("label"))
    _check_raw(path, raw, dataset, classes)
    return raw


def _check_raw(path: Path, raw: Raw, dataset: Images, classes: int) -> None:
    shape = (len(raw.ids), *dataset.size)
    if raw.pictures.shape != shape:
        raise DataError(f"{path}: 'data' has shape {raw.pictures.shape}, and {shape} is needed")
    bad = np.flatnonzero(raw.pictures.max(axis=(1, 2), initial=0) > dataset.white)
    if len(bad):
        raise DataError(f"{path}: row {bad[0] + 1} has a pixel above {dataset.white}")
    repeated = pd.Series(raw.ids).duplicated()
    if repeated.any():
        raise DataError(f"{path}: row {repeated.argmax() + 1}: its id is in an earlier row already")
    if raw.labels is None:
        return
    if raw.labels.shape != raw.ids.shape:
        raise DataError(f"{path}: has {len(raw.labels)} labels of {len(raw.ids)} pictures")
    bad = np.flatnonzero((raw.labels < 0) | (raw.labels >= classes))
    if len(bad):
        value = raw.labels[bad[0]]
        raise DataError(f"{path}: row {bad[0] + 1}: label {value} is not from 0 to {classes - 1}")


def part(raw: Raw, dataset: Images) -> Part:
    """Scale pictures to what Caffe reads: one channel, values from 0 to 1."""
    data = raw.pictures[:, None].astype(np.float32) / np.float32(dataset.white)
    return Part(raw.ids, data, raw.labels)


def split(whole: Part, validation_size: float, seed: int) -> tuple[Part, Part]:
    """Split into two parts, stratified by class.

    Raises
    ------
    DataError
        If a class has too few pictures for that.
    """
    labels = whole.arrays()[1]
    try:
        kept, held_out = train_test_split(
            np.arange(len(labels)), test_size=validation_size, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DataError(f"{len(labels)} pictures cannot be split: {error}") from None
    return alternated(whole.rows(kept)), whole.rows(held_out)


def alternated(part: Part) -> Part:
    """Order rows so that the classes take turns: the first n hold as many of each as can be."""
    labels = part.arrays()[1]
    turn = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    return part.rows(np.lexsort((labels, turn)))


def read_solution(path: Path, dataset: Images, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read the labels of the test pictures.

    Raises
    ------
    DataError
        If it is not for these pictures in this order, or a value is not what it should be.
    """
    last = len(dataset.classes) - 1
    columns = {dataset.id: "a whole number", "label": f"a whole number from 0 to {last}"}
    solution = read_table(path, dataset, columns)
    if solution[dataset.id].tolist() != ids.tolist():
        raise DataError(f"{path}: its ids are not those of {path.with_name('test.h5')}")
    return solution["label"].to_numpy()
