"""Elementwise formulas: AbsVal, Exp, Log, Power, Threshold.

In place Caffe overwrites the inputs of Log and Power before it needs them for the gradients; here
the gradients are correct.
"""

import math
from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register


class Elementwise(Layer):
    """A layer whose top has the shape of its bottom, and may be the same blob."""

    _kept: torch.Tensor | None = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)

    def keep(self, bottom: Blobs, top: Blobs) -> None:
        """Keep a copy of the bottom's values if this layer will overwrite them."""
        self._kept = bottom[0].tensor.clone() if top[0] is bottom[0] else None

    def kept(self, bottom: Blobs) -> torch.Tensor:
        """Return the bottom's values as of `keep`."""
        return bottom[0].tensor if self._kept is None else self._kept

    def logarithm(self, base: float) -> float:
        """Return log(base); a base of -1, the default, stands for e."""
        if base == -1:
            return 1.0
        if not 0 < base < math.inf:
            raise self.error(f"base is {base:g}. Allowed: above 0, or -1 for e")
        return math.log(base)


def linear(x: torch.Tensor, scale: float, shift: float) -> torch.Tensor:
    """Return scale * x + shift in one pass, or x itself if that is the same."""
    if shift:
        return torch.rsub(x, shift, alpha=-scale)
    return x if scale == 1 else x * scale


def above(x: torch.Tensor, bound: torch.Tensor | float) -> torch.Tensor:
    """Return 1 where x is above the bound, else 0. As floats that is faster than as bools."""
    return torch.gt(x, bound, out=torch.empty_like(x))


@register("AbsVal")
class AbsVal(Elementwise):
    """y = |x|; at x = 0 the gradient is 0. Not in place."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.refuse_in_place(bottom, top)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(bottom[0].tensor.abs())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(bottom[0].tensor.sign().mul_(top[0].grad))


@register("Exp")
class Exp(Elementwise):
    """y = base^(scale * x + shift)."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.exp_param
        logarithm = self.logarithm(param.base)
        self._scale, self._shift = logarithm * param.scale, logarithm * param.shift

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(linear(bottom[0].tensor, self._scale, self._shift).exp())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(linear(top[0].tensor, self._scale, 0) * top[0].grad)


@register("Log")
class Log(Elementwise):
    """y = log(scale * x + shift) to a base."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        logarithm = self.logarithm(self.param.log_param.base)
        if not logarithm:
            raise self.error("base is 1. Allowed: above 0 and not 1, or -1 for e")
        self._outer = 1 / logarithm

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self.keep(bottom, top)
        y = self._inside(bottom[0].tensor).log()
        top[0].set_data(y if self._outer == 1 else y.mul_(self._outer))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            slope = self._inside(self.kept(bottom)).reciprocal()
            factor = self._outer * self.param.log_param.scale
            bottom[0].set_diff(slope.mul_(top[0].grad).mul_(factor))

    def _inside(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.param.log_param.scale, self.param.log_param.shift)


@register("Power")
class Power(Elementwise):
    """y = (scale * x + shift)^power.

    The gradient is computed as in Caffe (power_layer.cpp): for powers other than 1 and 2 as a
    multiple of y / (scale * x + shift), so it is NaN where the divisor is 0.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self.keep(bottom, top)
        param, x = self.param.power_param, bottom[0].tensor
        if not param.power or not param.scale:
            value = x.new_tensor(param.shift).pow(param.power)
            top[0].set_data(torch.full_like(x, float(value)))
            return
        y = linear(x, param.scale, param.shift)
        top[0].set_data(y if param.power == 1 else y.pow(param.power))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        param, grad, x = self.param.power_param, top[0].grad, self.kept(bottom)
        factor = param.power * param.scale
        if not factor:
            bottom[0].set_diff(torch.zeros_like(grad))
        elif param.power == 1:
            bottom[0].set_diff(linear(grad, factor, 0))
        elif param.power == 2:
            slope = linear(x, factor * param.scale, factor * param.shift)
            bottom[0].set_diff(grad * slope)
        else:
            slope = top[0].tensor / linear(x, param.scale, param.shift)
            bottom[0].set_diff(slope.mul_(grad).mul_(factor))


@register("Threshold")
class Threshold(Elementwise):
    """y = 1 where x is above the threshold, else 0. It has no gradient."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(above(bottom[0].tensor, self.param.threshold_param.threshold))
