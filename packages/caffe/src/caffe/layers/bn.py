"""BN: the batch normalization of two forks, with scale and shift of its own."""

import torch

from caffe.layers.base import Blobs, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors
from caffe.proto.caffe_pb2 import TRAIN, FillerParameter, ParamSpec
from caffe.proto.forks_pb2 import BNParameter

_SEGNET = ("scale_filler", "shift_filler", "bn_mode", "var_eps")


@register("BN")
class BN(Differentiable):
    """y = scale * (x - mean) / sqrt(variance + eps) + shift, per channel.

    SegNet's variant (alexgkendall/caffe-segnet) is recognised by `scale_filler`, `shift_filler`,
    `bn_mode` or `var_eps`. Mode LEARN uses the batch's statistics. Mode INFERENCE computes
    y = scale * x + shift, with the statistics folded into these two. Blobs: scale and shift, of
    shape (1, C, 1, 1).

    Otherwise it is PSPNet's (hszhao/PSPNet): the batch's statistics in training, the running ones
    in testing and if `frozen`; these move by 1 - `momentum`. Blobs: scale, shift, mean, variance,
    of shape (1, C); the variance begins at 0, or 1 if `frozen`.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = param = self.extra().bn_param
        if len(bottom[0].shape) < 2:
            raise self.error(f"bottom has shape {bottom[0].shape}. Allowed: 2 axes or more")
        self._segnet = any(param.HasField(name) for name in _SEGNET)
        names = (
            ("scale_filler", "shift_filler") if self._segnet else ("slope_filler", "bias_filler")
        )
        shape = (1, bottom[0].shape[1], *([1, 1] if self._segnet else []))
        for name, value in zip(names, (1, 0), strict=True):
            plain = FillerParameter(type="constant", value=value)
            self.learn(shape, getattr(param, name) if param.HasField(name) else plain)
        if self._segnet:
            return
        for value in (0, int(param.frozen)):
            self.learn(shape, FillerParameter(type="constant", value=value))
        # A solver must not update the running statistics, nor any frozen parameter.
        specs = self.param.param
        specs.extend(ParamSpec() for _ in range(len(specs), 4))
        for spec in specs[0 if param.frozen else 2 :]:
            spec.lr_mult = spec.decay_mult = 0

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if len(given[0]) < 2 or given[0][1] != self.blobs[0].shape[1]:
            raise self.error(
                f"bottom has shape {given[0]}. Needed: {self.blobs[0].shape[1]} channels"
            )
        return given

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        axes = [1, -1, *[1] * (x[0].dim() - 2)]
        scale, shift, *running = (blob.reshape(axes) for blob in learnt)
        if self._segnet and self._param.bn_mode == BNParameter.INFERENCE:
            return [x[0] * scale + shift]
        eps = self._param.var_eps if self._segnet else self._param.eps
        if running and (self._param.frozen or self.phase != TRAIN):
            mean, variance = (each.detach() for each in running)
        else:
            others = [axis for axis in range(x[0].dim()) if axis != 1]
            mean = x[0].mean(others, keepdim=True)
            variance = x[0].var(others, correction=0, keepdim=True)
            if running:
                self._move(mean.detach(), variance.detach())
        return [(x[0] - mean) * (variance + eps).rsqrt() * scale + shift]

    def _move(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        for blob, new in zip(self.blobs[2:], (mean, variance), strict=True):
            kept = self._param.momentum
            blob.tensor.mul_(kept).add_(new.reshape(blob.shape), alpha=1 - kept)
