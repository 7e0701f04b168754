"""The transformation of each image in data layers: crop, subtract a mean, scale, mirror."""

import numpy as np
from numpy.typing import NDArray

from caffe import rng
from caffe.datum import Values
from caffe.errors import LayerError, ShapeError
from caffe.formats import read_blob, set_blob, write_binary
from caffe.proto.caffe_pb2 import TRAIN, BlobProto, TransformationParameter


def read_mean(path: str) -> NDArray[np.float32]:
    """Read a mean file, such as ``mean.binaryproto``.

    Returns
    -------
    ndarray of shape (C, H, W)

    Raises
    ------
    FormatError
        If it cannot be read.
    ShapeError
        If it has another shape.
    """
    mean = read_blob(path).astype(np.float32)
    if mean.ndim == 4 and len(mean) == 1:
        mean = mean[0]
    if mean.ndim != 3:
        raise ShapeError(f"mean file {path} has shape {mean.shape}. Needed: (1, C, H, W)")
    return mean


def write_mean(path: str, mean: NDArray[np.float32]) -> None:
    """Write a mean (C, H, W) as a mean file, with the four old axes as Caffe does."""
    channels, height, width = mean.shape
    proto = BlobProto()
    set_blob(proto, mean[np.newaxis])
    proto.ClearField("shape")
    proto.num, proto.channels, proto.height, proto.width = 1, channels, height, width
    write_binary(path, proto)


class DataTransformer:
    """Turns the array of an image into a net's input (Caffe's data_transformer.cpp).

    In this order: crop, at random in training and at the centre otherwise; subtract the mean;
    multiply by `scale`; mirror with probability 1/2, in both phases.

    Parameters
    ----------
    param : TransformationParameter
    phase : int

    Raises
    ------
    CaffeError
        If both a mean file and mean values are given, or the file cannot be read.
    """

    def __init__(self, param: TransformationParameter, phase: int) -> None:
        self._param = param
        self._random = phase == TRAIN
        self._scale = np.float32(param.scale)
        self._values = np.array(param.mean_value, np.float32)[:, np.newaxis, np.newaxis]
        self._mean: NDArray[np.float32] | None = None
        if param.HasField("mean_file"):
            if len(self._values):
                raise LayerError("has mean_file and mean_value. Allowed: one of them")
            self._mean = read_mean(param.mean_file)

    def shape(self, values: Values) -> tuple[int, int, int]:
        """Return the shape of an array after the transformation.

        Raises
        ------
        ShapeError
            If the array is smaller than the crop.
        """
        c, h, w = values.shape
        crop = self._param.crop_size
        if not crop:
            return c, h, w
        if crop > min(h, w):
            raise ShapeError(f"crop_size {crop} is larger than the image of {h}x{w}")
        return c, crop, crop

    def transform(self, values: Values) -> NDArray[np.float32]:
        """Return a new array.

        Parameters
        ----------
        values : uint8 or float32 ndarray of shape (C, H, W)

        Raises
        ------
        ShapeError
            If it is too small, or the mean has another shape or number of channels.
        """
        _, h, w = self.shape(values)
        # Mirroring before offsets: Caffe draws its random numbers in this order.
        mirrored = self._param.mirror and bool(rng.generator().integers(2))
        top, left = self._offsets(values)
        part = (slice(None), slice(top, top + h), slice(left, left + w))
        result = values[part].astype(np.float32)
        if self._mean is not None:
            if self._mean.shape != values.shape:
                raise ShapeError(
                    f"the mean has shape {self._mean.shape}, the image {values.shape}: must agree"
                )
            result -= self._mean[part]
        elif len(self._values):
            if len(self._values) not in (1, len(values)):
                raise ShapeError(
                    f"{len(self._values)} mean_value and {len(values)} channels. Allowed: 1, or as "
                    "many as channels"
                )
            result -= self._values
        result *= self._scale
        return result[:, :, ::-1] if mirrored else result

    def _offsets(self, values: Values) -> tuple[int, int]:
        crop = self._param.crop_size
        if not crop:
            return 0, 0
        spare = [size - crop for size in values.shape[1:]]
        if self._random:
            draw = rng.generator().integers
            return int(draw(spare[0] + 1)), int(draw(spare[1] + 1))
        return spare[0] // 2, spare[1] // 2
