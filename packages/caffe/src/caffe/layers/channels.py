"""Layers of forks on channels and edges: ShuffleChannel, Axpy, Pad, Reverse, Transpose."""

import numpy as np
import torch
from numpy.typing import NDArray

from caffe.layers.base import Blobs, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors
from caffe.proto.forks_pb2 import PadParameter


@register("ShuffleChannel")
class ShuffleChannel(Differentiable):
    """The channels of `group` groups interleaved: channel i of group g to i * group + g.

    From ShuffleNet (Zhang et al., 2018).
    """

    def shapes(self, given: list[Shape]) -> list[Shape]:
        groups = self.extra().shuffle_channel_param.group
        if len(given[0]) < 2 or not groups or given[0][1] % groups:
            raise self.error(f"group {groups} does not divide the channels of {given[0]}")
        return [given[0]]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        n, c, *rest = x[0].shape
        groups = self.extra().shuffle_channel_param.group
        parts = x[0].reshape(n, groups, c // groups, *rest)
        return [parts.transpose(1, 2).reshape(n, c, *rest)]


@register("Axpy")
class Axpy(Differentiable):
    """y = a * x + b with a scale a of shape (N, C, 1, 1) for maps x and b, from SENet's fork."""

    bottoms = (3, 3)

    def shapes(self, given: list[Shape]) -> list[Shape]:
        scale, x, b = given
        fits = len(x) == 4 and x == b and (*scale, 1, 1)[:4] == (*x[:2], 1, 1)
        if not fits or len(scale) not in (2, 4):
            raise self.error(
                f"bottoms have shapes {scale}, {x} and {b}. Needed: (N, C, 1, 1), and (N, C, H, W) "
                "twice"
            )
        return [x]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [x[0].reshape(*x[1].shape[:2], 1, 1) * x[1] + x[2]]


@register("Pad")
class Pad(Differentiable):
    """Maps padded by `pad` pixels on every side: with zeros, the edge, or a reflection.

    A reflection begins with the edge itself, as in the forks: 2 1 | 1 2 3 | 3 2.
    """

    def shapes(self, given: list[Shape]) -> list[Shape]:
        param = self.extra().pad_param
        if len(given[0]) != 4:
            raise self.error(f"bottom has shape {given[0]}. Allowed: 4 axes, (N, C, H, W)")
        if param.padtype == PadParameter.REFLECT and param.pad > min(given[0][2:]):
            raise self.error(f"pad is {param.pad}. Allowed with REFLECT: to the map's size")
        n, c, h, w = given[0]
        return [(n, c, h + 2 * param.pad, w + 2 * param.pad)]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        param = self.extra().pad_param
        if param.padtype == PadParameter.REFLECT:
            rows, columns = (mirrored(size, param.pad).tolist() for size in x[0].shape[2:])
            return [x[0][:, :, rows][:, :, :, columns]]
        kind = "constant" if param.padtype == PadParameter.ZERO else "replicate"
        return [torch.nn.functional.pad(x[0], [param.pad] * 4, kind)]


def mirrored(size: int, pad: int) -> NDArray[np.int64]:
    """Return where each row of a map padded by a reflection comes from."""
    return np.pad(np.arange(size), pad, "symmetric")


@register("Reverse")
class Reverse(Differentiable):
    """The values along `axis` reversed, from forks for recurrent nets."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.axis(bottom[0], self.extra().reverse_param.axis)

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [x[0].flip(self.extra().reverse_param.axis)]


@register("Transpose")
class Transpose(Differentiable):
    """The axes in the order `dim`, from forks for recurrent nets."""

    @property
    def order(self) -> list[int]:
        return list(self.extra().transpose_param.dim)

    def shapes(self, given: list[Shape]) -> list[Shape]:
        order = self.order
        if sorted(order) != list(range(len(given[0]))):
            raise self.error(
                f"dim is {order}, bottom has shape {given[0]}. "
                f"Allowed: each of 0 to {len(given[0]) - 1} once"
            )
        return [tuple(given[0][axis] for axis in order)]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [x[0].permute(self.order).contiguous()]
