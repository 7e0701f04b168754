"""Convolutions with packed weights, fused with the layers after them, for inference.

BatchNorm with fixed statistics, Scale and Bias become part of the weights; ReLU, ReLU6 and the sum
of an Eltwise are applied to each piece of the result while it is in the processor's cache. Weights
are kept in oneDNN's own layout until they change.

The values differ from those of single layers by rounding, about 1e-6 of the largest. The blobs
between the layers are computed only when something reads them. Layers run one by one where a script
could see the difference: by a callback, or by a view of such a blob or of the weights.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from caffe.blob import Blob
from caffe.build import Step
from caffe.device import current
from caffe.layers.conv import Aten, Filter, layout
from caffe.layers.norm import BatchNorm
from caffe.memory import Events
from caffe.proto.caffe_pb2 import TEST, BiasParameter, EltwiseParameter, ScaleParameter

SWITCH = "CAFFE_FUSION"  # the environment variable: 0 turns folding off

_oneDNN = torch.ops.mkldnn
_CHANNEL_AXES = (1, -3)


class Weights:
    """A convolution's weights, multiplied and shifted by the layers after it.

    Parameters
    ----------
    way : Aten
        How the window slides.
    weight : Tensor of shape (num_output, C / group, kernel_h, kernel_w)
    bias : Tensor of shape (num_output,), or None
    like : Tensor of shape (N, C, H, W)
        An input, for its device, precision and shape.
    """

    def __init__(
        self, way: Aten, weight: torch.Tensor, bias: torch.Tensor | None, like: torch.Tensor
    ) -> None:
        stride, pad, dilation, *_, self._groups = way.settings
        self._way, self._sizes = way, (pad, stride, dilation)
        self._weight = weight.to(like.dtype)
        self._bias = None if bias is None else bias.to(like.dtype)
        self._packed = current() is None and torch._C._has_mkldnn
        if self._packed:
            self._weight = _oneDNN._reorder_convolution_weight(
                self._weight, *self._sizes, self._groups, list(like.shape)
            )

    def __call__(
        self,
        x: torch.Tensor,
        other: torch.Tensor | None = None,
        bounds: tuple[float, float | None] | None = None,
    ) -> torch.Tensor:
        """Return the convolution of x, plus `other`, clamped between bounds."""
        if not self._packed:
            return self._by_parts(x, other, bounds)
        attribute: tuple[str | None, list[float]] = (None if other is not None else "none", [])
        if bounds is not None:
            low, high = bounds
            attribute = ("relu", []) if high is None else ("hardtanh", [low, high])
        given = (self._weight, self._bias, *self._sizes, self._groups)
        y: torch.Tensor
        if other is None:
            y = _oneDNN._convolution_pointwise(x, *given, *attribute, "")
        else:
            y = _oneDNN._convolution_pointwise.binary(x, other, *given, "add", 1.0, *attribute, "")
        return y

    def _by_parts(
        self,
        x: torch.Tensor,
        other: torch.Tensor | None,
        bounds: tuple[float, float | None] | None,
    ) -> torch.Tensor:
        y = self._way.forward(x, self._weight, self._bias)
        if other is not None:
            y.add_(other)
        if bounds is not None:
            low, high = bounds
            y = y.relu_() if high is None else y.clamp_(low, high)
        return y


@dataclass
class Folded:
    """A convolution and the layers after it.

    Parameters
    ----------
    steps : sequence of Step
        The convolution, what its weights contain, at most one Eltwise, at most one activation.
    within : int
        Number of steps that the weights contain, the convolution included.
    other : Blob or None
        The second summand of the Eltwise.
    bounds : (float, float or None) or None
        The activation's bounds.
    middle : Blob or None
        The blob in the middle of the four layers of a Clamp.
    """

    steps: Sequence[Step]
    within: int
    other: Blob | None
    bounds: tuple[float, float | None] | None
    middle: Blob | None
    losses: Sequence[tuple[Blob, float]] = ()
    learns: bool = False

    def __post_init__(self) -> None:
        self._below, self._top = self.steps[0].bottom[0], self.steps[-1].top[0]
        tops = {id(step.top[0]): step.top[0] for step in self.steps}
        self._between = [blob for blob in tops.values() if blob is not self._top]
        self._params = [blob for step in self.steps[: self.within] for blob in step.layer.blobs]
        self._inputs = [self._below] if self.other is None else [self._below, self.other]
        self._stamps: list[tuple[int, ...] | None] = []
        # As the last pass found them; -1 events to look at everything again.
        self._events = -1
        self._tensors: list[torch.Tensor] = []  # the weights
        self._versions: list[int] = []  # torch's counts of writes into them
        self._shape: tuple[int, ...] = ()
        self._top_shape: tuple[int, ...] = ()
        self._way: Aten | None = None

    @property
    def unseen(self) -> bool:
        """Whether the steps can run as one without a script noticing."""
        if self._unchanged():
            return True
        self._events = -1
        if self._below.dtype != torch.float32 or not self._fits():
            return False
        if self._between and not (
            all(blob.deferrable for blob in self._between)
            # A deferred value must not change when a script writes into an input afterwards.
            and all(blob.deferrable or _copied(blob) for blob in self._inputs)
        ):
            return False
        return all(blob.stamp() is not None for blob in self._params)

    def _unchanged(self) -> bool:
        """Whether nothing happened since the last pass, so that no blob has to be looked at."""
        return self._events == Events.count and self._versions == [
            tensor._version for tensor in self._tensors
        ]

    def _fits(self) -> bool:
        """Reshape the blobs if the bottom has a new shape; return whether torch can slide there."""
        shape = self._below.shape
        if shape != self._shape or any(s.top[0].shape != self._top_shape for s in self.steps):
            for step in self.steps:
                step.reshape()
            layer = self.steps[0].layer
            assert isinstance(layer, Filter)
            self._way, self._stamps = layer.slides, []
            self._shape, self._top_shape = shape, self._top.shape
        return self._way is not None

    def forward(self) -> None:
        x = _arranged(self._below)
        other = None if self.other is None else _arranged(self.other)
        if self._events != Events.count:
            self._prepare(x)
        for blob in self._between:
            blob.defer_data(self._alone(blob, x, other))
        self._top.set_data(self._weights(x, other, self.bounds))

    def _prepare(self, like: torch.Tensor) -> None:
        """Compute the weights if they changed, and remember when that was."""
        stamps = [blob.stamp() for blob in self._params]
        if stamps != self._stamps:
            self._fold(like)
            self._stamps = stamps
            for blob in self._params:
                blob.watch()
        self._tensors = [blob.tensor for blob in self._params]
        self._versions = [tensor._version for tensor in self._tensors]
        self._events = Events.count

    def backward(self) -> None:
        """Fail: a net that runs backward runs layer by layer."""
        raise NotImplementedError

    def unfold(self) -> None:
        """Run the steps one by one, which leaves what their backward passes need.

        Values that a script has seen, and may have changed, stay as they are.
        """
        tops = {id(blob): blob for step in self.steps for blob in step.top}.values()
        kept = [(blob, blob.tensor.clone()) for blob in tops if not blob.deferred]
        for step in self.steps:
            step.forward()
        for blob, values in kept:
            blob.set_data(values)

    def _fold(self, like: torch.Tensor) -> None:
        """Compute the weights, in double precision, of the top and of the blobs before the sum."""
        assert self._way is not None
        blobs = [blob.tensor.double() for blob in self.steps[0].layer.blobs]
        weight, bias = blobs[0], blobs[1] if len(blobs) > 1 else None
        self._parts: dict[int, Weights] = {}
        for step in self.steps[: self.within]:
            if step is not self.steps[0]:
                weight, bias = _followed(step, weight, bias)
            self._weights = Weights(self._way, weight, bias, like)
            if step.top[0] in self._between:
                self._parts[id(step.top[0])] = self._weights

    def _alone(
        self, blob: Blob, x: torch.Tensor, other: torch.Tensor | None
    ) -> Callable[[], torch.Tensor]:
        """Return a function that computes a blob between the steps, with the current weights."""
        if part := self._parts.get(id(blob)):
            return lambda: part(x)
        whole, bounds = self._weights, self.bounds
        if blob is self.middle and bounds is not None and bounds[1] is not None:
            high = bounds[1]
            return lambda: torch.relu(high - whole(x, other))  # its Power and ReLU (`fuse.Clamp`)
        return lambda: whole(x, other)


def _copied(blob: Blob) -> bool:
    """Whether `_arranged` copies the values, as it does if a view keeps them in Caffe's order."""
    return not blob.tensor.is_contiguous(memory_format=layout(blob.tensor))


