"""The weights of a net: copied from files, shared with another net, written out."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from caffe.blob import Blob
from caffe.errors import ShapeError
from caffe.formats import blob_array, read_binary, set_blob
from caffe.layers.base import Layer
from caffe.proto.caffe_pb2 import NetParameter

if TYPE_CHECKING:
    from caffe.net import Net


def copy_weights(layers: Sequence[Layer], path: str | os.PathLike[str]) -> None:
    """Copy weights from a caffemodel, layer by layer of the same name.

    Raises
    ------
    ShapeError
        If a layer's blobs there have other shapes, or are more or fewer.
    """
    stored = read_binary(path, NetParameter())
    by_name = {layer.name: layer for layer in layers}
    for source in stored.layer:
        layer = by_name.get(source.name)
        if layer is None or not (source.blobs or layer.blobs):
            continue
        where = f"{path}: layer '{source.name}'"
        if len(source.blobs) != len(layer.blobs):
            raise ShapeError(
                f"{where} has {len(source.blobs)} blobs; the net's has {len(layer.blobs)}"
            )
        for i, (proto, blob) in enumerate(zip(source.blobs, layer.blobs, strict=True)):
            values = blob_array(proto)
            # Four axes were the only way to write a blob once: compare without leading ones.
            legacy = not proto.HasField("shape")
            fits = _trimmed(values.shape) == _trimmed(blob.shape) if legacy else False
            if values.shape != blob.shape and not fits:
                raise ShapeError(
                    f"{where}, blob {i} has shape {values.shape}; the net's has {blob.shape}. "
                    "To learn this layer anew, give it another name"
                )
            blob.tensor.copy_(torch.from_numpy(values.reshape(blob.shape)))


def share_weights(params: Mapping[str, Sequence[Blob]], other: "Net") -> None:
    """Use another net's weights, for layers of the same name.

    Raises
    ------
    ShapeError
        If a layer's blobs there have other shapes, or are more or fewer.
    """
    for name, blobs in params.items():
        if name not in other.layer_dict:
            continue
        theirs = other.params.get(name, [])
        if [blob.shape for blob in blobs] != [blob.shape for blob in theirs]:
            shapes = ", ".join(str(blob.shape) for blob in blobs)
            others = ", ".join(str(blob.shape) for blob in theirs) or "none"
            raise ShapeError(f"layer '{name}': shapes {shapes} and {others} cannot be shared")
        for blob, shared in zip(blobs, theirs, strict=True):
            blob.share_data(shared)


def net_message(name: str, layers: Sequence[Layer], write_diff: bool) -> NetParameter:
    """Return definition and weights as one message, Split layers included as Caffe does."""
    result = NetParameter(name=name)
    for layer in layers:
        written = result.layer.add()
        written.CopyFrom(layer.param)
        del written.blobs[:]
        for blob in layer.blobs:
            set_blob(written.blobs.add(), blob.data, blob.diff if write_diff else None)
    return result


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    for i, size in enumerate(shape):
        if size != 1:
            return shape[i:]
    return ()
