"""Normalization: by mean and deviation (MVN, BatchNorm), or by length (Normalize)."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import TEST, FillerParameter, ParamSpec

_ops = torch.ops.aten


@register("MVN")
class MVN(Layer):
    """y = (x - mean) / (deviation + eps), per map, or over all maps of an item.

    The top has four axes, as in Caffe: trailing axes of size 1 are appended if needed.
    The gradient is Caffe's, in which eps is a constant part of the deviation: exact for an eps of
    0, and almost so if eps is small against the deviation (mvn_layer.cpp). In place Caffe
    overwrites the top's gradient before it reads it; here the result is correct.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if not 1 <= len(shape) <= 4:
            raise self.error(f"bottom has shape {shape}. Allowed: 1 to 4 axes")
        self._shape = (*shape, *[1] * (4 - len(shape)))
        self._axes = (1, 2, 3) if self.param.mvn_param.across_channels else (2, 3)
        top[0].reshape(*self._shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor.reshape(self._shape)
        y = x - self._mean(x)
        if self.param.mvn_param.normalize_variance:
            self._deviation = self._mean(y * y).sqrt_().add_(self.param.mvn_param.eps)
            y.div_(self._deviation)
        top[0].set_data(y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        grad = top[0].grad
        result = grad - self._mean(grad)
        if self.param.mvn_param.normalize_variance:
            y = top[0].tensor
            result.sub_(y * self._mean(grad * y)).div_(self._deviation)
        bottom[0].set_diff(result.reshape(bottom[0].shape))

    def _mean(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(self._axes, keepdim=True)


@register("BatchNorm")
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps), per channel over the batch (batch_norm_layer.cpp).

    With `use_global_stats`, the default in the test phase, mean and variance are the running
    statistics; otherwise they are the batch's, and each forward pass updates the running ones.
    These have no gradient, and their lr_mult must be 0.

    Blobs: weighted sums of the batches' means and variances, of shape (C,), and the sum of the
    weights, of shape (1,), by which the two are to be divided. Before each batch all three are
    multiplied by moving_average_fraction. The variances in them are unbiased.

    Attributes
    ----------
    fixed : bool
        Whether it uses the running statistics.
    joined : bool
        Whether its last pass was run together with a Scale's (`caffe.normalized`).
    """

    joined = False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.batch_norm_param
        if len(bottom[0].shape) < 2:
            raise self.error(f"bottom has shape {bottom[0].shape}. Allowed: 2 axes or more")
        self._channels = bottom[0].shape[1]
        given = param.HasField("use_global_stats")
        self.fixed = param.use_global_stats if given else self.phase == TEST
        for shape in ((self._channels,), (self._channels,), (1,)):
            self.learn(shape, FillerParameter(type="constant"))
        for index, spec in enumerate(self.param.param):
            if spec.lr_mult:
                raise self.error(
                    f"param {index} has lr_mult {spec.lr_mult:g}. Allowed: 0, since its statistics "
                    "are not learnt by a gradient"
                )
        # Also when not given: a solver must not update statistics.
        self.param.param.extend(ParamSpec(lr_mult=0) for _ in range(len(self.param.param), 3))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) < 2 or shape[1] != self._channels:
            raise self.error(f"bottom has shape {shape}. Needed: {self._channels} channels")
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, eps = bottom[0].tensor, self.param.batch_norm_param.eps
        if self.fixed:
            mean, variance = self.learnt()
            y = _ops.native_batch_norm(x, None, None, mean, variance, False, 0, eps)[0]
            self._scale = (variance + eps).rsqrt()
        else:
            y, _, self._scale = self.normalize(x, None, None)
        self.joined = False
        self._y: torch.Tensor = y  # kept, since an in-place layer above may overwrite the top
        top[0].set_data(y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        grad = top[0].grad
        if self.fixed:
            axes = (1, self._channels, *[1] * (grad.dim() - 2))
            bottom[0].set_diff(grad * self._scale.view(axes))
            return
        # (grad - its mean - y * the mean of grad * y) * scale: torch's, as if y were the input.
        zeros, ones = torch.zeros_like(self._scale), torch.ones_like(self._scale)
        result = _ops.native_batch_norm_backward(
            grad, self._y, self._scale, None, None, zeros, ones, True, 0, [True, False, False]
        )
        bottom[0].set_diff(result[0])

    def normalize(
        self, x: torch.Tensor, scale: torch.Tensor | None, bias: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Normalize by the batch's statistics, and add these to the running ones.

        Returns
        -------
        y : Tensor of the shape of x
            The normalized values times `scale` plus `bias`.
        mean, factor : Tensor of shape (C,)
            The batch's means, and 1 / sqrt(variance + eps).
        """
        eps = self.param.batch_norm_param.eps
        # torch adds 0 times what they hold, which of unset memory may be NaN.
        mean, variance = x.new_zeros(self._channels), x.new_zeros(self._channels)
        results: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = _ops.native_batch_norm(
            x, scale, bias, mean, variance, True, 1, eps
        )
        self._move(mean, variance, x.numel() // self._channels)
        return results

    def learnt(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the running mean and variance; 0 before the first batch."""
        mean, variance, count = (blob.tensor for blob in self.blobs)
        # Not `count.item()`: a GPU would have to finish everything before it.
        factor = torch.where(count == 0, 0.0, 1 / count)
        return mean * factor, variance * factor

    def _move(self, mean: torch.Tensor, variance: torch.Tensor, values: int) -> None:
        """Add the statistics of a batch to the running ones."""
        if values == 1:  # torch's unbiased variance divides by 0 there
            variance = torch.zeros_like(variance)
        for blob, new in zip(self.blobs, (mean, variance, mean.new_ones(1)), strict=True):
            blob.tensor.mul_(self.param.batch_norm_param.moving_average_fraction).add_(new)


@register("Normalize")
class Normalize(Layer):
    """y = scale * x / sqrt(sum of x^2 + eps), from the SSD fork.

    The sum is over all values of an item, or with `across_spatial` false over the channels at each
    position. Blob: the scale, one number, or with `channel_shared` false one for each channel; 1 by
    default.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = self.extra().norm_param
        self._check(bottom[0].shape)
        self.refuse_in_place(bottom, top)
        self._channels = bottom[0].shape[1]
        filler = FillerParameter(type="constant", value=1)
        if self._param.HasField("scale_filler"):
            filler = self._param.scale_filler
        self.learn(() if self._param.channel_shared else (self._channels,), filler)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        self._check(shape)
        if not self._param.channel_shared and shape[1] != self._channels:
            raise self.error(f"bottom has shape {shape}. Needed: {self._channels} channels")
        self._axes = tuple(range(1, len(shape))) if self._param.across_spatial else (1,)
        top[0].reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        self._norm = (x * x).sum(self._axes, keepdim=True).add_(self._param.eps).sqrt_()
        top[0].set_data((x / self._norm).mul_(self._scale(x)))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        grad, x = top[0].grad, bottom[0].tensor
        unit = x / self._norm
        if self.param_propagate_down[0]:
            others = [axis for axis in range(x.dim()) if self._param.channel_shared or axis != 1]
            self.blobs[0].grad.add_((grad * unit).sum(others))
        if propagate_down[0]:
            grad = grad * self._scale(x)
            along = (grad * unit).sum(self._axes, keepdim=True)
            bottom[0].set_diff(grad.sub_(unit.mul_(along)).div_(self._norm))

    def _scale(self, x: torch.Tensor) -> torch.Tensor:
        return self.blobs[0].tensor.reshape(-1, *[1] * (x.dim() - 2))

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) < 2:
            raise self.error(f"bottom has shape {shape}. Allowed: 2 axes or more")
