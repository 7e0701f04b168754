"""BatchNorm by batch statistics, fused with the Scale after it, on a GPU, in both directions.

Each layer alone reads and writes the whole map, so one pass for both takes half the time. The
values differ by rounding, so on the CPU the layers stay separate: trained nets keep their bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from caffe.blob import Blob
from caffe.build import Step
from caffe.device import current
from caffe.layers.norm import BatchNorm

_ops = torch.ops.aten


@dataclass
class Normalized:
    """A BatchNorm and the learnt Scale after it."""

    steps: Sequence[Step]
    losses: Sequence[tuple[Blob, float]] = ()

    def __post_init__(self) -> None:
        first, second = self.steps
        self._below, self._middle, self._top = first.bottom[0], first.top[0], second.top[0]
        self._apart = self._middle is not self._top

    @property
    def unseen(self) -> bool:
        """Whether the two layers may run as one: on a GPU only."""
        return current() is not None and (not self._apart or self._middle.deferrable)

    @property
    def learns(self) -> bool:
        """Whether they ran forward as one, and the gradient passes through both."""
        through = all(step.need_backward and step.propagate_down[0] for step in self.steps)
        return self._norm.joined and through

    @property
    def _norm(self) -> BatchNorm:
        layer = self.steps[0].layer
        assert isinstance(layer, BatchNorm)
        return layer

    def forward(self) -> None:
        for step in self.steps:
            step.reshape()
        x, scale, bias = self._below.tensor, *self._affine()
        self._x = x  # in place, the layer overwrites its bottom
        y, self._mean, self._factor = self._norm.normalize(x, scale, bias)
        self._norm.joined = True
        if self._apart:
            axes = (1, -1, *[1] * (x.dim() - 2))
            mean, factor = self._mean.view(axes), self._factor.view(axes)
            self._middle.defer_data(lambda: (x - mean) * factor)
        self._top.set_data(y)

    def backward(self) -> None:
        layer = self.steps[1].layer
        grad, (scale, _) = self._top.grad, self._affine()
        eps = self._norm.param.batch_norm_param.eps
        wanted = [True, *layer.param_propagate_down, False][:3]
        results = _ops.native_batch_norm_backward(
            grad, self._x, scale, None, None, self._mean, self._factor, True, eps, wanted
        )
        for blob, result, down in zip(layer.blobs, results[1:], wanted[1:], strict=False):
            if down:
                blob.grad.add_(result)
        if self._apart:
            axes = (1, -1, *[1] * (grad.dim() - 2))
            self._middle.defer_diff(lambda: grad * scale.view(axes))
        self._below.set_diff(results[0])

    def _affine(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        blobs = self.steps[1].layer.blobs
        return blobs[0].tensor, blobs[1].tensor if len(blobs) > 1 else None


def normalized(steps: Sequence[Step], first: int) -> Normalized | None:
    """Return the two layers from `first` on if they can run as one."""
    pair = steps[first : first + 2]
    if len(pair) < 2 or any(weight for step in pair for weight in step.loss_weights):
        return None
    norm, scale = pair
    joins = (
        isinstance(norm.layer, BatchNorm)
        and not norm.layer.fixed
        and scale.layer.type == "Scale"
        and scale.bottom == [norm.top[0]]
        and scale.layer.param.scale_param.axis == 1
        and scale.layer.blobs[0].shape == norm.top[0].shape[1:2]
    )
    return Normalized(pair) if joins else None
