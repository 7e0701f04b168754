"""Convolutions rewritten with the same values for fewer layers, or for layers that Caffe has.

All arithmetic is in float64 and rounded once, at the end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
# Two numbers of zeros around a map: (vertical, horizontal), or (before, after) along one axis.
Sides = tuple[int, int]


class Normalization(NamedTuple):
    """A trained BatchNorm with its scale and shift, all of shape (channels,).

    `eps` is added to the variance.
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
        """Return the filter with the normalization after it folded in."""
        factor = after.scale / np.sqrt(after.variance.astype(np.float64) + after.eps)
        shape = (-1, *[1] * (self.weight.ndim - 1))
        bias = (self.bias - after.mean.astype(np.float64)) * factor + after.shift
        return Filter(self.weight * factor.reshape(shape), bias)

    def widened(self, before: Sides, after: Sides) -> tuple["Filter", Sides]:
        """Return the filter for equal padding on both sides, and that padding.

        Caffe pads both ends of an axis alike. If `before` and `after` differ, the larger of them
        serves for both: zeros in the kernel cover the surplus.

        Parameters
        ----------
        before, after : (int, int)
            Zeros above and left of the map, and below and right of it.
        """
        pad = (max(before[0], after[0]), max(before[1], after[1]))
        zeros = [(pad[axis] - before[axis], pad[axis] - after[axis]) for axis in (0, 1)]
        return Filter(np.pad(self.weight, [(0, 0), (0, 0), *zeros]), self.bias), pad

    def of_pixels(self, deviation: Array, reverse: bool) -> "Filter":
        """Return the filter for images that are not divided by their standard deviation.

        This is exact: padding adds zeros, which the division would not change.

        Parameters
        ----------
        deviation : array of shape (channels,)
            In the order of the weight's channels.
        reverse : bool
            Whether the channels of the images come in reverse order: BGR for RGB.
        """
        weight = self.weight / deviation.astype(np.float64).reshape(1, -1, 1, 1)
        return Filter(weight[:, ::-1] if reverse else weight, self.bias)


def same(size: int, kernel: int, stride: int) -> Sides:
    """Return TensorFlow's SAME padding along one axis: zeros before and after the map."""
    places = -(-size // stride)
    total = max((places - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
