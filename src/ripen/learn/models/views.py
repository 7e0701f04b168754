"""What a net says of pictures, seen in several ways: test-time augmentation."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ripen.data.batches import batches, prepare_views
from ripen.data.decode import File
from ripen.data.image_input import Input, View
from ripen.learn.models.train_net import CaffeNet
from ripen.nets.engines.engine import TrainedNet

AT_ONCE = 8  # views, whatever the number of each picture: no more than a training holds


def answers(
    net: CaffeNet | TrainedNet,
    files: Sequence[File],
    rows: Sequence[int],
    wanted: Input,
    views: Sequence[View],
    threads: int,
    advance: Callable[[int], None] = lambda pictures: None,
) -> NDArray[np.float32]:
    """Return a net's probabilities of each view of pictures.

    Parameters
    ----------
    net : CaffeNet or TrainedNet
    files : sequence of File
    rows : sequence of int
        Which of them.
    wanted : Input
        What the net takes.
    views : sequence of View
    threads : int
        That decode.
    advance : callable
        Is told of each batch how many pictures it has.

    Returns
    -------
    float32 ndarray of shape (n, views, classes)

    Raises
    ------
    DataError
        If a picture cannot be read.
    """
    size = max(1, AT_ONCE // len(views))
    found = []
    for batch in batches(files, wanted, prepare_views(wanted, views), size, threads, order=rows):
        probabilities = net.predict_proba(batch.data)
        found.append(probabilities.reshape(len(batch.rows), len(views), -1))
        advance(len(batch.rows))
    return np.concatenate(found)
