"""Windows that slide over any number of axes, and their columns: Im2col.

Columns compute the convolutions that torch does not support: over no axis or more than three, with
a dilation of 0, or with a window that extends beyond the padding.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import ConvolutionParameter

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """A sliding window: its sizes along each axis."""

    kernel: Sizes
    stride: Sizes
    pad: Sizes
    dilation: Sizes

    @property
    def extent(self) -> Sizes:
        """The extent along each axis, with dilation."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def outputs(self, sizes: Sequence[int]) -> Sizes:
        """Return the number of positions, by C's integer division (conv_layer.cpp)."""
        axes = zip(sizes, self.pad, self.extent, self.stride, strict=True)
        return tuple(_quotient(n + 2 * p - e, s) + 1 for n, p, e, s in axes)

    def inputs(self, places: Sequence[int]) -> Sizes:
        """Return the sizes that a number of positions covers (deconv_layer.cpp)."""
        axes = zip(places, self.pad, self.extent, self.stride, strict=True)
        return tuple(s * (n - 1) + e - 2 * p for n, p, e, s in axes)

    def fits(self, sizes: Sequence[int]) -> bool:
        """Whether it has at least one position."""
        axes = zip(sizes, self.pad, self.extent, strict=True)
        return all(n > 0 and n + 2 * p >= e for n, p, e in axes)


def read_window(layer: Layer, param: ConvolutionParameter, axes: int) -> Window:
    """Return the window in a layer's settings, over some axes (base_conv_layer.cpp).

    Raises
    ------
    LayerError
        If a size is given in both forms, the wrong number of times, or is 0 where not allowed.
    """
    window = Window(
        _sizes(layer, param, "kernel", axes, None),
        _sizes(layer, param, "stride", axes, 1),
        _sizes(layer, param, "pad", axes, 0),
        _sizes(layer, param, "dilation", axes, 1),
    )
    for name, sizes in (("kernel", window.kernel), ("stride", window.stride)):
        if 0 in sizes:
            raise layer.error(f"{name} is {sizes}. Allowed: 1 or more along each axis")
    return window


def _sizes(
    layer: Layer, param: ConvolutionParameter, name: str, axes: int, default: int | None
) -> Sizes:
    field = "kernel_size" if name == "kernel" else name
    given = list(getattr(param, field))
    by_name = [f"{name}_{side}" for side in "hw" if name != "dilation"]
    if any(param.HasField(side) for side in by_name):
        if given or axes != 2:
            what = f"{field} as well" if given else f"{axes} axes to slide over"
            raise layer.error(f"has {' or '.join(by_name)}, and {what}. Allowed: for 2, alone")
        return tuple(getattr(param, side) for side in by_name)
    if not given and default is not None:
        return (default,) * axes
    if len(given) not in (1, axes):
        allowed = "once" if axes == 1 else f"once or {axes} times"
        raise layer.error(f"{field} is given {len(given)} times. Allowed: {allowed}")
    return tuple(given) if len(given) == axes else tuple(given) * axes


def _quotient(number: int, divisor: int) -> int:
    return number // divisor if number >= 0 else -(-number // divisor)


def unfold(x: torch.Tensor, window: Window, places: Sizes) -> torch.Tensor:
    """Return the window's elements at each position.

    Parameters
    ----------
    x : tensor of shape (N, C, *sizes)

    Returns
    -------
    tensor of shape (N, C, *kernel, *places)
        A view of the padded x, in which elements repeat.
    """
    before_and_after = [
        (p, max(0, _reach(n, s, e) - size - p))
        for size, p, n, s, e in zip(
            x.shape[2:], window.pad, places, window.stride, window.extent, strict=True
        )
    ]
    flat = [n for pair in reversed(before_and_after) for n in pair]
    padded = torch.nn.functional.pad(x, flat) if any(flat) else x
    steps = padded.stride()
    inner = [d * step for d, step in zip(window.dilation, steps[2:], strict=True)]
    outer = [s * step for s, step in zip(window.stride, steps[2:], strict=True)]
    return padded.as_strided((*x.shape[:2], *window.kernel, *places), (*steps[:2], *inner, *outer))


