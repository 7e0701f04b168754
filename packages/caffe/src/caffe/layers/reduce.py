"""Reductions: Eltwise, Reduction, ArgMax."""

import math
from collections.abc import Sequence
from itertools import accumulate

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.elementwise import above
from caffe.proto.caffe_pb2 import EltwiseParameter, ReductionParameter


@register("Eltwise")
class Eltwise(Layer):
    """The sum (with a `coeff` for each bottom), product or maximum of bottoms of one shape.

    In a tie for the maximum the second of the first two bottoms gets the gradient; a later bottom
    gets it only if it is larger than all before it (eltwise_layer.cpp). Without `stable_prod_grad`
    the product's gradient is y / x, which is NaN where x is 0. In place the result is correct,
    while Caffe loses the bottom that it overwrites.
    """

    bottoms = (2, None)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.eltwise_param
        self._coeff = list(param.coeff) or [1.0] * len(bottom)
        if param.coeff and param.operation == EltwiseParameter.PROD:
            raise self.error("has coeff with PROD. Allowed: with SUM")
        if len(self._coeff) != len(bottom):
            raise self.error(
                f"has {len(bottom)} bottoms and {len(self._coeff)} coeff: none or one for each"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for i, blob in enumerate(bottom):
            if blob.shape != bottom[0].shape:
                raise self.error(
                    f"bottom 0 has shape {bottom[0].shape} and bottom {i} {blob.shape}: "
                    "they must be the same"
                )
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        values = [blob.tensor for blob in bottom]
        operation = self.param.eltwise_param.operation
        # In place the bottom is overwritten, though its gradient may need it.
        self._kept: torch.Tensor | None = None
        if operation != EltwiseParameter.SUM and any(blob is top[0] for blob in bottom):
            self._kept = top[0].tensor.clone()
        if operation == EltwiseParameter.SUM:
            top[0].set_data(self._sum(values))
            return
        combine = torch.mul if operation == EltwiseParameter.PROD else torch.maximum
        result = combine(values[0], values[1])
        for value in values[2:]:
            result = combine(result, value)
        top[0].set_data(result)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        grad = top[0].grad
        values = [
            self._kept if blob is top[0] and self._kept is not None else blob.tensor
            for blob in bottom
        ]
        operation = self.param.eltwise_param.operation
        if operation == EltwiseParameter.SUM:
            results = [grad if coeff == 1 else grad * coeff for coeff in self._coeff]
        elif operation == EltwiseParameter.MAX:
            results = _of_largest(values, grad)
        elif self.param.eltwise_param.stable_prod_grad:
            results = [_product(values[:i] + values[i + 1 :], grad) for i in range(len(values))]
        else:
            results = [top[0].tensor / value * grad for value in values]
        # Set all at the end: in place, the top's gradient is a bottom's too.
        for blob, wanted, result in zip(bottom, propagate_down, results, strict=True):
            if wanted:
                blob.set_diff(result)

    def _sum(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        first = values[0] if self._coeff[0] == 1 else values[0] * self._coeff[0]
        result = torch.add(first, values[1], alpha=self._coeff[1])
        for value, coeff in zip(values[2:], self._coeff[2:], strict=True):
            result.add_(value, alpha=coeff)
        return result


def _product(values: Sequence[torch.Tensor], grad: torch.Tensor) -> torch.Tensor:
    for value in values:
        grad = grad * value
    return grad


def _of_largest(values: Sequence[torch.Tensor], grad: torch.Tensor) -> list[torch.Tensor]:
    """Return the gradient of each of `values`: non-zero only where it is the maximum."""
    largest = list(accumulate(values, torch.maximum))
    results = []
    for i in range(len(values) - 1, 1, -1):
        results.append(grad * above(values[i], largest[i - 1]))
        grad = grad - results[-1]
    first = grad * above(values[0], values[1])
    return [first, grad - first, *reversed(results)]


@register("Reduction")
class Reduction(Layer):
    """`coeff` times the sum over all axes from `axis` on: of x, |x|, x^2, or the mean of x.

    At x = 0 the gradient of |x| is 0.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._axis = self.axis(bottom[0], self.param.reduction_param.axis)
        top[0].reshape(*bottom[0].shape[: self._axis])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, operation = bottom[0].tensor, self.param.reduction_param.operation
        if operation == ReductionParameter.ASUM:
            x = x.abs()
        elif operation == ReductionParameter.SUMSQ:
            x = x.square()
        top[0].set_data(x.sum(tuple(range(self._axis, x.dim()))) * self._scale(x))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        x, operation = bottom[0].tensor, self.param.reduction_param.operation
        grad = top[0].grad * self._scale(x)
        grad = grad.reshape((*grad.shape, *[1] * (x.dim() - self._axis)))
        if operation == ReductionParameter.ASUM:
            bottom[0].set_diff(x.sign() * grad)
        elif operation == ReductionParameter.SUMSQ:
            bottom[0].set_diff(x * (2 * grad))
        else:
            bottom[0].set_diff(torch.empty_like(x).copy_(grad))

    def _scale(self, x: torch.Tensor) -> float:
        param = self.param.reduction_param
        if param.operation == ReductionParameter.MEAN:
            return param.coeff / math.prod(x.shape[self._axis :])
        return param.coeff


@register("ArgMax")
class ArgMax(Layer):
    """The indexes of the `top_k` largest values, along `axis` or over all axes after the first.

    In a tie the later one comes first. With `axis` and `out_max_val` the top holds the values
    instead; without `axis` the top has shape (N, 1, top_k), or (N, 2, top_k) with both. It has no
    gradient.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.argmax_param
        self._axis = self.axis(bottom[0], param.axis) if param.HasField("axis") else None
        self._check(bottom)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._check(bottom)
        param, shape = self.param.argmax_param, bottom[0].shape
        if self._axis is None:
            more = [1] * (len(shape) - 3)
            top[0].reshape(shape[0], 1 + param.out_max_val, param.top_k, *more)
        else:
            top[0].reshape(*shape[: self._axis], param.top_k, *shape[self._axis + 1 :])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, x = self.param.argmax_param, bottom[0].tensor
        if self._axis is not None:
            values, places = _largest(x, self._axis, param.top_k)
            top[0].set_data(values if param.out_max_val else places.to(x.dtype))
            return
        values, places = _largest(x.reshape(x.shape[0], -1), 1, param.top_k)
        rows = [places.to(x.dtype), *([values] if param.out_max_val else [])]
        top[0].set_data(torch.stack(rows, 1).reshape(top[0].shape))

    def _check(self, bottom: Blobs) -> None:
        shape, top_k = bottom[0].shape, self.param.argmax_param.top_k
        most = math.prod(shape[1:]) if self._axis is None else shape[self._axis]
        if not shape or not 1 <= top_k <= most:
            raise self.error(f"top_k is {top_k}. Allowed: 1 to {most}, for shape {shape}")


def _largest(x: torch.Tensor, axis: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest values along an axis, in descending order, and their indexes."""
    if count == 1:
        values = x.amax(axis, keepdim=True)
        size = x.shape[axis]
        numbers = torch.arange(size, device=x.device).reshape(-1, *[1] * (x.dim() - 1 - axis))
        # Negated `<` instead of `==`, so that at least one position qualifies even with NaN.
        places = torch.where(x < values, -1, numbers).amax(axis, keepdim=True)
        return values, places
    values, places = x.flip(axis).sort(dim=axis, descending=True, stable=True)
    places = x.shape[axis] - 1 - places
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)
