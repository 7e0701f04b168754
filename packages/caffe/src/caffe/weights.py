"""The weights of a net: copying them from files of any age, sharing and writing them."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from caffe import glog, net_log
from caffe.blob import Blob
from caffe.errors import FormatError, ShapeError, naming
from caffe.formats import PathLike, blob_array, has_four_axes, read_binary, set_blob
from caffe.hdf5 import is_hdf5, read_numbers, reading_weights
from caffe.layers.base import Layer
from caffe.proto.caffe_pb2 import BlobProto, NetParameter


def copy_weights(path: PathLike, layers: Sequence[Layer], owned: Sequence[Blob]) -> None:
    """Copy weights; of layers with the same name the first gets them, as in Caffe.

    Parameters
    ----------
    path : path
        A caffemodel, binary or HDF5.
    layers : sequence of Layer
        Of the net.
    owned : sequence of Blob
        Blobs that do not belong to another layer; only these must be in an HDF5 file.

    Raises
    ------
    CaffeError
        If the file is not a caffemodel, or a layer's stored blobs differ in number or shape.
    """
    path = os.fsdecode(path)
    with naming(path):
        if is_hdf5(path):
            _copy_hdf5(path, layers, {id(blob) for blob in owned})
        else:
            stored = read_binary(path, NetParameter())
            net_log.upgrades(stored, path)
            _copy_binary(stored, layers)


def share_weights(
    params: Mapping[str, Sequence[Blob]], others: Mapping[str, Sequence[Blob]]
) -> None:
    """Use another net's weights, for layers of the same name.

    Parameters
    ----------
    params : mapping of str to sequence of Blob
        Of the layers that have any.
    others : mapping of str to sequence of Blob
        Of all layers of the other net.

    Raises
    ------
    ShapeError
        If a layer's blobs differ in number or shape.
    """
    for name, blobs in params.items():
        theirs = others.get(name)
        if theirs is None:
            continue
        if [blob.shape for blob in blobs] != [blob.shape for blob in theirs]:
            shapes = ", ".join(str(blob.shape) for blob in blobs)
            needed = ", ".join(str(blob.shape) for blob in theirs) or "none"
            raise ShapeError(f"layer '{name}': shapes {shapes} and {needed} cannot be shared")
        for blob, shared in zip(blobs, theirs, strict=True):
            blob.share_data(shared)


def net_message(name: str, layers: Sequence[Layer], write_diff: bool) -> NetParameter:
    """Return definition and weights as one message, Split layers included as Caffe does."""
    result = NetParameter(name=name)
    for layer in layers:
        written = result.layer.add()
        written.CopyFrom(layer.param)
        del written.blobs[:]  # values from the definition, replaced by the current ones
        for blob in layer.blobs:
            set_blob(written.blobs.add(), blob.data, blob.diff if write_diff else None)
    return result


def _copy_binary(stored: NetParameter, layers: Sequence[Layer]) -> None:
    targets = _by_name(layers)
    found = _stored_blobs(stored)
    if not found:
        raise FormatError("holds no layers; weights are needed")
    for name, protos in found:
        layer = targets.get(name)
        if layer is None:
            glog.info("net.cpp:746", "Ignoring source layer %s", name)
            continue
        if len(protos) != len(layer.blobs):
            raise _counts_differ(name, len(protos), len(layer.blobs))
        for i, (proto, blob) in enumerate(zip(protos, layer.blobs, strict=True)):
            where = f"layer '{name}', blob {i}"
            with naming(where):
                array = blob_array(proto)
            shape = array.shape
            # Old files pad every blob to four axes, with ones in front.
            legacy = has_four_axes(proto) and len(blob.shape) <= 4
            if legacy and (1, 1, 1, 1, *blob.shape)[-4:] == shape:
                shape = blob.shape
            _check_shape(shape, blob, where)
            _copy(array, blob)


def _by_name(layers: Sequence[Layer]) -> dict[str, Layer]:
    named: dict[str, Layer] = {}
    for layer in layers:
        named.setdefault(layer.name, layer)
    return named


def _stored_blobs(net: NetParameter) -> list[tuple[str, Sequence[BlobProto]]]:
    """Return names and blobs of the layers, in any stored form (V0, V1 or current)."""
    old = [layer.layer if layer.HasField("layer") else layer for layer in net.layers]
    return [(layer.name, layer.blobs) for layer in (*old, *net.layer)]


def _copy_hdf5(path: PathLike, layers: Sequence[Layer], owned: set[int]) -> None:
    targets = _by_name(layers)
    with reading_weights(path) as weights:
        for name in weights.names():
            if name not in targets:
                glog.info("net.cpp:801", "Ignoring source layer %s", name)
        for name, layer in targets.items():
            stored = weights.blobs(name)
            if stored is None:
                continue  # as for caffemodels: a layer without stored weights keeps its own
            if len(stored) > len(layer.blobs):
                raise _counts_differ(name, len(stored), len(layer.blobs))
            for i, blob in enumerate(layer.blobs):
                where = f"layer '{name}', blob {i}"
                if i in stored:
                    _check_shape(stored[i].shape, blob, where)
                    _copy(read_numbers(stored[i]), blob)
                elif id(blob) in owned:
                    raise ShapeError(f"{where} is missing; the net's has {blob.shape}")


def _copy(array: NDArray[Any], blob: Blob) -> None:
    blob.tensor.copy_(torch.from_numpy(array.reshape(blob.shape)))


def _check_shape(shape: tuple[int, ...], blob: Blob, where: str) -> None:
    if shape != blob.shape:
        raise ShapeError(
            f"{where} has shape {shape}; the net's has {blob.shape}. "
            "To train this layer from scratch, rename it"
        )


def _counts_differ(layer: str, stored: int, needed: int) -> ShapeError:
    return ShapeError(f"layer '{layer}' has {stored} blobs; the net's has {needed}")
