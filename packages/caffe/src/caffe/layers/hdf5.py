"""HDF5Data, HDF5Output."""

import os

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from caffe import rng
from caffe.errors import FormatError, naming
from caffe.formats import read_file, reason, replacing
from caffe.hdf5 import is_hdf5, longer_file, new_file, opened, read_numbers
from caffe.layers.base import Blobs, Layer, register
from caffe.layers.data import Source


@register("HDF5Data")
class HDF5Data(Source):
    """Rows of the HDF5 files in a text file's list; each top is the dataset of its name.

    Rows come in order, file by file, over and over; with `shuffle` files, and rows within a file,
    are reshuffled in each round (hdf5_data_layer.cpp).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.hdf5_data_param
        if not param.batch_size:
            raise self.error("batch_size is missing or 0. Allowed: 1 or more")
        if self.param.HasField("transform_param"):
            raise self.error("does not transform data: transform_param is not allowed")
        needed = "Needed: a text file that lists HDF5 files, one a line"
        if is_hdf5(param.source):
            raise self.error(f"source '{param.source}' is an HDF5 file itself. {needed}")
        try:
            self._files = os.fsdecode(read_file(param.source)).split()
        except FormatError as error:
            raise self.error(f"source {error}. {needed}") from None
        if any("\0" in name for name in self._files):
            raise self.error(f"source '{param.source}' is binary. {needed}")
        if not self._files:
            raise self.error(f"source '{param.source}' lists no file. Needed: at least 1")
        self._file_order = self._order(len(self._files))
        self._file = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._load()
        for blob, rows in zip(top, self._rows, strict=True):
            blob.reshape(param.batch_size, *rows.shape[1:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        size = self.param.hdf5_data_param.batch_size
        batch = [torch.empty((size, *rows.shape[1:]), device="cpu") for rows in self._rows]
        filled = 0
        while filled < size:
            if self._row == len(self._rows[0]):
                self._next_file()
            taken = min(size - filled, len(self._rows[0]) - self._row)
            for values, rows in zip(batch, self._rows, strict=True):
                values[filled : filled + taken] = rows[self._row : self._row + taken]
            self._row += taken
            filled += taken
        for blob, values in zip(top, batch, strict=True):
            blob.set_data(values)

    def _next_file(self) -> None:
        if len(self._files) > 1:
            self._file += 1
            if self._file == len(self._files):
                self._file, self._file_order = 0, self._order(len(self._files))
            self._load()
        elif self.param.hdf5_data_param.shuffle:
            self._load()
        self._row = 0

    def _load(self) -> None:
        name = self._files[self._file_order[self._file]]
        with self.naming(), opened(name) as file:
            rows = [self._read(file, name, top) for top in self.param.top]
        lengths = {len(values) for values in rows}
        if len(lengths) > 1 or 0 in lengths:
            raise self.error(
                f"{name}: the datasets have {sorted(lengths)} rows. Needed: the same number in "
                "each, at least 1"
            )
        for top, values in zip(self.param.top, rows, strict=True):
            needed = self._shapes.setdefault(top, values.shape[1:])
            if values.shape[1:] != needed:
                raise self.error(
                    f"{name}: rows of dataset '{top}' have shape {values.shape[1:]}; those of "
                    f"{self._files[self._file_order[0]]} have {needed}"
                )
        order = self._order(len(rows[0]))
        shuffled = self.param.hdf5_data_param.shuffle
        self._rows = [torch.from_numpy(v[order] if shuffled else v) for v in rows]
        self._row = 0

    def _read(self, file: h5py.File, name: str, top: str) -> NDArray[np.float32]:
        if top not in file:
            there = ", ".join(sorted(file))
            raise self.error(f"{name} has no dataset '{top}'. Available: {there}")
        found = file[top]
        if not isinstance(found, h5py.Dataset):
            raise self.error(f"{name}: '{top}' is a group. Needed: a dataset")
        if found.dtype.kind not in "fiu" or not found.ndim:
            raise self.error(
                f"{name}: dataset '{top}' has type {found.dtype} and {found.ndim} axes. "
                "Allowed: numbers, 1 axis or more"
            )
        with naming(name):
            return read_numbers(found)

    def _order(self, n: int) -> NDArray[np.int64]:
        if self.param.hdf5_data_param.shuffle:
            return rng.generator().permutation(n)
        return np.arange(n)


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to the datasets `data` and `label` of a file, with four axes as Caffe.

    The file is created when the net is built, and complete after every pass. Real Caffe aborts in
    the second pass; here its rows are appended.
    """

    bottoms = (2, 2)
    tops = (0, 0)
    no_backward = frozenset({0, 1})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if not self._file:
            raise self.error("needs hdf5_output_param { file_name }")
        with self.naming(), replacing(self._file) as temporary, new_file(temporary, 0):
            pass

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shapes = [blob.shape for blob in bottom]
        if not all(0 < len(shape) <= 4 for shape in shapes) or shapes[0][0] != shapes[1][0]:
            raise self.error(
                f"cannot write shapes {shapes[0]} and {shapes[1]}: 1 to 4 axes and "
                "the same number of rows are needed"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        arrays = [blob.tensor.float().cpu().numpy() for blob in bottom]
        try:
            with longer_file(self._file, sum(rows.nbytes for rows in arrays)) as file:
                for name, rows in zip(("data", "label"), arrays, strict=True):
                    rows = rows.reshape(*rows.shape, *[1] * (4 - rows.ndim))
                    try:
                        self._append(file, name, rows)
                    except ValueError as error:
                        raise self.error(f"{name} cannot be written: {error}") from None
        except OSError as error:
            raise self.error(f"{self._file}: cannot be written: {reason(error)}") from None

    def _append(self, file: h5py.File, name: str, rows: NDArray[np.float32]) -> None:
        if name not in file:
            file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
            return
        stored = file[name]
        if stored.shape[1:] != rows.shape[1:]:
            raise self.error(
                f"rows of {name} have shape {rows.shape[1:]}; those written before have "
                f"{stored.shape[1:]}"
            )
        stored.resize(len(stored) + len(rows), axis=0)
        stored[-len(rows) :] = rows

    @property
    def _file(self) -> str:
        return str(self.param.hdf5_output_param.file_name)
