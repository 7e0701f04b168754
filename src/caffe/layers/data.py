"""Where values come from: Input, DummyData, MemoryData."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from caffe import rng
from caffe.blob import Blob
from caffe.fillers import fill
from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import FillerParameter


class Source(Layer):
    """A layer without bottoms, whose tops were shaped by its settings."""

    bottoms = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    is_data = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """The shapes stay as they were set up, or as somebody changed them."""


@register("Input")
class Input(Source):
    """Blobs that whoever uses the net fills."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shapes = self.param.input_param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.error(f"has {len(top)} tops and {len(shapes)} shapes. Allowed: 0, 1 or each")
        for i, blob in enumerate(top):
            if shapes:
                blob.reshape(*shapes[i if len(shapes) > 1 else 0].dim)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """The values are there."""


@register("DummyData")
class DummyData(Source):
    """Blobs that fillers fill: constant ones once, the others in every pass."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.dummy_data_param
        shapes = [tuple(shape.dim) for shape in param.shape] or list(
            zip(param.num, param.channels, param.height, param.width, strict=True)
        )
        fillers = list(param.data_filler) or [FillerParameter(type="constant")]
        for what, given in (("shapes", shapes), ("fillers", fillers)):
            if len(given) not in (1, len(top)):
                raise self.error(f"has {len(top)} tops and {len(given)} {what}. Allowed: 1 or each")
        self._fillers = fillers * len(top) if len(fillers) == 1 else fillers
        for i, blob in enumerate(top):
            blob.reshape(*shapes[i if len(shapes) > 1 else 0])
            self._refill(blob, i)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for i, blob in enumerate(top):
            if self._fillers[i].type != "constant":
                self._refill(blob, i)

    def _refill(self, blob: Blob, i: int) -> None:
        fresh = Blob(blob.shape, blob.dtype)
        fill(fresh, self._fillers[i], rng.generator())
        blob.set_data(fresh.tensor)


@register("MemoryData")
class MemoryData(Source):
    """Batches of arrays that `Net.set_input_arrays` gives: data (N, C, H, W) and labels (N,)."""

    tops = (2, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.memory_data_param
        self._size = (param.batch_size, param.channels, param.height, param.width)
        if 0 in self._size:
            raise self.error(f"batch_size, channels, height, width are {self._size}: all from 1 up")
        top[0].reshape(*self._size)
        top[1].reshape(param.batch_size)
        self._data: torch.Tensor | None = None

    def set_input_arrays(self, data: NDArray[Any], labels: NDArray[Any]) -> None:
        """Take what the following passes read in turn; it must be whole batches.

        Parameters
        ----------
        data : float32 ndarray of shape (n, channels, height, width)
        labels : float32 ndarray of shape (n,) or (n, 1, 1, 1)

        Raises
        ------
        LayerError
            If shape or precision do not fit, or n is no multiple of the batch size.
        """
        batch = self._size[0]
        if data.dtype != np.float32 or labels.dtype != np.float32:
            raise self.error(f"arrays are {data.dtype} and {labels.dtype}. Allowed: float32")
        if data.shape[1:] != self._size[1:] or labels.size != len(data):
            raise self.error(
                f"arrays have shapes {data.shape} and {labels.shape}. Allowed: "
                f"(n, {', '.join(map(str, self._size[1:]))}) and (n,)"
            )
        if not len(data) or len(data) % batch:
            raise self.error(f"{len(data)} items are not a multiple of the batch size {batch}")
        self._data = torch.from_numpy(np.ascontiguousarray(data))
        self._labels = torch.from_numpy(np.ascontiguousarray(labels.reshape(-1)))
        self._position = 0

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._data is None:
            raise self.error("has no data yet: call net.set_input_arrays(data, labels) first")
        rows = slice(self._position, self._position + self._size[0])
        top[0].set_data(self._data[rows].clone())
        top[1].set_data(self._labels[rows].clone())
        self._position = rows.stop % len(self._data)
