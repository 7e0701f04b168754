"""Sources of values: Input, DummyData, MemoryData."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from caffe import glog, rng
from caffe.blob import Blob
from caffe.errors import ArrayNeeded, ArraysError, LayerError
from caffe.fillers import fill
from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import FillerParameter


class Source(Layer):
    """A layer without bottoms, whose settings shape its tops."""

    bottoms = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    is_data = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keep the shapes of the setup, or those that a script has set since."""


@register("Input")
class Input(Source):
    """Blobs that the user of the net fills."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shapes = self.param.input_param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.error(
                f"has {len(top)} tops and {len(shapes)} shapes. Allowed: 0, 1 or one for each"
            )
        for i, blob in enumerate(top):
            if shapes:
                blob.reshape(*shapes[i if len(shapes) > 1 else 0].dim)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Do nothing: the user has set the values."""


@register("DummyData")
class DummyData(Source):
    """Blobs that fillers fill: constants once, random values in every pass."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shapes = self._shapes(len(top))
        fillers = list(self.param.dummy_data_param.data_filler)
        fillers = fillers or [FillerParameter(type="constant")]
        if len(fillers) not in (1, len(top)):
            raise self.error(
                f"has {len(top)} tops and {len(fillers)} fillers. Allowed: 0, 1 or one for each"
            )
        self._fillers = fillers * len(top) if len(fillers) == 1 else fillers
        for blob, shape, filler in zip(top, shapes, self._fillers, strict=True):
            blob.reshape(*shape)
            if filler.type == "constant":
                self._refill(blob, filler)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob, filler in zip(top, self._fillers, strict=True):
            if filler.type != "constant":
                self._refill(blob, filler)

    def _shapes(self, tops: int) -> list[tuple[int, ...]]:
        """Return the shape of each top, from `shape` or from the four old fields by axis."""
        param = self.param.dummy_data_param
        old = {name: list(getattr(param, name)) for name in ("num", "channels", "height", "width")}
        if any(old.values()) and param.shape:
            raise self.error("has shape and num, channels, height, width. Allowed: one of them")
        given = old if any(old.values()) else {"shape": list(param.shape)}
        for name, values in given.items():
            if len(values) not in (1, tops):
                raise self.error(
                    f"has {tops} tops and {len(values)} {name}. Allowed: 1, or one for each"
                )
        each = {n: v * tops if len(v) == 1 else v for n, v in given.items()}
        if "shape" in each:
            return [tuple(shape.dim) for shape in each["shape"]]
        return list(zip(*each.values(), strict=True))

    def _refill(self, blob: Blob, filler: FillerParameter) -> None:
        fresh = Blob(blob.shape, blob.dtype)
        try:
            fill(fresh, filler, rng.generator())
        except LayerError as error:
            raise self.error(str(error)) from None
        blob.set_data(fresh.tensor)


@register("MemoryData")
class MemoryData(Source):
    """Batches of arrays that `Net.set_input_arrays` gives: data (N, C, H, W) and labels (N,)."""

    tops = (2, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.memory_data_param
        self._size = (param.batch_size, param.channels, param.height, param.width)
        if 0 in self._size:
            raise self.error(
                f"batch_size, channels, height, width are {self._size}. Allowed: 1 or more each"
            )
        top[0].reshape(*self._size)
        top[1].reshape(param.batch_size)
        self._data: torch.Tensor | None = None

    def set_input_arrays(self, data: NDArray[Any], labels: NDArray[Any]) -> None:
        """Set the arrays that the following passes read in turn; a multiple of the batch size.

        Parameters
        ----------
        data : float32 ndarray of shape (n, channels, height, width)
        labels : float32 ndarray of shape (n,) or (n, 1, 1, 1)
            Both in C order. They are not copied, so later changes to them take effect.

        Raises
        ------
        ArrayNeeded
            If one is no array.
        ArraysError
            If shape, precision or order do not fit, or n is no multiple of the batch size.
        """
        for given in (data, labels):
            if not isinstance(given, np.ndarray):
                raise ArrayNeeded(str(self.error(f"was given a {type(given).__name__}: no array")))
        batch = self._size[0]
        if data.dtype != np.float32 or labels.dtype != np.float32:
            raise self._refused(f"arrays are {data.dtype} and {labels.dtype}. Allowed: float32")
        if not data.ndim or data.shape[1:] != self._size[1:] or not _is_column(labels, len(data)):
            raise self._refused(
                f"arrays have shapes {data.shape} and {labels.shape}. Allowed: "
                f"(n, {', '.join(map(str, self._size[1:]))}) and (n,) or (n, 1, 1, 1)"
            )
        if not (data.flags.c_contiguous and labels.flags.c_contiguous):
            raise self._refused(
                "arrays are not contiguous. Allowed: C order, as ascontiguousarray's"
            )
        if not len(data) or len(data) % batch:
            raise self._refused(f"{len(data)} items are not a multiple of the batch size {batch}")
        if self.param.HasField("transform_param"):
            line = "%s does not transform array data on Reset()"
            glog.warning("memory_data_layer.cpp:90", line, self.type)
        self._data = torch.from_numpy(data)
        self._labels = torch.from_numpy(labels.reshape(-1))
        self._position = 0

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._data is None:
            raise self._refused("has no data yet: call net.set_input_arrays(data, labels) first")
        rows = slice(self._position, self._position + self._size[0])
        top[0].set_data(self._data[rows].clone())
        top[1].reshape(self._size[0], 1, 1, 1)  # as Caffe does, though (n,) at first
        top[1].set_data(self._labels[rows].clone().view(top[1].shape))
        self._position = rows.stop % len(self._data)

    def _refused(self, message: str) -> ArraysError:
        return ArraysError(str(self.error(message)))


def _is_column(labels: NDArray[Any], n: int) -> bool:
    return labels.shape in ((n,), (n, 1, 1, 1))
