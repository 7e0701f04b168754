"""Pooling, and SPP, a pyramid of poolings."""

from collections.abc import Sequence

import torch

from caffe.blob import MAX_COUNT, Blob
from caffe.layers.base import Blobs, Layer, register
from caffe.layers.pool_windows import (
    Average,
    Max,
    Pair,
    Stochastic,
    WideAverage,
    WideMax,
    Windows,
)
from caffe.proto.caffe_pb2 import TRAIN, LayerParameter, PoolingParameter

_AXES = ("h", "w")


@register("Pooling")
class Pooling(Layer):
    """The maximum, the mean or a random value of each window of a map (pooling_layer.cpp).

    The number of windows is rounded up unless `round_mode` is FLOOR. With MAX, a second top holds
    the index of each maximum within its map. The gradient goes to the maximum only, the first one
    of a tie.

    STOCHASTIC, which real Caffe computes on a GPU only, returns the mean weighted by the values
    themselves in the test phase, and then has the gradient of that mean; real Caffe would use its
    last draw.
    """

    tops = (1, 2)
    overwritable = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.pooling_param
        self._pool: int = param.pool
        if len(top) > 1 and self._pool != PoolingParameter.MAX:
            raise self.error("has 2 top blobs. Allowed: 1, and 2 with pool: MAX")
        self.refuse_in_place(bottom, top)
        self._kernel = self._read_kernel()
        self._stride, self._pad = self._pair("stride"), self._pair("pad")
        if not all(self._stride):
            raise self.error(f"stride is {self._stride}. Allowed: 1 or more")
        if param.global_pooling and (any(self._pad) or self._stride != (1, 1)):
            raise self.error(
                f"has global_pooling, stride {self._stride} and pad {self._pad}. "
                "Allowed with it: stride 1 and pad 0"
            )
        if any(self._pad) and self._pool == PoolingParameter.STOCHASTIC:
            raise self.error(f"has pad {self._pad} and pool: STOCHASTIC. Allowed with it: pad 0")
        self.windows: Windows | None = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4:
            raise self.error(f"bottom has shape {shape}. Allowed: 4 axes, (N, C, H, W)")
        ceil = self.param.pooling_param.round_mode == PoolingParameter.CEIL
        windows = Windows(shape[2:], self._kernel or shape[2:], self._stride, self._pad, ceil)
        if windows != self.windows:
            self.windows = windows
            self._method = self._new_method(windows)
        for blob in top:
            blob.reshape(*shape[:2], *windows.pooled)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if top[0].count:
            top[0].set_data(self._method.forward(bottom[0].tensor))
        if len(top) > 1 and top[1].count and isinstance(self._method, Max):
            top[1].set_data(self._method.mask().to(top[1].dtype))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        x = bottom[0].tensor
        some = top[0].count
        bottom[0].set_diff(self._method.backward(top[0].grad, x) if some else torch.zeros_like(x))

    def _new_method(self, windows: Windows) -> Max | Average | Stochastic:
        kernel, pad = windows.kernel, windows.pad
        if min(kernel) < 1 or (any(pad) and (pad[0] >= kernel[0] or pad[1] >= kernel[1])):
            raise self.error(f"kernel is {kernel}, pad {pad}. Allowed: kernel from 1, pad below it")
        if min(windows.pooled) < 1:
            raise self.error(f"kernel {kernel} is too large for a bottom of {windows.size}")
        if windows.pooled[0] * windows.pooled[1] > MAX_COUNT:
            raise self.error(f"kernel {kernel} and pad {pad} make too many windows")
        if self._pool == PoolingParameter.MAX:
            return WideMax(windows) if windows.wide else Max(windows)
        if self._pool == PoolingParameter.AVE:
            return WideAverage(windows) if windows.wide else Average(windows)
        return Stochastic(windows, draw=self.phase == TRAIN)

    def _read_kernel(self) -> Pair | None:
        """Return the kernel; None for the whole map."""
        param = self.param.pooling_param
        has = param.HasField
        square, each = has("kernel_size"), [has(f"kernel_{axis}") for axis in _AXES]
        if param.global_pooling:
            if square or any(each):
                raise self.error("has global_pooling and a kernel size. Allowed: one of them")
            return None
        if square == all(each):
            raise self.error("needs kernel_size, or kernel_h and kernel_w")
        if square:
            return param.kernel_size, param.kernel_size
        return param.kernel_h, param.kernel_w

    def _pair(self, name: str) -> Pair:
        """Return pad or stride."""
        param = self.param.pooling_param
        names = [f"{name}_{axis}" for axis in _AXES]
        each = [param.HasField(of_axis) for of_axis in names]
        if any(each) and (param.HasField(name) or not all(each)):
            raise self.error(f"allowed: {name}, or {names[0]} and {names[1]}")
        down, across = (getattr(param, of_axis) for of_axis in (names if any(each) else [name] * 2))
        return down, across


@register("SPP")
class SPP(Layer):
    """Poolings over 1, 4, 16, ... windows of the map, concatenated (spp_layer.cpp).

    The top has shape (N, C * (1 + 4 + ...)), and (N, C, 1, 1) with a pyramid_height of 1, whatever
    the size of the map. A map is too small if the padding of a level would fill a whole window.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._height = self.param.spp_param.pyramid_height
        self._size: Pair | None = None
        if not self._height:
            raise self.error("pyramid_height is missing or 0. Allowed: 1 or more")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4 or not all(shape):
            raise self.error(f"bottom has shape {shape}. Allowed: 4 axes, none of size 0")
        if self._size != shape[2:]:
            self._size = shape[2:]
            self._levels = [self._level(2**i, bottom) for i in range(self._height)]
        for level, inner in self._levels:
            level.reshape(bottom, [inner])
        self._sizes = [inner.count // shape[0] for _, inner in self._levels]
        only = self._levels[0][1] if self._height == 1 else None
        top[0].reshape(*(only.shape if only else (shape[0], sum(self._sizes))))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for level, inner in self._levels:
            level.forward(bottom, [inner])
        parts = [inner.tensor.flatten(1) for _, inner in self._levels]
        top[0].set_data(torch.cat(parts, 1).reshape(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        parts = torch.split(top[0].grad.flatten(1), self._sizes, 1)
        total = torch.zeros_like(bottom[0].tensor)
        for (level, inner), part in zip(self._levels, parts, strict=True):
            inner.set_diff(part.reshape(inner.shape))
            level.backward([inner], propagate_down, bottom)
            total += bottom[0].grad
        bottom[0].set_diff(total)

    def _level(self, bins: int, bottom: Blobs) -> tuple[Pooling, Blob]:
        """Return the pooling to `bins` windows each way, and its top."""
        param = LayerParameter(name=self.name, type=self.type)
        pooling = param.pooling_param
        pooling.pool = self.param.spp_param.pool  # type: ignore[assignment]
        for axis, size in zip(_AXES, bottom[0].shape[2:], strict=True):
            kernel = -(-size // bins)
            setattr(pooling, f"kernel_{axis}", kernel)
            setattr(pooling, f"stride_{axis}", kernel)
            setattr(pooling, f"pad_{axis}", (kernel * bins - size + 1) // 2)
        level, inner = Pooling(param, self.phase), Blob((), bottom[0].dtype)
        level.setup(bottom, [inner])
        return level, inner
