"""pycaffe's `caffe.io`: images, their preparation for a net, and arrays in messages."""

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffe.errors import FormatError, InputError, NotInstalled, ValuesError
from caffe.formats import blob_array, has_four_axes, set_blob
from caffe.images import load_image, oversample, resize_image
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import BlobProto, BlobProtoVector, Datum

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]


def __getattr__(name: str) -> Any:
    """Return what pycaffe's module imports from scikit-image and scipy, on first use."""
    where = {"skimage": "skimage.io", "resize": "skimage.transform", "zoom": "scipy.ndimage"}
    if name not in where:
        raise AttributeError(f"module 'caffe.io' has no attribute '{name}'")
    try:
        module = importlib.import_module(where[name])
    except ImportError:
        raise NotInstalled(
            f"caffe.io.{name} is scikit-image's, which is not installed: pip install scikit-image, "
            "or use caffe.io.resize_image"
        ) from None
    return sys.modules["skimage"] if name == "skimage" else getattr(module, name)


def blobproto_to_array(blob: BlobProto, return_diff: bool = False) -> NDArray[np.float64]:
    """Return a stored blob's values, or its gradients.

    Raises
    ------
    ValuesError
        If their number does not fit the shape, or there is no shape and more than one number.
    """
    values = blob_array(blob, diff=return_diff)
    if not (blob.HasField("shape") or has_four_axes(blob)):
        if values.size != 1:
            raise ValuesError(f"a blob without a shape is stored with {values.size} values")
        values = values.reshape(())
    return values.astype(np.float64)


def array_to_blobproto(arr: NDArray[Any], diff: NDArray[Any] | None = None) -> BlobProto:
    """Store an array, and its gradients of the same size, as a blob.

    Raises
    ------
    InputError
        If the two sizes differ.
    """
    if diff is not None and diff.size != arr.size:
        raise InputError(f"values of shape {arr.shape} and gradients of {diff.shape}: must agree")
    blob = BlobProto()
    set_blob(blob, arr, diff)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[NDArray[Any]]) -> bytes:
    """Store arrays as a serialized BlobProtoVector."""
    return BlobProtoVector(
        blobs=[array_to_blobproto(array) for array in arraylist]
    ).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[NDArray[np.float64]]:
    """Return the arrays of a serialized BlobProtoVector.

    Raises
    ------
    FormatError
        If it is not one.
    """
    vector = BlobProtoVector()
    try:
        vector.ParseFromString(str)
    except DecodeError:
        raise FormatError("the bytes are not a BlobProtoVector, or are truncated") from None
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: NDArray[Any], label: int | None = None) -> Datum:
    """Store an array (C, H, W) as a Datum: uint8 as bytes, others as floats.

    Raises
    ------
    InputError
        If it does not have three axes.
    """
    if arr.ndim != 3:
        raise InputError(f"Incorrect array shape: {arr.shape}. Needed: (C, H, W)")
    channels, height, width = arr.shape
    datum = Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel())
    if label is not None:
        datum.label = index(label)  # a TypeError for 3.7, as in pycaffe
    return datum


def datum_to_array(datum: Datum) -> NDArray[Any]:
    """Return a Datum's array (C, H, W), uint8 or float64; its label is `datum.label`.

    Raises
    ------
    ValuesError
        If it is encoded, or its number of values does not fit its shape.
    """
    if datum.encoded:
        raise ValuesError("the datum is an encoded image: decode its data with Pillow")
    values: NDArray[Any] = np.array(datum.float_data, np.float64)
    if datum.data:
        values = np.frombuffer(datum.data, np.uint8).copy()
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) < 0 or values.size != shape[0] * shape[1] * shape[2]:
        raise ValuesError(f"a datum of shape {shape} has {values.size} values")
    return values.reshape(shape)


