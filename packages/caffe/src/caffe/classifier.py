"""pycaffe's Classifier: a net with its image preprocessing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.errors import InputError
from caffe.formats import PathLike
from caffe.images import oversample as cut_ten
from caffe.images import resize_image
from caffe.io import Transformer
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST


def prepared(
    net: Net,
    mean: NDArray[Any] | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """Return the Transformer of images (H, W, K) for a net's first input.

    Raises
    ------
    InputError
        If the net has no such input, or a setting does not fit it.
    """
    shape = net.blobs[net.inputs[0]].shape if net.inputs else ()
    if len(shape) != 4:
        raise InputError(f"the net's first input has shape {shape}. Needed: (N, K, H, W)")
    name = net.inputs[0]
    transformer = Transformer({name: shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


class Classifier(Net):
    """A net that classifies images of any size.

    Parameters
    ----------
    model_file : path
        Definition.
    pretrained_file : path
        Caffemodel.
    image_dims : (height, width)
        Size that images are resized to before cropping; by default the net's input size.
    mean : ndarray of shape (K,) or (K, H, W)
    input_scale, raw_scale : float
    channel_swap : sequence of int
        See `caffe.io.Transformer`.

    Raises
    ------
    CaffeError
        If a file or a setting is invalid.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike | None,
        image_dims: Sequence[int] | None = None,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims: Sequence[int] | NDArray[Any] = self.crop_dims
        if image_dims is not None and len(image_dims) > 0:
            self.image_dims = image_dims

    def predict(
        self, inputs: Sequence[NDArray[Any]], oversample: bool = True
    ) -> NDArray[np.float32]:
        """Classify images.

        Parameters
        ----------
        inputs : sequence of ndarray of shape (H, W, K)
        oversample : bool
            Whether to average over ten crops (corners and centre, mirrored as well); otherwise the
            centre crop only.

        Returns
        -------
        ndarray of shape (n_images, n_classes)

        Raises
        ------
        InputError
            If there is no image, or `image_dims` is smaller than the net's input.
        """
        inputs = list(inputs)
        if not inputs:
            raise InputError("no image to classify. Needed: at least 1")
        resized = [resize_image(image, tuple(self.image_dims)) for image in inputs]
        crops: Sequence[NDArray[np.float32]] = (
            list(cut_ten(resized, self.crop_dims.tolist()))
            if oversample
            else [self._middle(image) for image in resized]
        )
        name = self.inputs[0]
        values = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(**{name: values})[self.outputs[0]]
        if oversample:
            averaged: NDArray[np.float32] = predictions.reshape(len(inputs), 10, -1).mean(1)
            return averaged
        return predictions

    def _middle(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        dims = np.array(self.image_dims)
        if (dims < self.crop_dims).any():
            raise InputError(
                f"image_dims {tuple(dims)} is smaller than the net's input {tuple(self.crop_dims)}"
            )
        start = dims / 2 - self.crop_dims / 2
        (top, left), (bottom, right) = start.astype(int), (start + self.crop_dims).astype(int)
        return image[top:bottom, left:right]
