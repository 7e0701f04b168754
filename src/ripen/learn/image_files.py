"""Images as a model's input: their files, and a trained net's outputs for their views."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ripen.competition.index import Index, Ints
from ripen.core.layout import Layout
from ripen.data.batches import batches, prepare_views
from ripen.data.decode import File, open_archives
from ripen.data.image_index import files as files_of
from ripen.data.image_input import Input, View
from ripen.settings.schema import Competition

AT_ONCE = 8  # views, however many each image has: no more than a training holds
AT_ONCE_ON_A_GPU = 256
Answer = Callable[[NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True)
class Images:
    """The files of a competition's images, which are decoded as they are needed.

    Attributes
    ----------
    files : list of File
        Of each row of the index.
    """

    files: list[File]

    def take(self, rows: Ints) -> list[File]:
        """Return the rows' files."""
        return [self.files[row] for row in rows]

    def encoder(self, encode: str = "one_hot", sparse: bool = False, seed: int = 0) -> None:
        """Return nothing: nets take images as they are."""
        return

    def save(self, folder: Path) -> None:
        """Write nothing: the net says how an image becomes its input."""


@contextmanager
def opened(layout: Layout, index: Index, competition: Competition) -> Iterator[Images]:
    """Open a competition's archives."""
    with open_archives(layout.raw) as archives:
        yield Images(files_of(index.rows, archives))


def outputs_of_views(
    answer: Answer,
    files: Sequence[File],
    wanted: Input,
    views: Sequence[View],
    threads: int,
) -> NDArray[np.float32]:
    """Return a net's outputs for each view of images: test-time augmentation.

    Parameters
    ----------
    answer : callable
        Returns outputs of shape (n, k) for arrays of shape (n, channels, height, width).
    files : sequence of File
    wanted : Input
        The net's input.
    views : sequence of View
    threads : int
        Number of threads that decode.

    Returns
    -------
    float32 ndarray of shape (n, views, k)

    Raises
    ------
    DataError
        If an image cannot be read.
    """
    from ripen.nets import device  # imports torch

    ahead = device.workers()
    size = max(1, (AT_ONCE_ON_A_GPU if ahead else AT_ONCE) // len(views))
    prepare = prepare_views(wanted, views)
    decoded = batches(
        files, wanted, prepare, size, threads, workers=ahead, views=len(views), pin=device.pin
    )
    found = [answer(batch.data).reshape(len(batch.rows), len(views), -1) for batch in decoded]
    return np.concatenate(found)
