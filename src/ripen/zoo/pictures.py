"""A picture made what a net's contract says it takes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.images.decode import read
from ripen.zoo.contract import Input

__all__ = ["read", "values"]

Box = tuple[float, float, float, float]


def values(
    picture: Image.Image, promised: Input, box: Box | None = None, mirror: bool = False
) -> NDArray[np.float32]:
    """Return a picture as the net takes it, resized whatever its proportions, by Pillow's bilinear.

    Parameters
    ----------
    picture : Image
    promised : Input
        What the net takes.
    box : (left, upper, right, lower), optional
        The part to be taken, in pixels, which need not be whole.
    mirror : bool
        Whether left and right change places.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
        In the contract's channel order, scaled, and less its mean.
    """
    grey = promised.channel_order == "grey"
    resized = picture.convert("L" if grey else "RGB").resize(
        (promised.width, promised.height), Image.Resampling.BILINEAR, box
    )
    planes = [np.asarray(plane) for plane in resized.split()]
    if promised.channel_order == "BGR":
        planes.reverse()
    scale = np.float32(promised.raw_scale / 255)
    result = np.empty((len(planes), promised.height, promised.width), np.float32)
    # Plane by plane: half the time of transposing the whole.
    for into, plane, mean in zip(result, planes, promised.mean or [0] * len(planes), strict=True):
        np.multiply(plane[:, ::-1] if mirror else plane, scale, out=into)
        into -= np.float32(mean)
    return result