def fold(columns: torch.Tensor, window: Window, sizes: Sizes) -> torch.Tensor:
    """Add columns back to their positions: the gradient of `unfold`.

    Parameters
    ----------
    columns : tensor of shape (N, C, *kernel, *places)

    Returns
    -------
    tensor of shape (N, C, *sizes)
    """
    items, channels, places = *columns.shape[:2], columns.shape[2 + len(sizes) :]
    axes = list(zip(places, window.stride, window.extent, strict=True))
    covered = [
        max(size + p, _reach(*axis)) for size, p, axis in zip(sizes, window.pad, axes, strict=True)
    ]
    padded = columns.new_zeros(items, channels, *covered)
    taps = columns.reshape(items, channels, math.prod(window.kernel), *places).unbind(2)
    every: tuple[slice, ...] = (slice(None), slice(None))
    for at, tap in zip(itertools.product(*map(range, window.kernel)), taps, strict=True):
        seen: tuple[slice, ...] = tuple(
            slice(t * d, t * d + _reach(n, s, 1), s)
            for t, d, (n, s, _) in zip(at, window.dilation, axes, strict=True)
        )
        padded[every + seen] += tap
    kept: tuple[slice, ...] = tuple(
        slice(p, p + size) for p, size in zip(window.pad, sizes, strict=True)
    )
    return padded[every + kept]


def _reach(places: int, stride: int, extent: int) -> int:
    """Return the size that a window of this extent covers in some positions."""
    return (places - 1) * stride + extent if places else 0


@dataclass(frozen=True)
class Columns:
    """Convolution by columns, over any number of axes.

    Parameters
    ----------
    window : Window
    sizes : tuple of int
        Sizes that it slides over: the bottom's, or the top's if transposed.
    groups : int
    transposed : bool
    """

    window: Window
    sizes: Sizes
    groups: int
    transposed: bool

    def forward(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the tops' values, of shape (N, num_output, *places)."""
        y = self._spread(x, weight) if self.transposed else self._gather(x, weight)
        return y if bias is None else y + bias.view(-1, *[1] * len(self.sizes))

    def backward(
        self, grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, wanted: Sequence[bool]
    ) -> Sequence[torch.Tensor | None]:
        """Return the gradients of x, weight and bias that are needed."""
        of_x, of_weight, of_bias = None, None, None
        if wanted[0]:
            turned = self._gather if self.transposed else self._spread
            of_x = turned(grad, weight)
        if wanted[1]:
            places, slid = (x, grad) if self.transposed else (grad, x)
            found = torch.einsum("ngop,ngkp->gok", self._flat(places), self._columns(slid))
            of_weight = found.reshape(weight.shape)
        if wanted[2]:
            of_bias = grad.sum((0, *range(2, grad.ndim)))
        return of_x, of_weight, of_bias

    def _gather(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        y = self._matrices(weight) @ self._columns(x)
        return y.reshape(x.shape[0], weight.shape[0], *self.window.outputs(self.sizes))

    def _spread(self, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        columns = self._matrices(weight).transpose(1, 2) @ self._flat(y)
        channels = self.groups * weight.shape[1]
        shape = (y.shape[0], channels, *self.window.kernel, *y.shape[2:])
        return fold(columns.reshape(shape), self.window, self.sizes)

    def _columns(self, x: torch.Tensor) -> torch.Tensor:
        """Return columns of shape (N, groups, channels of one * kernel, places)."""
        places = self.window.outputs(self.sizes)
        rows = x.shape[1] // self.groups * math.prod(self.window.kernel)
        columns = unfold(x, self.window, places)
        return columns.reshape(x.shape[0], self.groups, rows, math.prod(places))

    def _flat(self, y: torch.Tensor) -> torch.Tensor:
        """Return (N, groups, channels of one, places)."""
        n, channels, *places = y.shape
        return y.reshape(n, self.groups, channels // self.groups, math.prod(places))

    def _matrices(self, weight: torch.Tensor) -> torch.Tensor:
        """Return (groups, outputs of one, channels of one * kernel)."""
        columns = math.prod(weight.shape[1:])
        return weight.reshape(self.groups, weight.shape[0] // self.groups, columns)


@register("Im2col")
class Im2col(Layer):
    """The columns of a convolution: channels times kernel elements, for each position."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.convolution_param
        self._axis = self.axis(bottom[0], param.axis)
        axes = len(bottom[0].shape) - self._axis - 1
        if not axes:
            raise self.error(f"bottom of shape {bottom[0].shape} has nothing after its channels")
        self._window = read_window(self, param, axes)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        first, shape = self._axis + 1, bottom[0].shape
        if len(shape) - first != len(self._window.kernel):
            raise self.error(
                f"bottom has shape {shape}. Needed: {first + len(self._window.kernel)} axes"
            )
        channels = shape[self._axis] * math.prod(self._window.kernel)
        top[0].reshape(*shape[: self._axis], channels, *self._window.outputs(shape[first:]))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        first = self._axis + 1
        x = bottom[0].tensor.reshape(-1, *bottom[0].shape[self._axis :])
        columns = unfold(x, self._window, top[0].shape[first:])
        top[0].set_data(columns.reshape(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            first, shape = self._axis + 1, bottom[0].shape
            columns = top[0].grad.reshape(
                -1, shape[self._axis], *self._window.kernel, *top[0].shape[first:]
            )
            bottom[0].set_diff(fold(columns, self._window, shape[first:]).reshape(shape))
