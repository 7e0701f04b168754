"""Scale and Bias: multiply by or add a value for each channel, or along other axes."""

from collections.abc import Sequence

import torch

from caffe.blob import Blob
from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import BiasParameter, FillerParameter, ScaleParameter

_ONES = FillerParameter(type="constant", value=1)


class Spread(Layer):
    """A layer that broadcasts a small blob over a large one, aligned at its `axis`.

    The small one is a second bottom, or learnt: then it has the sizes of `num_axes` axes of the
    bottom, of all from `axis` on if that is -1, and is a scalar if it is 0.
    """

    bottoms = (1, 2)

    def new_shape(self, bottom: Blobs, param: ScaleParameter | BiasParameter) -> tuple[int, ...]:
        """Return the shape of the learnt blob."""
        shape, many = bottom[0].shape, param.num_axes
        first = self.axis(bottom[0], param.axis)
        if many < -1 or first + many > len(shape):
            raise self.error(
                f"axis {param.axis} and num_axes {many} do not fit a bottom of shape {shape}"
            )
        return shape[first:] if many == -1 else shape[first : first + many]

    def place(self, bottom: Blobs, top: Blobs, axis: int, small: Blob) -> None:
        """Set the top's shape; store the axes over which the small blob is broadcast."""
        shape, sizes = bottom[0].shape, small.shape
        first = self.axis(bottom[0], axis) if sizes else 0
        end = first + len(sizes)
        if shape[first:end] != sizes:
            raise self.error(
                f"a bottom of shape {shape} has no axes of sizes {sizes} from axis {axis} on"
            )
        self._repeated = [i for i in range(len(shape)) if not first <= i < end]
        self.broadcast = tuple(1 if i in self._repeated else n for i, n in enumerate(shape))
        top[0].reshape(*shape)

    def small(self, bottom: Blobs) -> Blob:
        """Return the small blob: the second bottom or, without one, the first learnt blob."""
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def spread(self, small: Blob) -> torch.Tensor:
        """Return the small blob's values with as many axes as the bottom has."""
        return small.tensor.reshape(self.broadcast)

    def summed(self, x: torch.Tensor, small: Blob) -> torch.Tensor:
        """Return the sum over the axes of broadcasting, in the small blob's shape."""
        return (x.sum(self._repeated) if self._repeated else x).reshape(small.shape)


@register("Bias")
class Bias(Spread):
    """y = x + b, where b is the second bottom or, without one, learnt (bias_layer.cpp)."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if len(bottom) == 1:
            param = self.param.bias_param
            self.learn(self.new_shape(bottom, param), param.filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.place(bottom, top, self.param.bias_param.axis, self.small(bottom))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(bottom[0].tensor + self.spread(self.small(bottom)))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        grad = top[0].grad
        if len(bottom) > 1:
            if propagate_down[1]:
                bottom[1].set_diff(self.summed(grad, bottom[1]))
        elif self.param_propagate_down[0]:
            self.blobs[0].grad.add_(self.summed(grad, self.blobs[0]))
        if propagate_down[0]:
            bottom[0].set_diff(grad)


@register("Scale")
class Scale(Spread):
    """y = x * s, and + b with `bias_term`, where s is the second bottom or, without one, learnt.

    Blobs: s, filled with ones by default, unless it is a bottom; b of its shape (scale_layer.cpp).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.scale_param
        self._shape = bottom[1].shape if len(bottom) > 1 else self.new_shape(bottom, param)
        if len(bottom) == 1:
            self.learn(self._shape, param.filler if param.HasField("filler") else _ONES)
        if param.bias_term:
            self.learn(self._shape, param.bias_filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        small = self.small(bottom)
        if small.shape != self._shape and self.param.scale_param.bias_term:
            raise self.error(f"its second bottom has shape {small.shape}, its bias {self._shape}")
        self.place(bottom, top, self.param.scale_param.axis, small)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, scale = bottom[0].tensor, self.spread(self.small(bottom))
        # In place, with a view of the blob, its values are overwritten: keep a copy.
        seen = top[0] is bottom[0] and bottom[0].seen
        self._x = x.clone() if seen else x
        if self.param.scale_param.bias_term:
            top[0].set_data(torch.addcmul(self.spread(self.blobs[-1]), x, scale))
        else:
            top[0].set_data(x * scale)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        grad = top[0].grad
        learnt = len(bottom) == 1
        small = self.small(bottom)
        if self.param.scale_param.bias_term and self.param_propagate_down[-1]:
            self.blobs[-1].grad.add_(self.summed(grad, self.blobs[-1]))
        if learnt and self.param_propagate_down[0]:
            small.grad.add_(self.summed(grad * self._x, small))
        elif not learnt and propagate_down[1]:
            small.set_diff(self.summed(grad * self._x, small))
        if propagate_down[0]:
            bottom[0].set_diff(grad * self.spread(small))
