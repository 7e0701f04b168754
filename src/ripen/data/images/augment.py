"""Chance for training: mirrored, cut at random, in other colours; every draw from one generator."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from ripen.data import image_input
from ripen.data.image_input import RESAMPLING, Box, Input


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far a training picture may be changed; as it stands, not at all.

    Attributes
    ----------
    mirror : bool
        Whether every second picture, on average, is mirrored.
    crop : "none", "area" or "caffe"
        "area" cuts out a part of random area and proportions. "caffe" resizes the picture to
        `resized` by `resized` pixels and cuts out the net's input at a random place, as Caffe's
        data layers do with `crop_size`.
    min_area : float in (0, 1]
        Of an "area" crop: the least share of the picture.
    max_aspect : float, at least 1
        Of an "area" crop: how much wider, or higher, than the picture its part may be.
    resized : int
        Of a "caffe" crop: pixels, at least the net's.
    brightness, contrast, saturation : float in [0, 1)
        Each is multiplied by a random number from 1 less this to 1 more this.
    """

    mirror: bool = False
    crop: Literal["none", "area", "caffe"] = "none"
    min_area: float = 1
    max_aspect: float = 1
    resized: int = 256
    brightness: float = 0
    contrast: float = 0
    saturation: float = 0


def values(
    picture: Image.Image, wanted: Input, augmentation: Augmentation, rng: Generator
) -> NDArray[np.float32]:
    """Return a changed picture as the net takes it.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
    """
    box = random_box(picture.size, wanted, augmentation, rng)
    # Colours after resizing: there are fewer pixels then.
    resampling = RESAMPLING[wanted.interpolation]
    part = picture.resize((wanted.width, wanted.height), resampling, box)
    mirror = augmentation.mirror and rng.random() < 0.5
    return image_input.values(jitter(part, augmentation, rng), wanted, (0, 0, *part.size), mirror)


def random_box(
    size: tuple[int, int], wanted: Input, augmentation: Augmentation, rng: Generator
) -> Box:
    """Return a random part (left, upper, right, lower), in pixels, of a picture (width, height)."""
    if augmentation.crop == "none":
        return 0, 0, *size
    if augmentation.crop == "caffe":
        spare = (augmentation.resized - wanted.width, augmentation.resized - wanted.height)
        at = [int(rng.integers(n + 1)) / augmentation.resized for n in spare]
        sides = [wanted.width / augmentation.resized, wanted.height / augmentation.resized]
    else:
        area = rng.uniform(augmentation.min_area, 1)
        # Wider and higher by the same factor are as likely, and no side is longer than the whole.
        most = max(0.0, min(math.log(augmentation.max_aspect), -math.log(area)))
        aspect = math.exp(rng.uniform(-most, most))
        sides = [min(1, math.sqrt(area * aspect)), min(1, math.sqrt(area / aspect))]
        at = [rng.uniform(0, 1 - side) for side in sides]
    left, upper = size[0] * at[0], size[1] * at[1]
    width, height = size[0] * sides[0], size[1] * sides[1]
    return left, upper, min(left + width, size[0]), min(upper + height, size[1])


def jitter(picture: Image.Image, augmentation: Augmentation, rng: Generator) -> Image.Image:
    """Return a picture with brightness, contrast and saturation changed, in this order."""
    for enhance, most in (
        (ImageEnhance.Brightness, augmentation.brightness),
        (ImageEnhance.Contrast, augmentation.contrast),
        (ImageEnhance.Color, augmentation.saturation),
    ):
        if most:
            picture = enhance(picture).enhance(rng.uniform(1 - most, 1 + most))
    return picture
