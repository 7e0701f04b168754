"""Element by element: Sigmoid, TanH, ReLU, Dropout."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.proto import caffe_pb2
from caffe.rng import torch_generator


class Elementwise(Layer):
    """A layer whose top has the shape of its bottom, and may be its bottom."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape)


@register("Sigmoid")
class Sigmoid(Elementwise):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.sigmoid(bottom[0].tensor))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(torch.ops.aten.sigmoid_backward(top[0].grad, top[0].tensor))


@register("TanH")
class TanH(Elementwise):
    """y = tanh(x)."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.tanh(bottom[0].tensor))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(torch.ops.aten.tanh_backward(top[0].grad, top[0].tensor))


@register("ReLU")
class ReLU(Elementwise):
    """y = max(x, 0) + negative_slope * min(x, 0).

    Where x is 0 the gradient is the slope's, as Caffe's ``bottom > 0`` has it.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        slope = self.param.relu_param.negative_slope
        x = bottom[0].tensor
        top[0].set_data(torch.nn.functional.leaky_relu(x, slope) if slope else torch.relu(x))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        # In place the bottom's values are the top's by now; the sign tells the same, unless the
        # slope is negative, where Caffe errs in the same way.
        slope = self.param.relu_param.negative_slope
        grad, x = top[0].grad, bottom[0].tensor
        if slope:
            bottom[0].set_diff(torch.where(x > 0, grad, grad * slope))
        else:
            bottom[0].set_diff(torch.ops.aten.threshold_backward(grad, x, 0.0))


@register("Dropout")
class Dropout(Elementwise):
    """While training, drop each value with probability `dropout_ratio` and scale up the others.

    The scale is 1 / (1 - dropout_ratio), so that in the test phase values pass unchanged
    (dropout_layer.cpp).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._ratio = self.param.dropout_param.dropout_ratio
        if not 0 <= self._ratio < 1:
            raise self.error(f"dropout_ratio is {self._ratio:g}. Allowed: from 0 to below 1")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        if self.phase == caffe_pb2.TRAIN:
            kept = torch.empty_like(x).bernoulli_(1 - self._ratio, generator=torch_generator())
            self._mask = kept / (1 - self._ratio)
            x = x * self._mask
        top[0].set_data(x)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            grad = top[0].grad
            bottom[0].set_diff(grad * self._mask if self.phase == caffe_pb2.TRAIN else grad)
