"""The input of a net: the form that its images must have, and images in that form."""

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from ripen.settings.schema.types import typed

Box = tuple[float, float, float, float]
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@typed
class Input:
    """An image of shape (channels, height, width) with values from 0 to `raw_scale`, less `mean`.

    `mean` has one number for each channel, in the order of `channel_order`. Without a `crop` the
    whole image is squeezed into the net's height and width, as Caffe's own tools do it. With a
    `crop`, the net sees the centre of the image in its own proportions: the largest such part times
    `crop`, which torchvision and timm call resize and centre crop (`crop_pct`).
    """

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channel_order: Literal["BGR", "RGB", "grey"]
    raw_scale: float
    mean: list[float] = Field(default_factory=list)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop: Annotated[float, Field(gt=0, le=1)] | None = None

    def sized(self, height: int, width: int) -> "Input":
        """Return the same input with another height and width."""
        return replace(self, height=height, width=width)


def middle(size: tuple[int, int], wanted: Input) -> Box:
    """Return the part (left, upper, right, lower) of an image (width, height) that a net sees.

    Without a `crop` this is the whole image.
    """
    if wanted.crop is None:
        return 0, 0, *size
    aspect = wanted.width / wanted.height
    width = min(size[0], size[1] * aspect) * wanted.crop
    left, upper = (size[0] - width) / 2, (size[1] - width / aspect) / 2
    # Rounding errors must not move the box beyond the image: Pillow would refuse it.
    return left, upper, min(left + width, size[0]), min(upper + width / aspect, size[1])


def values(
    image: Image.Image, wanted: Input, box: Box | None = None, mirror: bool = False
) -> NDArray[np.float32]:
    """Return an image as input of a net, resized by Pillow.

    `values(image, contract(name).input)` reproduces the preprocessing with which the authors of
    the net measured its accuracy.

    Parameters
    ----------
    image : Image
    wanted : Input
        The net's input.
    box : (left, upper, right, lower), optional
        The part to take, in pixels, which may be fractions; `middle` by default. With a box the
        input's `crop` has no effect: (0, 0, width, height) squeezes the whole image.
    mirror : bool
        Whether to swap left and right.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
        In the input's channel order, scaled, less its mean.
    """
    grey = wanted.channel_order == "grey"
    resized = image.convert("L" if grey else "RGB").resize(
        (wanted.width, wanted.height),
        RESAMPLING[wanted.interpolation],
        box or middle(image.size, wanted),
    )
    planes = [np.asarray(plane) for plane in resized.split()]
    if wanted.channel_order == "BGR":
        planes.reverse()
    scale = np.float32(wanted.raw_scale / 255)
    result = np.empty((len(planes), wanted.height, wanted.width), np.float32)
    # Plane by plane takes half the time of transposing the whole image.
    for into, plane, mean in zip(result, planes, wanted.mean or [0] * len(planes), strict=True):
        np.multiply(plane[:, ::-1] if mirror else plane, scale, out=into)
        into -= np.float32(mean)
    return result
