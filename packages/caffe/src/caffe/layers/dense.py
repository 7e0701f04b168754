"""Products: InnerProduct, of the inputs with weights, and MatMul, of two bottoms."""

import math
from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors


@register("InnerProduct")
class InnerProduct(Layer):
    """y = x W^T + b, over all axes from `axis` on.

    Blobs: W of shape (num_output, K), or (K, num_output) with `transpose`; b of shape
    (num_output,).
    """

    overwritable = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.inner_product_param
        if not param.num_output:
            raise self.error("num_output is missing or 0. Allowed: 1 or more")
        self._axis = self.axis(bottom[0], param.axis)
        self._inputs = math.prod(bottom[0].shape[self._axis :])
        shape = (param.num_output, self._inputs)
        self.learn(shape[::-1] if param.transpose else shape, param.weight_filler)
        if param.bias_term:
            self.learn((param.num_output,), param.bias_filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if math.prod(shape[self._axis :]) != self._inputs:
            raise self.error(
                f"bottom has shape {shape}, so {math.prod(shape[self._axis :])} inputs from axis "
                f"{self._axis} on; its weights have {self._inputs}"
            )
        top[0].reshape(*shape[: self._axis], self.param.inner_product_param.num_output)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor.reshape(-1, self._inputs)
        weight = self._weight()
        if len(self.blobs) > 1:
            y = torch.addmm(self.blobs[1].tensor, x, weight.t())
        else:
            y = x.mm(weight.t())
        top[0].set_data(y.view(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        grad = top[0].grad.reshape(-1, self.param.inner_product_param.num_output)
        x = bottom[0].tensor.reshape(-1, self._inputs)
        if self.param_propagate_down[0]:
            if self.param.inner_product_param.transpose:
                self.blobs[0].grad.addmm_(x.t(), grad)
            else:
                self.blobs[0].grad.addmm_(grad.t(), x)
        if len(self.blobs) > 1 and self.param_propagate_down[1]:
            self.blobs[1].grad.add_(grad.sum(0))
        if propagate_down[0]:
            bottom[0].set_diff(grad.mm(self._weight()).view(bottom[0].shape))

    def _weight(self) -> torch.Tensor:
        """Return W in shape (num_output, K)."""
        weight = self.blobs[0].tensor
        return weight.t() if self.param.inner_product_param.transpose else weight


@register("MatMul")
class MatMul(Differentiable):
    """The products of the matrices in the last two axes; ONNX's operator, as attention needs it.

    Axes before them are broadcast, as in numpy.
    """

    bottoms = (2, 2)

    def shapes(self, given: list[Shape]) -> list[Shape]:
        try:
            product = torch.matmul(*(torch.empty(shape, device="meta") for shape in given))
        except RuntimeError:
            product = None
        if product is None or min(map(len, given)) < 2:
            raise self.error(
                f"bottoms have shapes {given[0]} and {given[1]}. "
                "Needed: (..., M, K) and (..., K, N)"
            )
        return [tuple(product.shape)]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [torch.matmul(*x)]
