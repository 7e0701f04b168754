"""LRN: each value divided by a power of the sum of squares around it."""

from collections.abc import Sequence

import torch

from caffe import lrn_gpu
from caffe.layers.base import Blobs, Layer, register
from caffe.layers.pool_windows import Average, Windows
from caffe.proto.caffe_pb2 import LRNParameter


@register("LRN")
class LRN(Layer):
    """y = x / scale^beta, with one of two scales (lrn_layer.cpp).

    ACROSS_CHANNELS: k + alpha / local_size * the sum of x^2 over the `local_size` channels around.
    WITHIN_CHANNEL: 1 + alpha * the mean of x^2 over a square of `local_size` in the same map, with
    the mean of Pooling, in which padding counts; k is not used.

    In place real Caffe computes something else; here that is refused.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.lrn_param
        self._size: int = param.local_size
        self._alpha, self._beta = param.alpha, param.beta
        self._across = param.norm_region == LRNParameter.ACROSS_CHANNELS
        if self._size % 2 == 0:
            raise self.error(f"local_size is {self._size}. Allowed: odd numbers")
        self.refuse_in_place(bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4:
            raise self.error(f"bottom has shape {shape}. Allowed: 4 axes, (N, C, H, W)")
        kernel, half = (self._size, self._size), (self._size // 2, self._size // 2)
        self._mean = Average(Windows(shape[2:], kernel, (1, 1), half, True))
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        if self._across and x.is_cuda and self._size <= lrn_gpu.LARGEST:
            alpha = self._alpha / self._size
            y, self._scale = lrn_gpu.forward(
                x, self._size, alpha, self._beta, self.param.lrn_param.k
            )
            top[0].set_data(y)
            return
        if self._across:
            scale = channel_sum(x * x, self._size)
            scale.mul_(self._alpha / self._size).add_(self.param.lrn_param.k)
        else:
            scale = self._mean.forward(x * x).mul_(self._alpha).add_(1)
        self._scale = scale
        top[0].set_data(power(scale, self._beta).mul_(x))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        grad, x = top[0].grad, bottom[0].tensor
        if self._across and x.is_cuda and self._size <= lrn_gpu.LARGEST:
            factor = 2 * self._alpha * self._beta / self._size
            y = top[0].tensor
            found = lrn_gpu.backward(grad, x, y, self._scale, self._size, factor, self._beta)
            bottom[0].set_diff(found)
            return
        # The derivative of the scale, without its constant factor.
        if self._across:
            through = channel_sum((grad * top[0].tensor).div_(self._scale), self._size)
            factor = 2 * self._alpha * self._beta / self._size
        else:
            through = power(self._scale, self._beta + 1).mul_(grad).mul_(x)
            through = self._mean.backward(through, x)
            factor = 2 * self._alpha * self._beta
        through.mul_(x)
        bottom[0].set_diff(power(self._scale, self._beta).mul_(grad).sub_(through, alpha=factor))


def channel_sum(x: torch.Tensor, size: int) -> torch.Tensor:
    """Return for each value the sum over the `size` channels around it; `size` is odd."""
    total = x.clone()
    for away in range(1, min(size // 2 + 1, x.shape[1])):
        total[:, away:] += x[:, :-away]
        total[:, :-away] += x[:, away:]
    return total


def power(scale: torch.Tensor, beta: float) -> torch.Tensor:
    """Return scale^-beta as a new tensor."""
    if beta == 0.75:  # the usual value; square roots are several times as fast
        root = scale.rsqrt()
        return root.mul_(root.sqrt())
    return scale.pow(-beta)
