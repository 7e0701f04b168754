"""Activations: Sigmoid, TanH, ReLU and its variants, BNLL, Swish, Softmax, Dropout."""

import math
from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.elementwise import Elementwise
from caffe.proto import caffe_pb2
from caffe.rng import torch_generator


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

    At x = 0 the gradient is the slope, as Caffe compares ``bottom > 0``.
    """

    overwritable = True

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        slope = self.param.relu_param.negative_slope
        x = bottom[0].tensor
        if slope:
            y = torch.nn.functional.leaky_relu(x, slope, inplace=self.overwrites)
        else:
            y = torch.nn.functional.relu(x, inplace=self.overwrites)
        top[0].set_data(y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        # In place the bottom now holds the top's values. Their sign is the same, unless the slope
        # is negative; then Caffe is wrong in the same way.
        slope = self.param.relu_param.negative_slope
        grad, x = top[0].grad, bottom[0].tensor
        if slope:
            bottom[0].set_diff(torch.ops.aten.leaky_relu_backward(grad, x, slope, False))
        else:
            bottom[0].set_diff(torch.ops.aten.threshold_backward(grad, x, 0.0))


@register("ReLU6")
class ReLU6(Elementwise):
    """y = min(max(x, 0), 6), from forks for MobileNet. At 0 and 6 the gradient is 0."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(bottom[0].tensor.clamp(0, 6))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x = bottom[0].tensor
            bottom[0].set_diff(torch.ops.aten.hardtanh_backward(top[0].grad, x, 0, 6))


@register("Clip")
class Clip(Elementwise):
    """y = max(min, min(x, max)), from BVLC's Caffe after 1.0.

    The gradient passes at both bounds. In place it therefore passes everywhere, since the bottom is
    clipped by then, as in Caffe (clip_layer.cpp).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.clip_param
        if not param.IsInitialized():
            raise self.error("clip_param needs both min and max")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, x = self.param.clip_param, bottom[0].tensor
        # Nested as in Caffe: if min is above max, the result is min.
        top[0].set_data(x.clamp(param.min, max(param.min, param.max)))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            param, x = self.param.clip_param, bottom[0].tensor
            # torch's gradient is 0 at the bounds: pass it the adjacent floats outside.
            low, high = (
                float(torch.nextafter(x.new_tensor(bound), x.new_tensor(outside)))
                for bound, outside in ((param.min, -math.inf), (param.max, math.inf))
            )
            grad = torch.ops.aten.hardtanh_backward(top[0].grad, x, low, high)
            bottom[0].set_diff(grad)


@register("ELU")
class ELU(Elementwise):
    """y = x where x > 0, else alpha * (exp(x) - 1).

    At x = 0 the gradient is alpha. In place, Caffe uses the sign of y for that of x, which differs
    if alpha is negative; so does this.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        alpha = self.param.elu_param.alpha
        top[0].set_data(torch.nn.functional.elu(bottom[0].tensor, alpha))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        alpha = self.param.elu_param.alpha
        grad, x, y = top[0].grad, bottom[0].tensor, top[0].tensor
        if alpha < 0:
            bottom[0].set_diff(torch.where(x > 0, grad, grad * (y + alpha)))
        else:
            bottom[0].set_diff(torch.ops.aten.elu_backward(grad, alpha, 1, 1, True, y))


@register("PReLU")
class PReLU(Elementwise):
    """y = x where x > 0, else slope * x; the slopes are learnt.

    Blobs: one slope for each channel, of shape (C,), or with `channel_shared` one for all, of shape
    (). The default filler sets them to 0.25. At x = 0 the gradient is the slope.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param, shape = self.param.prelu_param, bottom[0].shape
        if not 2 <= len(shape) <= 4:
            raise self.error(f"bottom has shape {shape}. Allowed: 2 to 4 axes")
        constant = caffe_pb2.FillerParameter(type="constant", value=0.25)
        filler = param.filler if param.HasField("filler") else constant
        self.learn(() if param.channel_shared else (shape[1],), filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        slopes = self.blobs[0].shape
        if slopes and bottom[0].shape[1] != slopes[0]:
            raise self.error(f"bottom has shape {bottom[0].shape}; its slopes have {slopes}")
        super().reshape(bottom, top)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        self.keep(bottom, top)
        top[0].set_data(torch.ops.aten._prelu_kernel(x, self._slopes(x)))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x = self.kept(bottom)
        slopes = self._slopes(x)
        below, slope_grad = torch.ops.aten._prelu_kernel_backward(top[0].grad, x, slopes)
        if self.param_propagate_down[0]:
            blob = self.blobs[0]
            blob.grad.add_(slope_grad.sum_to_size(slopes.shape).reshape(blob.shape))
        if propagate_down[0]:
            bottom[0].set_diff(below)

    def _slopes(self, x: torch.Tensor) -> torch.Tensor:
        """Return the slopes with an axis for each of x."""
        return self.blobs[0].tensor.reshape(1, -1, *[1] * (x.dim() - 2))


@register("BNLL")
class BNLL(Elementwise):
    """y = log(1 + exp(x)). In place Caffe evaluates the gradient at y, and so does this."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.nn.functional.softplus(bottom[0].tensor, threshold=50))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x = bottom[0].tensor
            bottom[0].set_diff(torch.ops.aten.softplus_backward(top[0].grad, x, 1, 50))


@register("Swish")
class Swish(Elementwise):
    """y = x / (1 + exp(-beta * x))."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, beta = bottom[0].tensor, self.param.swish_param.beta
        self._sigmoid = x.sigmoid() if beta == 1 else (x * beta).sigmoid_()
        top[0].set_data(x * self._sigmoid)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            # s + beta y (1 - s): without x, which may be overwritten.
            y, beta = top[0].tensor, self.param.swish_param.beta
            slope = torch.addcmul(self._sigmoid, y, 1 - self._sigmoid, value=beta)
            bottom[0].set_diff(slope.mul_(top[0].grad))


@register("Softmax")
class Softmax(Layer):
    """exp(x) / sum(exp(x)) along an axis."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._axis = self.axis(bottom[0], self.param.softmax_param.axis)
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.softmax(bottom[0].tensor, self._axis))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, grad = top[0].tensor, top[0].grad
            bottom[0].set_diff(torch.ops.aten._softmax_backward_data(grad, y, self._axis, y.dtype))


@register("Dropout")
class Dropout(Elementwise):
    """In training, drop each value with probability `dropout_ratio` and scale up the others.

    The scale is 1 / (1 - dropout_ratio), so that values pass unchanged in the test phase
    (dropout_layer.cpp).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._ratio = self.param.dropout_param.dropout_ratio
        if not 0 <= self._ratio < 1:
            raise self.error(f"dropout_ratio is {self._ratio:g}. Allowed: from 0 to below 1")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        if self.phase == caffe_pb2.TRAIN:
            # Three times as fast as torch's bernoulli_, with the same mask in either precision.
            drawn = torch.empty_like(x, dtype=torch.float32).uniform_(generator=torch_generator())
            kept = torch.ge(drawn, self._ratio, out=torch.empty_like(x))
            self._mask = kept.div_(1 - self._ratio)
            x = x * self._mask
        top[0].set_data(x)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            grad = top[0].grad
            bottom[0].set_diff(grad * self._mask if self.phase == caffe_pb2.TRAIN else grad)
