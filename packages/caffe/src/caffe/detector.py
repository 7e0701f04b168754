"""pycaffe's Detector: a net that classifies windows of images, as R-CNN does."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.classifier import prepared
from caffe.errors import CaffeError, InputError
from caffe.formats import PathLike
from caffe.images import load_image, resize_image
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST

Window = Sequence[float] | NDArray[Any]
Detection = dict[str, Any]


class Detector(Net):
    """A net that classifies windows of images.

    Parameters
    ----------
    model_file, pretrained_file : path
        Definition and caffemodel.
    mean : ndarray of shape (K,) or (K, H, W)
    input_scale, raw_scale : float
    channel_swap : sequence of int
        See `caffe.io.Transformer`.
    context_pad : int
        Width of the border of the net's input that shows what is around the window.

    Raises
    ------
    CaffeError
        If a file or a setting is invalid.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike | None,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str | os.PathLike[str], Iterable[Window]]]
    ) -> list[Detection]:
        """Classify windows of images.

        Parameters
        ----------
        images_windows : iterable of (file, windows)
            A window is (ymin, xmin, ymax, xmax).

        Returns
        -------
        list of dict
            With `window`, `prediction` (ndarray) and `filename`, in the order of the arguments.

        Raises
        ------
        CaffeError
            If there are no windows, a file cannot be read, or a window lies outside its image.
        """
        name = self.inputs[0]
        found: list[Detection] = []
        values = []
        for filename, windows in images_windows:
            image = load_image(filename)
            for window in windows:
                values.append(self.transformer.preprocess(name, self.crop(image, window)))
                found.append({"window": window, "filename": filename})
        if not values:
            raise InputError("no window to classify. Needed: at least 1")
        predictions = self.forward_all(**{name: np.stack(values)})[self.outputs[0]]
        for detection, prediction in zip(found, predictions, strict=True):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[Detection]:
        """Classify the windows that Selective Search proposes.

        Raises
        ------
        CaffeError
            If the package `selective_search_ijcv_with_python` is not installed. It needs MATLAB.
        """
        try:
            import selective_search_ijcv_with_python as selective_search  # type: ignore
        except ImportError:
            raise CaffeError(
                "detect_selective_search needs selective_search_ijcv_with_python, which needs "
                "MATLAB, and is not installed. Allowed: detect_windows with windows of your own"
            ) from None
        files = [os.path.abspath(name) for name in image_fnames]
        windows = selective_search.get_windows(files, cmd="selective_search_rcnn")
        return self.detect_windows(zip(files, windows, strict=True))

    def crop(self, im: NDArray[Any], window: Window) -> NDArray[Any]:
        """Crop a window from an image, with context if that is configured.

        Parameters
        ----------
        im : ndarray of shape (H, W, K)
        window : (ymin, xmin, ymax, xmax)

        Returns
        -------
        ndarray
            Of the window's size; with context, of the net's input size.

        Raises
        ------
        InputError
            If the window contains no pixel of the image.
        """
        box = np.array([int(edge) for edge in window])
        if self.context_pad:
            return self._with_context(im, box, self.context_pad)
        cut = im[box[0] : box[2], box[1] : box[3]]
        if (box < 0).any() or not cut.size:
            raise _empty(box, im)
        return cut

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the width of the context; pixels outside an image get the value of the mean."""
        name = self.inputs[0]
        channels, height, width = self.blobs[name].shape[1:]
        self.context_pad = context_pad
        self.crop_dims = np.array([height, width, channels])
        if not context_pad:
            return
        if height != width or not 0 < 2 * context_pad < width:
            raise InputError(
                f"context_pad {context_pad} of an input of {height}x{width}: needs a square, and "
                "less than its half"
            )
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if (mean := self.transformer.mean.get(name)) is not None:
            # The mean in the image's own order and scale, before preprocessing.
            mean = mean.transpose(1, 2, 0)
            if (swap := self.transformer.channel_swap.get(name)) is not None:
                mean = mean[:, :, np.argsort(swap)]
            self.crop_mean = mean / (self.transformer.raw_scale.get(name) or 1)

    def _with_context(
        self, im: NDArray[Any], box: NDArray[np.intp], context_pad: int
    ) -> NDArray[np.float32]:
        size = int(self.crop_dims[0])
        half = (box[2:] - box[:2] + 1) / 2
        centre = box[:2] + half
        reach = half * (size / (size - 2 * context_pad))
        low, high = np.round(centre - reach), np.round(centre + reach)
        scale = size / (high - low + 1)
        margin = np.round(np.maximum(0, -low) * scale).astype(int)
        image_size = np.array(im.shape[:2])
        low, high = np.clip(low, 0, image_size), np.clip(high, 0, image_size)
        inside = np.round((high - low + 1) * scale).astype(int)
        inside = np.minimum(inside, size - margin)  # rounding may exceed the edge
        (top, left), (bottom, right) = low.astype(int), high.astype(int)
        part = im[top:bottom, left:right]
        if not part.size or (inside < 1).any():
            raise _empty(box, im)
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        y, x = margin
        crop[y : y + inside[0], x : x + inside[1]] = resize_image(part, inside.tolist())
        return crop


def _empty(window: NDArray[Any], im: NDArray[Any]) -> InputError:
    return InputError(f"window {tuple(window.tolist())} of an image of shape {im.shape} is empty")
