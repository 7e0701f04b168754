"""An ONNX model as a net of the zoo: `data` in Caffe's colours, one output of scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import caffe
from caffe.errors import CaffeError, NotInstalled
from caffe.formats import blob_array
from caffe.onnx_import import Imported, read
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from ripen.core.errors import DataError, UsageError
from ripen.data.image_input import Input
from ripen.nets.importing.convert import Converted, of_pixels
from ripen.nets.importing.trace import INPUT, Piece, Pieces

PIXEL = 255.0
# What torchvision's networks expect, by far the most common: RGB from 0 to 1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHANNELS = (1, 3)


def from_onnx(
    file: Path,
    mean: Sequence[float] | None,
    deviation: Sequence[float] | None,
    size: int | None = None,
) -> tuple[Converted, Input]:
    """Read an ONNX model as a net, and describe its input.

    Parameters
    ----------
    file : Path
    mean, deviation : sequence of float, or None
        What is subtracted from images with values from 0 to 1, in the order RGB, and by what they
        are then divided, for the model's input; ImageNet's by default. The net takes BGR from 0 to
        255, less the mean: order and division are folded into its first convolution.
    size : int, optional
        Height and width of the input, if the model leaves them open.

    Raises
    ------
    DataError
        If the file is invalid, or its input or output is not that of a classifier of images.
    UsageError
        If the package `onnx` is not installed, a node has no layer in Caffe, or `mean` and
        `deviation` do not fit the input.
    """
    imported = _read(file, size)
    net = imported.definition()
    top, (_, channels, height, width) = _images_of(net, file)
    _check_scores(imported.filled(), file)
    less = _numbers("--mean", mean, MEAN if channels == 3 else (0.0,), channels)
    divided = _numbers("--std", deviation, DEVIATION if channels == 3 else (1.0,), channels)
    if min(divided) <= 0:
        raise UsageError(f"--std {min(divided):g}: allowed: above 0")
    pieces = of_pixels(_pieces(imported.net, top), PIXEL * np.array(divided))
    result = NetParameter(name=net.name or file.stem)
    data = result.layer.add(name=INPUT, type="Input", top=[INPUT])
    data.input_param.shape.add(dim=[1, channels, height, width])
    result.layer.extend(each.layer for each in pieces.items)
    weights = {each.name: each.weights for each in pieces.items if each.weights}
    wanted = Input(
        height=height,
        width=width,
        channel_order="BGR" if channels == 3 else "grey",
        raw_scale=PIXEL,
        mean=[round(each * PIXEL, 3) for each in reversed(less)],
        crop=0.875,
    )
    return Converted(result, weights, imported.difference), wanted


def _read(file: Path, size: int | None) -> Imported:
    try:
        return read(file, () if size is None else (0, 0, size, size))
    except NotInstalled as error:
        raise UsageError(str(error)) from None
    except CaffeError as error:
        raise DataError(str(error)) from None


def _images_of(net: NetParameter, file: Path) -> tuple[str, tuple[int, ...]]:
    """Return the blob and the shape of a net's images; refuse any other input."""
    inputs = {
        layer.top[0]: tuple(map(int, layer.input_param.shape[0].dim))
        for layer in net.layer
        if layer.type == "Input"
    }
    top, shape = next(iter(inputs.items()))
    if len(inputs) != 1 or len(shape) != 4 or shape[1] not in CHANNELS:
        found = ", ".join(f"{name} {each}" for name, each in inputs.items())
        raise DataError(f"{file}: its input is {found}. Allowed: images (N, 3, H, W) or grey ones")
    return top, shape


def _check_scores(net: caffe.Net, file: Path) -> None:
    """Refuse a net without exactly one output, of a score for each class."""
    scores = net.blobs[net.outputs[0]].shape
    if len(net.outputs) != 1 or len(scores) < 2 or max(scores[2:], default=1) > 1:
        found = ", ".join(f"{name} {net.blobs[name].shape}" for name in net.outputs)
        raise DataError(f"{file}: its output is {found}. Allowed: one of shape (N, classes)")


def _numbers(
    option: str, given: Sequence[float] | None, default: Sequence[float], channels: int
) -> list[float]:
    found = list(default if given is None else given)
    found = found * channels if len(found) == 1 else found
    if len(found) != channels:
        raise UsageError(f"{option} has {len(found)} numbers. Allowed: 1 or {channels}")
    return found


def _pieces(net: NetParameter, first: str) -> Pieces:
    """Return the layers after the input, which they read under its usual name."""
    items = []
    for stored in net.layer:
        if stored.type != "Input":
            layer = LayerParameter()
            layer.CopyFrom(stored)
            layer.ClearField("blobs")
            layer.bottom[:] = [INPUT if name == first else name for name in layer.bottom]
            items.append(Piece(layer, tuple(blob_array(blob) for blob in stored.blobs)))
    return Pieces(items, items[-1].name)
