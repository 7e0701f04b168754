"""Images for scripts, with pycaffe's function names: float32 (H, W, K) in [0, 1], RGB."""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from caffe.errors import FormatError, InputError, MissingFile, UnreadableError
from caffe.formats import PathLike, shown
from caffe.image_files import open_image

Array = NDArray[np.float32]
_GRAY = np.array([0.2125, 0.7154, 0.0721])  # of red, green, blue: scikit-image's, as in pycaffe
_HIGHEST = {"I;16": 2**16 - 1, "I": 2**31 - 1, "F": 1}


def load_image(filename: PathLike | BinaryIO, color: bool = True) -> Array:
    """Load an image; transparency is dropped.

    Parameters
    ----------
    filename : path or binary file
        An open file or a BytesIO, for instance what a web page sent.
    color : bool
        False for grayscale.

    Returns
    -------
    float32 ndarray of shape (H, W, 3) in RGB, or (H, W, 1) if not `color`
        In [0, 1].

    Raises
    ------
    UnreadableError
        If the file cannot be read or is not an image.
    """
    file: str | BinaryIO
    if isinstance(filename, str | bytes | os.PathLike):
        file, source = os.fsdecode(filename), shown(filename)
    elif hasattr(filename, "read"):
        file, source = filename, "the image"
    else:  # None, for instance, of a list that lacks it
        raise UnreadableError(f"{filename!r}: is no path of an image")
    try:
        with open_image(file, source) as image:
            pixels = _pixels(image, np.float32 if color else np.float64)
    except UnidentifiedImageError:
        raise UnreadableError(f"{source}: is not an image that can be decoded") from None
    except FormatError as error:
        raise UnreadableError(str(error)) from None
    except FileNotFoundError as error:
        raise MissingFile(f"{source}: cannot be read: {error.strerror}") from None
    except Exception as error:  # Pillow raises errors of any type for a damaged file
        raise UnreadableError(f"{source}: cannot be decoded: {error}") from None
    if pixels.ndim == 2:
        return _float32(np.repeat(pixels[:, :, np.newaxis], 3 if color else 1, axis=2))
    pixels = pixels[:, :, :3]
    return _float32(pixels if color else (pixels @ _GRAY)[:, :, np.newaxis])


def _pixels(image: Image.Image, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    mode = "I;16" if image.mode.startswith("I;16") else image.mode
    if mode in _HIGHEST:
        deep: NDArray[Any] = (np.asarray(image) / np.float64(_HIGHEST[mode])).astype(dtype)
        return deep
    if mode == "1":
        image = image.convert("L")
    elif mode not in ("L", "RGB"):
        image = image.convert("RGBA" if "A" in image.getbands() else "RGB")
    # A table, since an array in float64 would take eight times the image.
    pixels: NDArray[Any] = (np.arange(256) / 255).astype(dtype)[np.asarray(image)]
    return pixels


def resize_image(im: NDArray[Any], new_dims: Sequence[int], interp_order: int = 1) -> Array:
    """Resize an image by interpolation, without smoothing.

    One or three channels are resized as scikit-image did in Caffe's time: beyond its edge the image
    continues with its lowest value. Other numbers of channels go through scipy's `zoom`, which maps
    corner pixels to corner pixels.

    Parameters
    ----------
    im : ndarray of shape (H, W, K)
    new_dims : (height, width)
        The number of channels may follow.
    interp_order : int
        1 for linear.

    Returns
    -------
    float32 ndarray of shape (height, width, K)

    Raises
    ------
    InputError
        If the image does not have three axes, a size is less than 1, or there is no such order.
    """
    if len(new_dims) not in (2, 3) or list(new_dims[2:]) not in ([], list(im.shape[2:])):
        raise InputError(f"an image of shape {im.shape} cannot be resized to {tuple(new_dims)}")
    if not 0 <= interp_order <= 5:
        raise InputError(f"interp_order is {interp_order}. Allowed: 0 to 5")
    height, width = int(new_dims[0]), int(new_dims[1])
    if im.ndim != 3 or min(*im.shape, height, width) < 1:
        raise InputError(f"an image of shape {im.shape} cannot be resized to {height}x{width}")
    factors = (height / im.shape[0], width / im.shape[1], 1)
    from scipy.ndimage import zoom  # takes a tenth of the time of importing torch

    im = im.astype(np.float64 if im.dtype == np.float64 else np.float32, copy=False)
    if im.shape[2] not in (1, 3):
        return _float32(zoom(im, factors, order=interp_order))
    lowest, highest = im.min(), im.max()
    if not highest > lowest:
        return np.full((height, width, im.shape[2]), lowest, np.float32)
    spread = (im - lowest) / (highest - lowest)
    resized = zoom(spread, factors, order=interp_order, mode="grid-constant", grid_mode=True)
    return _float32(np.clip(resized, 0, 1) * (highest - lowest) + lowest)


def _float32(values: NDArray[Any]) -> Array:
    return values.astype(np.float32, copy=False)


def _covers(shape: tuple[int, ...], other: tuple[int, int, int]) -> bool:
    """Whether an image has another's channels, and at least its height and width."""
    same = len(shape) == 3 and shape[2] == other[2]
    return same and shape[0] >= other[0] and shape[1] >= other[1]


def oversample(images: Sequence[NDArray[Any]], crop_dims: Sequence[int]) -> Array:
    """Crop the four corners and the centre of each image, and mirror them.

    Parameters
    ----------
    images : sequence of ndarray of shape (H, W, K)
    crop_dims : (height, width)

    Returns
    -------
    float32 ndarray of shape (10 * N, height, width, K)
        For each image upper left, upper right, lower left, lower right, centre; then their mirror
        images.

    Raises
    ------
    InputError
        If there is no image, or one is smaller than the first or the crops.
    """
    if images is None or len(images) == 0 or np.shape(crop_dims) != (2,):
        raise InputError(f"oversample needs images and (height, width), came: {crop_dims}")
    height, width = int(crop_dims[0]), int(crop_dims[1])
    # The crops' places are those of the first image; others may be larger, as in pycaffe.
    h, w, channels = images[0].shape if images[0].ndim == 3 else (0, 0, 0)
    shapes = {image.shape for image in images}
    if h < height or w < width or not all(_covers(shape, (h, w, channels)) for shape in shapes):
        raise InputError(
            f"images of shapes {sorted(shapes)} cannot be cropped to {height}x{width}: they must "
            "have the first one's channels, and at least its size, which is that of the crops or "
            "more"
        )
    corners = [(y, x) for y in (0, h - height) for x in (0, w - width)]
    corners.append((int(h / 2 - height / 2), int(w / 2 - width / 2)))
    crops = np.empty((len(images), 10, height, width, channels), np.float32)
    for image, cut in zip(images, crops, strict=True):
        for i, (y, x) in enumerate(corners):
            cut[i] = image[y : y + height, x : x + width]
    crops[:, 5:] = crops[:, :5, :, ::-1]
    return crops.reshape(-1, height, width, channels)
