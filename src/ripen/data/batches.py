"""Batches of images for a net, augmented for training, decoded in threads while the net works."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from ripen.data import ahead
from ripen.data.decode import File, decode, in_order
from ripen.data.image_input import RESAMPLING, Box, Input, View, values

Array = NDArray[np.float32]
Prepare = Callable[[Image.Image, int], Array]
"""Turns an image, and its position in the order, into arrays of shape (views, c, h, w)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training images; none by default.

    Attributes
    ----------
    mirror : bool
        Whether to mirror half of the images.
    crop : "none", "area" or "caffe"
        "area" takes a part of random area and proportions. "caffe" resizes the image to `resized`
        by `resized` pixels and crops the net's input at a random position, as Caffe's data layers
        do with `crop_size`.
    min_area : float in (0, 1]
        Smallest area of an "area" crop, as a share of the image's.
    max_aspect : float, at least 1
        Largest change of an "area" crop's proportions, towards wide or high.
    resized : int
        Size before a "caffe" crop, in pixels, at least the net's.
    brightness, contrast, saturation : float in [0, 1)
        Each is multiplied by a random factor between 1 minus and 1 plus this.
    """

    mirror: bool = False
    crop: Literal["none", "area", "caffe"] = "none"
    min_area: float = 1
    max_aspect: float = 1
    resized: int = 256
    brightness: float = 0
    contrast: float = 0
    saturation: float = 0


class Batch(NamedTuple):
    """A batch of images.

    Attributes
    ----------
    rows : int64 ndarray of shape (n,)
        Rows of the images among the files.
    data : float32 ndarray of shape (n * views, channels, height, width)
        All views of the first image, then all of the next.
    """

    rows: NDArray[np.int64]
    data: Array


def batches(
    files: Sequence[File],
    wanted: Input,
    prepare: Prepare,
    batch_size: int,
    threads: int,
    order: Sequence[int] | None = None,
    workers: int = 0,
    views: int = 1,
    pin: ahead.Pin = lambda array: lambda: None,
) -> Iterator[Batch]:
    """Yield images in the form of a net's input; at most about three batches are in memory.

    With `workers` the data of a batch is overwritten once the next one has been drawn.

    Parameters
    ----------
    files : sequence of File
        Read by the caller's thread, one after the other.
    wanted : Input
        Input of the net. JPEG files of more than twice its size are decoded at a smaller scale.
    prepare : callable
        `prepare_views` or `prepare_augmented`.
    batch_size : int
        Images in a batch; the last one may have fewer.
    threads : int
        Threads that decode. The batches do not depend on their number.
    order : sequence of int, optional
        Rows of `files`, in any order and any number of times; by default each of them once.
    workers : int
        Processes that decode ahead of a GPU, in place of the threads; 0 for none.
    views : int
        Arrays that `prepare` makes of an image; only processes need to know.
    pin : callable
        As for `ripen.data.ahead.decoded`.

    Raises
    ------
    DataError
        If an image cannot be read.
    """
    enough = (2 * wanted.width, 2 * wanted.height)
    rows = range(len(files)) if order is None else order
    items = ((place, row, files[row].name, files[row].read()) for place, row in enumerate(rows))
    one = partial(_prepared, prepare, enough)
    if workers and ahead.POSSIBLE:
        shape = (views, 1 if wanted.channel_order == "grey" else 3, wanted.height, wanted.width)
        for found in ahead.decoded(items, one, min(batch_size, len(rows)), shape, workers, pin):
            yield Batch(*found)
        return
    done = in_order(lambda item: (item[1], one(item)), items, threads, ahead=batch_size)
    while batch := list(islice(done, batch_size)):
        numbers, arrays = zip(*batch, strict=True)
        yield Batch(np.array(numbers, np.int64), np.concatenate(arrays))


def _prepared(prepare: Prepare, enough: tuple[int, int], item: ahead.Item) -> Array:
    place, _, name, content = item
    return prepare(decode(content, name, enough), place)


def prepare_views(wanted: Input, views: Sequence[View]) -> Prepare:
    """Return a function from an image to its views, of shape (views, channels, height, width)."""
    return partial(_in_views, wanted, views)


def _in_views(wanted: Input, views: Sequence[View], image: Image.Image, _: int) -> Array:
    return np.stack([view.values(image, wanted) for view in views])


def prepare_augmented(
    wanted: Input, augmentation: Augmentation, seed: int, epoch: int = 0
) -> Prepare:
    """Return a function that augments an image at random, of shape (1, channels, height, width)."""
    return partial(_augmented_at, wanted, augmentation, (seed, epoch))


def _augmented_at(
    wanted: Input,
    augmentation: Augmentation,
    seeds: tuple[int, int],
    image: Image.Image,
    place: int,
) -> Array:
    # A generator for each position: with one for all, threads would change the draws.
    rng = np.random.default_rng([*seeds, place])
    return augmented(image, wanted, augmentation, rng)[np.newaxis]


def augmented(
    image: Image.Image, wanted: Input, augmentation: Augmentation, rng: Generator
) -> NDArray[np.float32]:
    """Return a randomly changed image in the form of the net's input.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
    """
    box = random_box(image.size, wanted, augmentation, rng)
    # Change the colours after resizing, when there are fewer pixels.
    resampling = RESAMPLING[wanted.interpolation]
    part = image.resize((wanted.width, wanted.height), resampling, box)
    mirror = augmentation.mirror and rng.random() < 0.5
    return values(jitter(part, augmentation, rng), wanted, (0, 0, *part.size), mirror)


def random_box(
    size: tuple[int, int], wanted: Input, augmentation: Augmentation, rng: Generator
) -> Box:
    """Return a random part of an image of a size (width, height)."""
    if augmentation.crop == "none":
        return 0, 0, *size
    if augmentation.crop == "caffe":
        spare = (augmentation.resized - wanted.width, augmentation.resized - wanted.height)
        at = [int(rng.integers(n + 1)) / augmentation.resized for n in spare]
        sides = [wanted.width / augmentation.resized, wanted.height / augmentation.resized]
    else:
        area = rng.uniform(augmentation.min_area, 1)
        # Wide and high are equally likely by any factor; no side is longer than the image's.
        most = max(0.0, min(math.log(augmentation.max_aspect), -math.log(area)))
        aspect = math.exp(rng.uniform(-most, most))
        sides = [min(1, math.sqrt(area * aspect)), min(1, math.sqrt(area / aspect))]
        at = [rng.uniform(0, 1 - side) for side in sides]
    left, upper = size[0] * at[0], size[1] * at[1]
    width, height = size[0] * sides[0], size[1] * sides[1]
    return left, upper, min(left + width, size[0]), min(upper + height, size[1])


def jitter(image: Image.Image, augmentation: Augmentation, rng: Generator) -> Image.Image:
    """Return an image with brightness, contrast and saturation changed, in this order."""
    for enhance, most in (
        (ImageEnhance.Brightness, augmentation.brightness),
        (ImageEnhance.Contrast, augmentation.contrast),
        (ImageEnhance.Color, augmentation.saturation),
    ):
        if most:
            image = enhance(image).enhance(rng.uniform(1 - most, 1 + most))
    return image
