"""Pictures as batches for a net, decoded ahead in threads while the net works."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.data.image_input import Input
from ripen.data.images.ahead import in_order
from ripen.data.images.augment import Augmentation
from ripen.data.images.augment import values as augmented
from ripen.data.images.decode import read as decoded
from ripen.data.images.files import File
from ripen.data.images.views import View

Array = NDArray[np.float32]
Prepare = Callable[[Image.Image, int], Array]


class Batch(NamedTuple):
    """Pictures for a net.

    Attributes
    ----------
    rows : int64 ndarray of shape (n,)
        Where the pictures are in what was asked for.
    data : float32 ndarray of shape (n * views, channels, height, width)
        All views of the first picture, then all of the next.
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
) -> Iterator[Batch]:
    """Yield pictures as a net takes them, the same whatever the number of threads.

    No more than about three batches are in memory.

    Parameters
    ----------
    files : sequence of File
        Read by the caller's thread, one after the other; each decoded once.
    wanted : Input
        What the net takes. JPEG files of more than twice its size are decoded smaller.
    prepare : callable
        `of_views` or `of_chance`.
    batch_size : int
        Pictures in a batch; the last one has what is left.
    threads : int
        That decode.
    order : sequence of int, optional
        Rows of `files` in the order in which they are wanted, any number of times.

    Raises
    ------
    DataError
        If a picture cannot be read.
    """
    enough = (2 * wanted.width, 2 * wanted.height)
    rows = range(len(files)) if order is None else order
    contents = ((place, row, files[row].read()) for place, row in enumerate(rows))

    def values(item: tuple[int, int, bytes]) -> tuple[int, Array]:
        place, row, content = item
        return row, prepare(decoded(content, files[row].name, enough), place)

    done = in_order(values, contents, threads, ahead=batch_size)
    while batch := list(islice(done, batch_size)):
        numbers, arrays = zip(*batch, strict=True)
        yield Batch(np.array(numbers, np.int64), np.concatenate(arrays))


def of_views(wanted: Input, views: Sequence[View]) -> Prepare:
    """Return what makes the views of a picture, shape (views, channels, height, width)."""
    return lambda picture, _: np.stack([view.values(picture, wanted) for view in views])


def of_chance(wanted: Input, augmentation: Augmentation, seed: int, epoch: int = 0) -> Prepare:
    """Return what changes a picture by chance, shape (1, channels, height, width).

    Each place in each epoch has a generator of its own, so that threads change nothing.
    """

    def changed(picture: Image.Image, place: int) -> Array:
        rng = np.random.default_rng([seed, epoch, place])
        return augmented(picture, wanted, augmentation, rng)[np.newaxis]

    return changed
