"""Caffe's HDF5 files of weights and solver states: `.caffemodel.h5`, `.solverstate.h5`.

Weights: a group `data` (and `diff`) with a group for each layer, with a dataset for each blob,
named by its index; shared blobs are stored for their owner only. A layer with a slash in its name
is a nested group: real Caffe cannot write such nets and skips these layers when it reads.

State: `iter`, `current_step`, `learned_net`, and a group `history` of numbered datasets.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caffe.blob import MAX_COUNT, Blob
from caffe.errors import CaffeError, FormatError, naming
from caffe.formats import (
    HANDLES,
    HDF5,
    PathLike,
    blob_array,
    read_binary,
    replacing,
    set_blob,
    shown,
    write_binary,
)
from caffe.layers.base import Layer
from caffe.proto.caffe_pb2 import SolverState

MOST_COMPRESSED = 2000  # no valid file exceeds it: gzip, HDF5's best, stays below 1:1032
_SPARE = 1 << 20  # bytes for what HDF5 stores besides the numbers
_END = 40  # where a file that h5py writes states its size
_BOMB = 100, 2**30  # refused: more than this ratio and this many bytes


def is_hdf5(path: PathLike) -> bool:
    """Return whether a file begins like HDF5; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HDF5)) == HDF5
    except (OSError, ValueError):  # a ValueError if the path contains NUL
        return False


def write_weights(
    path: PathLike, layers: Iterable[Layer], owned: Sequence[Blob], write_diff: bool = False
) -> None:
    """Write the blobs of layers, except those not in `owned`, which another layer owns.

    Raises
    ------
    FormatError
        If the file cannot be written, or two layers have the same name.
    """
    own = {id(blob) for blob in owned}
    layers = list(layers)
    # An upper limit: blobs of other owners are not stored.
    size = sum(blob.count for layer in layers for blob in layer.blobs) * 4 * (1 + write_diff)
    with _created(path, size) as file:
        for layer in layers:
            values, diffs = _layer_groups(file, layer.name, write_diff)
            for i, blob in enumerate(layer.blobs):
                if id(blob) in own:
                    values[str(i)] = blob.data
                if diffs is not None:
                    diffs[str(i)] = blob.diff


def _layer_groups(
    file: h5py.File, name: str, write_diff: bool
) -> tuple[h5py.Group, h5py.Group | None]:
    if f"data/{name}/." in file:
        raise FormatError(f"HDF5 cannot hold two layers with the same name, '{name}'")
    return (
        file.create_group(f"data/{name}"),
        file.create_group(f"diff/{name}") if write_diff else None,
    )


@contextmanager
def reading_weights(path: PathLike) -> Iterator["Weights"]:
    """Open a file of weights.

    Raises
    ------
    FormatError
        If it cannot be read, is damaged, or does not hold weights.
    """
    with naming(path), opened(path) as file:
        if not isinstance(file.get("data"), h5py.Group):
            raise FormatError("is HDF5 without a group 'data'; weights are needed")
        yield Weights(file["data"])


class Weights:
    """The weights in an open file."""

    def __init__(self, data: h5py.Group) -> None:
        self._data = data

    def names(self) -> list[str]:
        """Return the names of layers; of a name with a slash only the part before it."""
        return list(self._data)

    def blobs(self, layer: str) -> dict[int, h5py.Dataset] | None:
        """Return a layer's datasets by index; None if the file lacks that layer."""
        group = self._data.get(layer) if layer else None
        if not isinstance(group, h5py.Group):
            return None
        return {
            int(name): item
            for name, item in group.items()
            if name.isdecimal() and isinstance(item, h5py.Dataset)
        }


def write_state(path: PathLike, state: SolverState) -> None:
    """Write a solver's state, as HDF5 if the file's name ends in `.h5`.

    Raises
    ------
    FormatError
        If the file cannot be written.
    """
    if not os.fsdecode(path).endswith(".h5"):
        write_binary(path, state)
        return
    with _created(path, sum(len(proto.data) * 4 for proto in state.history)) as file:
        file["iter"] = np.array([state.iter], np.int32)
        file["learned_net"] = np.bytes_(state.learned_net.encode() + b"\0")
        file["current_step"] = np.array([state.current_step], np.int32)
        history = file.create_group("history")
        for i, proto in enumerate(state.history):
            history[str(i)] = blob_array(proto)


def read_state(path: PathLike) -> SolverState:
    """Read a solver's state, binary or HDF5.

    Raises
    ------
    FormatError
        If it cannot be read, is damaged, or is not a solver's state.
    """
    path = os.fsdecode(path)
    if not is_hdf5(path):
        state = read_binary(path, SolverState())
        if not state.HasField("iter"):
            raise FormatError(f"{path}: holds no SolverState with an iter")
        return state
    with naming(path), opened(path) as file:
        history = file.get("history")
        if not isinstance(history, h5py.Group) or "iter" not in file:
            raise FormatError("is HDF5 without 'iter' and 'history'; a SolverState is needed")
        state = SolverState(iter=_number(file, "iter"))
        if "learned_net" in file:
            state.learned_net = _text(_dataset(file, "learned_net"))
        if "current_step" in file:
            state.current_step = _number(file, "current_step")
        for i in range(len(history)):
            set_blob(state.history.add(), read_numbers(_dataset(history, str(i))))
    return state