class Transformer:
    """Prepares images for a net's inputs, and turns inputs back into images.

    In this order: resize, transpose to (K, H, W), swap channels, `raw_scale`, mean, `input_scale`.
    A step that is not set, or None, is skipped.

    Parameters
    ----------
    inputs : mapping of str to tuple of int
        The shape (N, K, H, W) of each input, such as ``{"data": net.blobs["data"].data.shape}``.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int] | None] = {}
        self.channel_swap: dict[str, Sequence[int] | None] = {}
        self.raw_scale: dict[str, float | None] = {}
        self.mean: dict[str, NDArray[Any] | None] = {}
        self.input_scale: dict[str, float | None] = {}

    def preprocess(self, in_: str, data: NDArray[Any]) -> NDArray[np.float32]:
        """Return an image as an input.

        Parameters
        ----------
        in_ : str
            Name of the input.
        data : ndarray of shape (H, W, K)
            Of any size; not modified.

        Returns
        -------
        float32 ndarray of shape (K, H, W)

        Raises
        ------
        InputError
            If there is no such input, or the shapes do not fit.
        """
        self._check_input(in_)
        result = data.astype(np.float32)
        dims = tuple(self.inputs[in_][2:])
        if result.shape[:2] != dims and (dims or result.ndim > 1):  # else no map
            result = resize_image(result, dims)
        if (order := self.transpose.get(in_)) is not None:
            result = self._transposed(result, order)
        if (swap := self.channel_swap.get(in_)) is not None:
            result = self._swapped(result, swap)
        if (raw_scale := self.raw_scale.get(in_)) is not None:
            result *= raw_scale
        if (mean := self._mean(in_, result.shape)) is not None:
            result -= mean
        if (input_scale := self.input_scale.get(in_)) is not None:
            result *= input_scale
        return result

    def deprocess(self, in_: str, data: NDArray[Any]) -> NDArray[Any]:
        """Return an input (K, H, W), or one (1, K, H, W), as an image; inverts `preprocess`."""
        self._check_input(in_)
        result = data.copy().squeeze()
        if (input_scale := self.input_scale.get(in_)) is not None:
            result /= input_scale
        if (mean := self._mean(in_, result.shape)) is not None:
            result += mean
        if (raw_scale := self.raw_scale.get(in_)) is not None:
            result /= raw_scale
        if (swap := self.channel_swap.get(in_)) is not None:
            result = self._swapped(result, np.argsort(swap).tolist())
        if (order := self.transpose.get(in_)) is not None:
            result = self._transposed(result, np.argsort(order).tolist())
        return result

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of axes, such as (2, 0, 1) for (H, W, K) into (K, H, W)."""
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise InputError(
                f"transpose order {tuple(order)}: needs to have the same number of dimensions as "
                f"the input, {len(self.inputs[in_]) - 1}"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of channels after transposing, such as (2, 1, 0) for RGB into BGR."""
        self._check_input(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels:
            raise InputError(
                f"channel swap {tuple(order)}: needs to have the same number of dimensions as the "
                f"input channels, {channels}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float | None) -> None:
        """Set the factor of images, such as 255 for a net that expects [0, 255]."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: NDArray[Any]) -> None:
        """Set the mean, which is subtracted after `raw_scale`.

        Parameters
        ----------
        in_ : str
        mean : ndarray of shape (K,), (H, W) or (K, H, W)
            A mean of another height and width is resized.

        Raises
        ------
        InputError
            If its shape or number of channels does not fit.
        """
        self._check_input(in_)
        needed = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if len(mean) != needed[0]:
                raise InputError(
                    f"Mean channels incompatible with input: {len(mean)} and {needed[0]}"
                )
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
            return
        if mean.ndim == 2:
            mean = mean[np.newaxis]
        if mean.ndim != 3:
            raise InputError(f"Mean shape invalid: {mean.shape}. Allowed: (K,), (H, W), (K, H, W)")
        if mean.shape != needed:
            mean = resize_image(mean.transpose(1, 2, 0), needed[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float | None) -> None:
        """Set the factor that is applied after the mean is subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise InputError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")

    def _mean(self, in_: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """Return an input's mean, which must fit the shape; None if it has none."""
        mean = self.mean.get(in_)
        if mean is not None:
            try:
                np.broadcast_to(mean, shape)
            except ValueError:
                raise InputError(
                    f"input {in_} has shape {shape}, its mean {np.shape(mean)}: must agree"
                ) from None
        return mean

    @staticmethod
    def _swapped(values: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
        try:
            return values[list(order)]
        except IndexError:
            raise InputError(
                f"channels {tuple(order)} of an array of shape {values.shape}"
            ) from None

    @staticmethod
    def _transposed(values: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
        try:
            return values.transpose(order)
        except ValueError as error:
            raise InputError(
                f"transpose {tuple(order)} of an array of shape {values.shape}: {error}"
            ) from None
