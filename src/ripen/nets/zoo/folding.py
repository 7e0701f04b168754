"""Convolutions rewritten to give the same values by fewer layers, or by those that Caffe has.

Everything is computed in float64 and rounded once at the end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Normalization(NamedTuple):
    """A trained BatchNorm: what it subtracts and divides by, and its own scale and shift.

    All are of shape (channels,); `eps` is added to the variance.
    """

    mean: Array
    variance: Array
    scale: Array
    shift: Array
    eps: float


class Filter(NamedTuple):
    """A convolution: a weight of shape (outputs, channels / group, *kernel), a bias (outputs,)."""

    weight: Array
    bias: Array

    def normalized(self, after: Normalization) -> "Filter":
        """Return it with the normalization that follows it."""
        factor = after.scale / np.sqrt(after.variance.astype(np.float64) + after.eps)
        shape = (-1, *[1] * (self.weight.ndim - 1))
        bias = (self.bias - after.mean.astype(np.float64)) * factor + after.shift
        return Filter(self.weight * factor.reshape(shape), bias)

    def widened(self, before: "Sides", after: "Sides") -> "tuple[Filter, Sides]":
        """Return it with zeros about its kernel, and one padding for both ends of each axis.

        Caffe pads both ends alike. With `before` and `after` different, the larger will do if the
        kernel reaches over the difference.

        Parameters
        ----------
        before, after : (int, int)
            Zeros above and left of the map, and below and right.
        """
        pad = (max(before[0], after[0]), max(before[1], after[1]))
        zeros = [(pad[axis] - before[axis], pad[axis] - after[axis]) for axis in (0, 1)]
        return Filter(np.pad(self.weight, [(0, 0), (0, 0), *zeros]), self.bias), pad

    def of_pixels(self, deviation: Array, reverse: bool) -> "Filter":
        """Return it for pictures that nobody has divided by their deviation.

        What is padded are zeros either way, so this is exact.

        Parameters
        ----------
        deviation : array of shape (channels,)
            In the order of the weight's channels.
        reverse : bool
            Whether the pictures' channels come in the other order: BGR for RGB.
        """
        weight = self.weight / deviation.astype(np.float64).reshape(1, -1, 1, 1)
        return Filter(weight[:, ::-1] if reverse else weight, self.bias)


Sides = tuple[int, int]


def same(size: int, kernel: int, stride: int) -> Sides:
    """Return TensorFlow's SAME padding of one axis: zeros before the map, and after it."""
    places = -(-size // stride)
    total = max((places - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