def read_numbers(dataset: h5py.Dataset) -> NDArray[Any]:
    """Return a dataset's numbers as float32; refuse a size that the file cannot hold.

    Raises
    ------
    FormatError
        If they are not numbers, or the dataset is truncated or implausibly large.
    """
    _check_numbers(dataset)
    return np.asarray(dataset[()], np.float32)


def _check_numbers(dataset: h5py.Dataset) -> None:
    name, count = dataset.name, math.prod(dataset.shape or ())
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        raise FormatError(f"dataset '{name}' is of {dataset.dtype}. Needed: numbers")
    stored = dataset.id.get_storage_size()
    if count > MAX_COUNT or stored * MOST_COMPRESSED < count * dataset.dtype.itemsize:
        raise FormatError(
            f"dataset '{name}' has shape {dataset.shape} in {stored} bytes; it is damaged"
        )
    size = count * dataset.dtype.itemsize
    if size > _BOMB[1] and stored * _BOMB[0] < size:
        raise FormatError(
            f"dataset '{name}' has shape {dataset.shape}: {size} bytes, compressed into {stored}. "
            f"Allowed above {_BOMB[1]} bytes: compressed to a {_BOMB[0]}th"
        )


def _number(file: h5py.File, name: str) -> int:
    dataset = _dataset(file, name)
    _check_numbers(dataset)
    if dataset.size != 1:
        raise FormatError(f"'{name}' holds {dataset.size} numbers. Needed: 1")
    return int(np.reshape(dataset[()], -1)[0])


def _text(dataset: h5py.Dataset) -> str:
    content = dataset[()]
    if not isinstance(content, bytes):
        raise FormatError(f"'{dataset.name}' is of {dataset.dtype}. Needed: text")
    return content.partition(b"\0")[0].decode()


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        raise FormatError(f"'{group.name}' has no dataset '{name}'")
    return found


@contextmanager
def _created(path: PathLike, size: int) -> Iterator[h5py.File]:
    with (
        naming(os.fsdecode(path)),
        replacing(path) as temporary,
        new_file(temporary, size) as file,
    ):
        yield file


@contextmanager
def new_file(path: PathLike, size: int) -> Iterator[h5py.File]:
    """Create an HDF5 file, with room for `size` bytes of numbers reserved on the disk.

    HDF5 cannot close a file that does not fit: the process would crash with a segmentation fault.

    Raises
    ------
    OSError
        If the disk is full, before anything is written.
    """
    unnamed = os.fsdecode(path).startswith(f"{HANDLES}/")
    _reserve(path, size)  # first, since HDF5 could not close even an empty file on a full disk
    with (
        open(path, "w+b") as plain,
        # HDF5 looks for a file's name, which one that `replacing` makes may not have yet.
        h5py.File(plain if unnamed else path, "w") as file,
    ):
        _reserve(path, size)  # again: opening has emptied the file
        yield file
    _cut(path)


@contextmanager
def longer_file(path: PathLike, size: int) -> Iterator[h5py.File]:
    """Open an HDF5 file to append to it, with room as `new_file` has it.

    Raises
    ------
    OSError
        If the disk is full; the file is then as it was.
    """
    try:
        _reserve(path, size)
        with h5py.File(path, "a") as file:
            yield file
    finally:
        _cut(path)


def _reserve(path: PathLike, size: int) -> None:
    """Reserve room on the disk behind the end of a file, which is created if needed."""
    with open(path, "ab") as file:
        os.posix_fallocate(file.fileno(), file.tell(), size + size // 8 + _SPARE)


def _cut(path: PathLike) -> None:
    """Let a file end where its content does."""
    with open(path, "r+b") as written:
        written.seek(_END)
        written.truncate(int.from_bytes(written.read(8), "little"))


@contextmanager
def opened(path: PathLike) -> Iterator[h5py.File]:
    """Open a file for reading; any error of h5py becomes a FormatError.

    Raises
    ------
    FormatError
        If it cannot be read or is damaged, even if that shows only later in the block.
    """
    try:
        with h5py.File(path, "r") as file:
            _refuse_outside(file)
            yield file
    except CaffeError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{shown(path)}: is not a complete HDF5 file: {error}") from None


def _refuse_outside(file: h5py.File) -> None:
    """Refuse a file that refers to others: external links or storage, virtual datasets.

    Raises
    ------
    FormatError
        Naming the link or the dataset.
    """
    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            where = f"'{group.name.rstrip('/')}/{name}'"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise FormatError(f"{file.filename}: {where} is a link to another file")
            if not isinstance(link, h5py.HardLink):
                continue  # the target of a soft link is visited under its own name
            found = group[name]
            if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
                raise FormatError(f"{file.filename}: {where} is stored in other files")
            address = h5py.h5o.get_info(found.id).addr
            if isinstance(found, h5py.Group) and address not in seen:
                seen.add(address)
                waiting.append(found)