def _arranged(blob: Blob) -> torch.Tensor:
    """Return a blob's values in the memory format that convolutions are fastest with."""
    return blob.tensor.contiguous(memory_format=layout(blob.tensor))


def _followed(
    step: Step, weight: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a convolution's weight and bias that contain the layer of a step as well."""
    scale, shift = _affine(step)
    if scale is not None:
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = None if bias is None else bias * scale
    if shift is not None:
        bias = shift if bias is None else bias + shift
    return weight, bias


def _affine(step: Step) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return a layer's factor and summand for each channel, in double precision."""
    layer = step.layer
    if isinstance(layer, BatchNorm):
        mean, variance = (values.double() for values in layer.learnt())
        scale = (variance + layer.param.batch_norm_param.eps).rsqrt()
        return scale, -mean * scale
    blobs = [blob.tensor.double() for blob in layer.blobs]
    if layer.type == "Bias":
        return None, blobs[0]
    return blobs[0], blobs[1] if len(blobs) > 1 else None


def folded(steps: Sequence[Step], first: int, clamps: Mapping[int, float]) -> Folded | None:
    """Return a convolution and the layers after it that can run as one; None if there is none.

    A convolution alone is such a group too, for its packed weights.

    Parameters
    ----------
    steps : sequence of Step
        All of the net.
    first : int
        The convolution's index.
    clamps : mapping of int to float
        The bounds of the Clamps, by the index of their first layer.
    """
    begin = steps[first]
    layer = begin.layer
    plain = isinstance(layer, Filter) and layer.phase == TEST and layer.slides is not None
    if not plain or len(begin.bottom) != 1 or any(begin.loss_weights) or not allowed():
        return None
    at = first + 1
    while at < len(steps) and _folds(steps[at], steps[at - 1].top[0]):
        at += 1
    within = at - first
    other = _summand(steps[at], steps[at - 1].top[0]) if at < len(steps) else None
    at += other is not None
    bounds: tuple[float, float | None] | None = None
    middle: Blob | None = None
    if at < len(steps) and steps[at].bottom[:1] == [steps[at - 1].top[0]]:
        if at in clamps:
            bounds, middle = (0.0, clamps[at]), steps[at].top[0]
            at += 4
        elif (bounds := _activation(steps[at])) is not None:
            at += 1
    taken = steps[first:at]
    return Folded(taken, within, other, bounds, middle)


def allowed() -> bool:
    """Whether layers may be folded: not if the environment variable CAFFE_FUSION is 0."""
    return os.environ.get(SWITCH) != "0"


def _activation(step: Step) -> tuple[float, float | None] | None:
    """Return the bounds of a layer that clamps its bottom; None if it does not."""
    if any(step.loss_weights):
        return None
    if step.layer.type == "ReLU" and not step.layer.param.relu_param.negative_slope:
        return 0.0, None
    return (0.0, 6.0) if step.layer.type == "ReLU6" else None


def _folds(step: Step, below: Blob) -> bool:
    """Whether a layer only scales or shifts each channel of a blob, by fixed numbers."""
    layer = step.layer
    if step.bottom != [below] or any(step.loss_weights) or len(below.shape) != 4:
        return False
    if isinstance(layer, BatchNorm):
        return layer.fixed
    params: dict[str, ScaleParameter | BiasParameter] = {
        "Scale": layer.param.scale_param,
        "Bias": layer.param.bias_param,
    }
    param = params.get(layer.type)
    shape = below.shape[1:2]
    return param is not None and param.axis in _CHANNEL_AXES and layer.blobs[0].shape == shape


def _summand(step: Step, below: Blob) -> Blob | None:
    """Return the blob that an Eltwise adds to this one; None if the layer is no such sum."""
    param = step.layer.param.eltwise_param
    adds = step.layer.type == "Eltwise" and param.operation == EltwiseParameter.SUM
    if not adds or len(step.bottom) != 2 or any(step.loss_weights) or set(param.coeff) - {1}:
        return None
    others = [blob for blob in step.bottom if blob is not below]
    return others[0] if len(others) == 1 else None
