"""Smooth functions of newer nets: Mish, HardSwish, Erf."""

import torch

from caffe.layers.base import register
from caffe.layers.differentiable import Differentiable, Tensors


@register("Mish")
class Mish(Differentiable):
    """y = x * tanh(log(1 + exp(x))) (Misra, 2019), from forks for YOLO v4."""

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [torch.nn.functional.mish(x[0])]


@register("HardSwish")
class HardSwish(Differentiable):
    """y = x * min(max(x + 3, 0), 6) / 6 (Howard et al., 2019), from forks for MobileNet v3."""

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [torch.nn.functional.hardswish(x[0])]


@register("Erf")
class Erf(Differentiable):
    """The error function, ONNX's Erf: the exact GELU is built on it."""

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [torch.erf(x[0])]
