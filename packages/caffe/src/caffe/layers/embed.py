"""Learnt tables: Embed, Parameter."""

from collections.abc import Sequence

from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import FillerParameter


@register("Embed")
class Embed(Layer):
    """y = W[x] + b: a row for each integer x.

    Blobs: W of shape (input_dim, num_output); b of shape (num_output,). Fractions are
    truncated, as in Caffe; an index without a row is refused, where Caffe reads foreign memory.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.embed_param
        if not param.num_output or not param.input_dim:
            raise self.error(
                f"num_output is {param.num_output} and input_dim {param.input_dim}. "
                "Allowed: 1 or more"
            )
        self.learn((param.input_dim, param.num_output), param.weight_filler)
        if param.bias_term:
            self.learn((param.num_output,), param.bias_filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*bottom[0].shape, self.param.embed_param.num_output)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._rows = bottom[0].tensor.reshape(-1).long()
        most = self.param.embed_param.input_dim - 1
        odd = self._rows[(self._rows < 0) | (self._rows > most)]
        if odd.numel():
            raise self.error(f"index {int(odd[0])}. Allowed: 0 to {most}")
        y = self.blobs[0].tensor.index_select(0, self._rows)
        if len(self.blobs) > 1:
            y += self.blobs[1].tensor
        top[0].set_data(y.reshape(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            raise self.error("has no gradient for its bottom: nothing below it can learn")
        grad = top[0].grad.reshape(-1, self.param.embed_param.num_output)
        if self.param_propagate_down[0]:
            self.blobs[0].grad.index_add_(0, self._rows, grad)
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].grad.add_(grad.sum(0))


@register("Parameter")
class Parameter(Layer):
    """A learnt blob of any shape, initially zeros, whose values the top shares.

    Its gradients accumulate like those of other layers; Caffe keeps the last pass only.
    """

    bottoms = (0, 0)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.parameter_param
        self.learn(tuple(param.shape.dim), FillerParameter(type="constant"))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(*self.blobs[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].share_data(self.blobs[0])

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if self.param_propagate_down[0]:
            self.blobs[0].grad.add_(top[0].grad)
