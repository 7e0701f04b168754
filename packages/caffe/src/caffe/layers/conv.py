"""Convolutions: Convolution, Deconvolution, and the depthwise ones of forks.

Layout: on the CPU two-dimensional maps go to torch in its channels_last format and come back in it,
which is the fastest for all these layers, deep or depthwise, forward and backward. (On a GPU they
are contiguous: in float32 cuDNN has few kernels for channels_last, and converts for the others.)
The first convolution of a run converts its input, and those above find it converted: pooling,
normalization, activations and concatenation keep the format. Layers that flatten maps
(InnerProduct, Flatten, Reshape) read them in Caffe's order again, and so does a blob's `data`.
Weights stay in Caffe's order, since scripts and solvers write into them: oneDNN reorders them at
each pass, which takes about a tenth of the time of a single image and next to nothing of a batch's.

Gradients are autograd's; only those that are needed are computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from caffe.blob import Blob
from caffe.layers.base import Blobs, Layer, register
from caffe.layers.im2col import Columns, Sizes, Window, read_window


class Filter(Layer):
    """The base of convolutions: a window with weights that slides over each bottom.

    Axes before `axis` index items; the window slides over all axes after it. Blobs, shared by all
    pairs of bottom and top: W, and b of shape (num_output,).
    """

    bottoms = (1, None)
    tops = (1, None)
    same_count = True
    overwritable = True
    transposed = False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.convolution_param
        self.first_axis = self.axis(bottom[0], param.axis)
        self._channels = bottom[0].shape[self.first_axis]
        self.window = read_window(self, param, len(bottom[0].shape) - self.first_axis - 1)
        places = self.places(bottom[0].shape[self.first_axis + 1 :])
        if bottom[0].count and min(places, default=1) < 1:
            raise self.error(
                f"bottom has shape {bottom[0].shape}, so the top would be of {places}: kernel, "
                "dilation and pad do not fit"
            )
        self._outputs, self.groups = self.counts(self._channels)
        ends = (self._outputs, self._channels // self.groups)
        if self.transposed:
            ends = (self._channels, self._outputs // self.groups)
        self.learn((*ends, *self.window.kernel), param.weight_filler)
        if param.bias_term:
            self.learn((self._outputs,), param.bias_filler)

    def counts(self, channels: int) -> tuple[int, int]:
        """Return num_output and group; both must fit the bottom's channels."""
        param = self.param.convolution_param
        if not param.num_output:
            raise self.error("num_output is missing or 0. Allowed: 1 or more")
        if not param.group or channels % param.group or param.num_output % param.group:
            raise self.error(
                f"group is {param.group}. Allowed: divisors of the bottom's {channels} channels "
                f"and num_output {param.num_output}"
            )
        return param.num_output, param.group

    def places(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return the top's sizes for the bottom's, along the axes that the window slides over."""
        return self.window.outputs(sizes)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, first = bottom[0].shape, self.first_axis + 1
        if len(shape) != first + len(self.window.kernel):
            raise self.error(
                f"bottom has shape {shape}. Needed: {first + len(self.window.kernel)} axes"
            )
        if shape[self.first_axis] != self._channels:
            raise self.error(
                f"bottom has shape {shape}, so {shape[self.first_axis]} channels on axis "
                f"{self.first_axis}; its weights are for {self._channels}"
            )
        for other in bottom[1:]:
            if other.shape != shape:
                raise self.error(f"bottoms have shapes {shape} and {other.shape}: must be the same")
        self._sizes = shape[first:]
        places = self.places(self._sizes)
        for blob in top:
            blob.reshape(*shape[: self.first_axis], self._outputs, *places)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        weight, bias = self.blobs[0].tensor, None
        if len(self.blobs) > 1:
            bias = self.blobs[1].tensor
        slide = self._slide(bottom[0], top[0])
        for below, above in zip(bottom, top, strict=True):
            y = slide.forward(self._items(below.tensor), weight, bias)
            above.set_data(_shaped(y, above.shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        slide = self._slide(bottom[0], top[0])
        wanted = [*self.param_propagate_down, False][:2]
        for above, below, down in zip(top, bottom, propagate_down, strict=True):
            if not any((down, *wanted)):
                continue
            of_bottom, *of_blobs = slide.backward(
                self._items(above.grad),
                self._items(below.tensor),
                self.blobs[0].tensor,
                (down, *wanted),
            )
            if of_bottom is not None:
                below.set_diff(_shaped(of_bottom, below.shape))
            for blob, gradient in zip(self.blobs, of_blobs, strict=False):
                if gradient is not None:
                    blob.grad.add_(gradient)

    @property
    def slides(self) -> "Aten | None":
        """The implementation where it is torch's over maps of shape (N, C, H, W), else None."""
        way = Aten(self.window, self._sizes, self.groups, self.transposed)
        plain = self.first_axis == 1 and len(self._sizes) == 2 and not self.transposed
        return way if plain and way.known else None

    def _items(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor with a single axis before the channels."""
        first = math.prod(tensor.shape[: self.first_axis])
        items = _shaped(tensor, (first, *tensor.shape[self.first_axis :]))
        return items.contiguous(memory_format=layout(items)) if items.ndim == 4 else items

    def _slide(self, bottom: Blob, top: Blob) -> "Aten | Columns":
        """Return the implementation: torch's if it supports the window, else by columns."""
        sizes = (top if self.transposed else bottom).shape[self.first_axis + 1 :]
        way = Aten(self.window, sizes, self.groups, self.transposed)
        return way if way.known else Columns(self.window, sizes, self.groups, self.transposed)


def layout(x: torch.Tensor) -> torch.memory_format:
    """Return the memory format in which maps are convolved the fastest where x is."""
    return torch.contiguous_format if x.is_cuda else torch.channels_last


def _shaped(tensor: torch.Tensor, shape: Sizes) -> torch.Tensor:
    """Reshape, but never to the same shape: with a single item that would lose the strides of
    channels_last, and the next layers would be slow.
    """
    return tensor if tensor.shape == shape else tensor.reshape(shape)


@register("Convolution")
class Convolution(Filter):
    """The weighted sums of the window's inputs at each position.

    W has shape (num_output, channels / group, *kernel).
    """


@register("Deconvolution")
class Deconvolution(Filter):
    """The transposed convolution: each input adds its weighted window to the output.

    W has shape (channels, num_output / group, *kernel).
    """

    transposed = True

    def places(self, sizes: Sequence[int]) -> tuple[int, ...]:
        return self.window.inputs(sizes)


@register("DepthwiseConvolution", "ConvolutionDepthwise")
class DepthwiseConvolution(Filter):
    """A convolution with a window for each channel, from forks of Caffe.

    group and num_output default to the number of channels.
    """

    def counts(self, channels: int) -> tuple[int, int]:
        param = self.param.convolution_param
        for name in ("num_output", "group"):
            given = getattr(param, name)
            if param.HasField(name) and given != channels:
                raise self.error(f"{name} is {given}. Allowed: the bottom's channels, {channels}")
        return channels, channels


@dataclass(frozen=True)
class Aten:
    """Convolution by torch, over 1 to 3 axes."""

    window: Window
    sizes: Sizes
    groups: int
    transposed: bool

    def forward(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the tops' values, of shape (N, num_output, *places)."""
        y: torch.Tensor = torch.ops.aten.convolution(x, weight, bias, *self.settings)
        return y

    def backward(
        self, grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, wanted: Sequence[bool]
    ) -> Sequence[torch.Tensor | None]:
        """Return the gradients of x, weight and bias that are needed."""
        # torch's own gradient of the bias is slow, especially with padding.
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, *self.settings, [*wanted[:2], False]
        )
        return of_x, of_weight, grad.sum((0, *range(2, grad.ndim))) if wanted[2] else None

    @property
    def known(self) -> bool:
        """Whether torch supports the window."""
        window = self.window
        axes = len(self.sizes)
        return 1 <= axes <= 3 and all(window.dilation) and window.fits(self.sizes)

    @property
    def settings(self) -> tuple[Sizes, Sizes, Sizes, bool, list[int], int]:
        window, none = self.window, [0] * len(self.sizes)
        # A window of size 1 has no gaps to dilate, and torch 2.13 crashes (a segmentation fault) on
        # a dilation above 1 with a map of width 1 in channels_last.
        pairs = zip(window.kernel, window.dilation, strict=True)
        dilation = tuple(1 if kernel == 1 else spread for kernel, spread in pairs)
        settings = (window.stride, window.pad, dilation)
        return (*settings, self.transposed, none, self.groups)
