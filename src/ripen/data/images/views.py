"""Looks at one picture for a net: whole, mirrored, in parts, from nearer. Nothing is random here.

A net's answer is the mean over the views; that is test-time augmentation.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.data import image_input
from ripen.data.image_input import Box, Input

ViewsName = Literal["whole", "mirror", "crops5", "crops10", "scales"]
NAMES: tuple[ViewsName, ...] = get_args(ViewsName)

_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))


@dataclass(frozen=True)
class View:
    """A part of a picture.

    `View(side=wanted.crop, squeeze=False)` is what a contract with a `crop` means.

    Attributes
    ----------
    side : float in (0, 1]
        Of the picture's width and height.
    x, y : float in [0, 1]
        Where the part lies: 0 at the left or upper edge, 0.5 in the middle, 1 at the other edge.
    mirror : bool
        Whether left and right change places.
    squeeze : bool
        Whether the part has the picture's proportions, and is squeezed into the net's, or it has
        the net's, and what is over of the longer side is left out.
    """

    side: float = 1
    x: float = 0.5
    y: float = 0.5
    mirror: bool = False
    squeeze: bool = True

    def box(self, size: tuple[int, int], wanted: Input) -> Box:
        """Return the part (left, upper, right, lower), in pixels, of a picture (width, height)."""
        width, height = size[0] * self.side, size[1] * self.side
        if not self.squeeze:
            aspect = wanted.width / wanted.height
            width, height = min(width, height * aspect), min(height, width / aspect)
        left, upper = (size[0] - width) * self.x, (size[1] - height) * self.y
        # Rounding must not carry it over the edge.
        return left, upper, min(left + width, size[0]), min(upper + height, size[1])

    def values(self, picture: Image.Image, wanted: Input) -> NDArray[np.float32]:
        """Return the part as the net takes it, of shape (channels, height, width)."""
        return image_input.values(picture, wanted, self.box(picture.size, wanted), self.mirror)


def views(name: ViewsName, side: float = 0.875, squeeze: bool = True) -> list[View]:
    """Return the views of a name.

    Parameters
    ----------
    name : str
        "whole"; "mirror", the whole and its mirror image; "crops5", the corners and the middle;
        "crops10", these and their mirror images, in Caffe's order; "scales", the middle of three
        sizes, the whole first, and their mirror images.
    side : float in (0, 1)
        Of the crops.
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
