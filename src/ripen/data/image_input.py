"""An image as a model's input: that of a net, its views, its colour histogram or its thumbnail.

Nothing is random here; training batches are in `ripen.data.batches`.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from ripen.settings.schema import ViewsName
from ripen.settings.typed import typed

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in pixels."""
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))


@typed
class Input:
    """The input of a net: (channels, height, width), values from 0 to `raw_scale` minus `mean`.

    `mean` has one number per channel, in the net's order. Without a `crop` the whole image is
    squeezed to the net's height and width, as Caffe's tools do. With one, the net sees the centre
    of the image in its own proportions: the largest such part times `crop`, which torchvision and
    timm call resize and centre crop (`crop_pct`).
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
    """Return the part of an image (width, height) that a net sees: all of it without a `crop`."""
    if wanted.crop is None:
        return 0, 0, *size
    aspect = wanted.width / wanted.height
    width = min(size[0], size[1] * aspect) * wanted.crop
    left, upper = (size[0] - width) / 2, (size[1] - width / aspect) / 2
    # Rounding may put the far edge outside the image, which Pillow refuses.
    return left, upper, min(left + width, size[0]), min(upper + width / aspect, size[1])


def values(
    image: Image.Image, wanted: Input, box: Box | None = None, mirror: bool = False
) -> NDArray[np.float32]:
    """Return an image as a net's input, resized by Pillow.

    `values(image, contract(name).input)` is how the net's authors measured. With a `box`, the
    contract's `crop` has no effect: the box (0, 0, width, height) squeezes the whole image,
    whatever its proportions.

    Parameters
    ----------
    image : Image
    wanted : Input
    box : (left, upper, right, lower), optional
        Part of the image, in pixels, not necessarily whole ones; `middle` by default.
    mirror : bool
        Whether to swap left and right.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
        In the net's channel order, scaled, and minus the mean.
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
    # Plane by plane takes half the time of transposing (height, width, channels).
    for into, plane, mean in zip(result, planes, wanted.mean or [0] * len(planes), strict=True):
        np.multiply(plane[:, ::-1] if mirror else plane, scale, out=into)
        into -= np.float32(mean)
    return result


@dataclass(frozen=True)
class View:
    """A part of an image. `View(side=wanted.crop, squeeze=False)` equals an input with a `crop`.

    Attributes
    ----------
    side : float in (0, 1]
        Width and height of the part, as a share of the image's.
    x, y : float in [0, 1]
        Position of the part: 0 at the left or upper edge, 0.5 in the middle, 1 at the other edge.
    mirror : bool
        Whether to swap left and right.
    squeeze : bool
        Whether the part has the image's proportions and is squeezed into the net's. Otherwise it
        has the net's proportions, and the longer side is cropped.
    """

    side: float = 1
    x: float = 0.5
    y: float = 0.5
    mirror: bool = False
    squeeze: bool = True

    def box(self, size: tuple[int, int], wanted: Input) -> Box:
        """Return the part of an image of a size (width, height)."""
        width, height = size[0] * self.side, size[1] * self.side
        if not self.squeeze:
            aspect = wanted.width / wanted.height
            width, height = min(width, height * aspect), min(height, width / aspect)
        left, upper = (size[0] - width) * self.x, (size[1] - height) * self.y
        # Rounding may put the far edge outside the image, which Pillow refuses.
        return left, upper, min(left + width, size[0]), min(upper + height, size[1])

    def values(self, image: Image.Image, wanted: Input) -> NDArray[np.float32]:
        """Return the part as the net's input, of shape (channels, height, width)."""
        return values(image, wanted, self.box(image.size, wanted), self.mirror)


def views(name: ViewsName, side: float = 0.875, squeeze: bool = True) -> list[View]:
    """Return the views of a name, whose mean prediction is test-time augmentation.

    Parameters
    ----------
    name : str
        "whole"; "mirror", the whole image and its mirror image; "crops5", the corners and the
        centre; "crops10", these and their mirror images, in Caffe's order; "scales", the centre in
        three sizes, the whole image first, and their mirror images.
    side : float in (0, 1)
        Share of the image's sides in a crop.
    squeeze : bool
        As `View` has it.
    """
    if name in ("crops5", "crops10"):
        single = [View(side, x, y, squeeze=squeeze) for x, y in _CORNERS]
    elif name == "scales":
        single = [View(part, squeeze=squeeze) for part in (1.0, (1 + side) / 2, side)]
    else:
        single = [View(squeeze=squeeze)]
    if name in ("whole", "crops5"):
        return single
    return single + [View(v.side, v.x, v.y, True, squeeze) for v in single]


def histogram(image: Image.Image, bins: int) -> NDArray[np.float32]:
    """Return the colour histogram of an RGB image: features of a classifier without a net.

    Parameters
    ----------
    image : Image
    bins : int
        Bins of equal width on each axis of the colour cube.

    Returns
    -------
    float32 ndarray of shape (bins ** 3,)
        Shares of the pixels, which sum to 1; blue varies fastest.
    """
    levels = np.asarray(image.convert("RGB"), np.int64) * bins // 256
    boxes = (levels[..., 0] * bins + levels[..., 1]) * bins + levels[..., 2]
    counts = np.bincount(boxes.reshape(-1), minlength=bins**3)
    return (counts / boxes.size).astype(np.float32)


def thumbnail(image: Image.Image, side: int) -> NDArray[np.float32]:
    """Return the pixels of an RGB image squeezed to `side` by `side`.

    Returns
    -------
    float32 ndarray of shape (side * side * 3,)
        From 0 to 1: means over boxes of equal size, row by row; the colour varies fastest.
    """
    small = image.convert("RGB").resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1) / np.float32(255)
