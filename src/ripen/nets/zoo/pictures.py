"""A picture made what a net's contract says it takes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.data.images.decode import read
from ripen.nets.zoo.contract import Input

__all__ = ["RESAMPLING", "middle", "read", "values"]

Box = tuple[float, float, float, float]
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def middle(size: tuple[int, int], promised: Input) -> Box:
    """Return the part (left, upper, right, lower) of a picture (width, height) that a net sees.

    It is the whole where the contract has no `crop`.
    """
    if promised.crop is None:
        return 0, 0, *size
    aspect = promised.width / promised.height
    width = min(size[0], size[1] * aspect) * promised.crop
    left, upper = (size[0] - width) / 2, (size[1] - width / aspect) / 2
    # Rounding must not carry it over the edge.
    return left, upper, min(left + width, size[0]), min(upper + width / aspect, size[1])


def values(
    picture: Image.Image, promised: Input, box: Box | None = None, mirror: bool = False
) -> NDArray[np.float32]:
    """Return a picture as the net takes it, resized by Pillow as the contract says.

    `values(picture, contract(name).input)` is what the net's makers measured with. A `box` is taken
    as it is, and the contract's `crop` plays no part: the box (0, 0, width, height) squeezes the
    whole picture, whatever its proportions.

    Parameters
    ----------
    picture : Image
    promised : Input
        What the net takes.
    box : (left, upper, right, lower), optional
        The part to be taken, in pixels, which need not be whole; `middle` if none is given.
    mirror : bool
        Whether left and right change places.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
        In the contract's channel order, scaled, and less its mean.
    """
    grey = promised.channel_order == "grey"
    resized = picture.convert("L" if grey else "RGB").resize(
        (promised.width, promised.height),
        RESAMPLING[promised.interpolation],
        box or middle(picture.size, promised),
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
