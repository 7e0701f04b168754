"""EfficientNet-lite (Tan and Le, 2019; the lite nets of 2020): no squeezing, ReLU6 for swish.

Blocks widen their channels, filter each by itself, and narrow them again. Depth, width and the
picture's size grow together; the first and last layers stay as they are.

The published weights expect TensorFlow's padding, which at stride 2 is often on one side only:
kernels are then one wider here, with zeros.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.nets.zoo.definition import (
    LEARNT,
    Definition,
    average_pool,
    constant,
    deploy,
    ilsvrc,
    loss_and_accuracy,
    relu6,
    softmax,
    train_val,
)
from ripen.nets.zoo.folding import same

MEAN = [127, 127, 127]
STEM, HEAD = 32, 1280
# Blocks, kernel, stride, widening, channels of each stage before it is scaled.
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
    """How large a net is; `size` is its picture's height and width."""

    width: float
    depth: float
    size: int
    dropout: float


@dataclass(frozen=True)
class Block:
    """One block: what comes in, what goes out, and its filter."""

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
        """Zeros before and after each axis of the map."""
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
    """Round to a multiple of 8 that is not less than nine tenths of it."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _conv(n: NetSpec, name: str, bottom: Top, num_output: int, kernel: int, **more: Any) -> Top:
    filled = {"weight_filler": {"type": "msra"}, "bias_filler": constant()}
    n[name] = L.Convolution(
        bottom, param=LEARNT, num_output=num_output, kernel_size=kernel, **filled, **more
    )
    return n[name]


def _padded(padding: tuple[int, int], kernel: int) -> dict[str, int]:
    """Return pad and kernel, the kernel wider where the padding is on one side only."""
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


def _definition(number: int, scale: Scale) -> Definition:
    title, body = f"EfficientNet-lite{number}", partial(_body, scale=scale)
    shape, source = (
        (1, 3, scale.size, scale.size),
        ilsvrc({"crop_size": scale.size, "mean_value": MEAN}, database="ilsvrc12_{part}_lmdb"),
    )
    return Definition(
        partial(deploy, title, shape, body, softmax),
        partial(train_val, title, source, body, loss_and_accuracy),
    )


SCALES = (
    Scale(1.0, 1.0, 224, 0.2),
    Scale(1.0, 1.1, 240, 0.2),
    Scale(1.1, 1.2, 260, 0.3),
)
efficientnet_lite0, efficientnet_lite1, efficientnet_lite2 = (
    _definition(number, scale) for number, scale in enumerate(SCALES)
)
