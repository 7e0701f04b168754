"""The handwritten digits of scikit-learn (Alpaydin and Kaynak, 1998): 1,797 images of 8x8.

A net is pretrained on 0 to 4. The competition is to tell 5 to 9 apart, from few labelled images.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from ripen.core.atomic import write_text
from ripen.core.frames import write_frame
from ripen.core.progress import progress
from ripen.learn.arrays import write_rows
from ripen.learn.convergence import Check, write_training
from ripen.settings.compose import check
from ripen.settings.schema import Solver, Train
from ripen.settings.typed import Share, typed

PRETRAINED = 5  # classes, 0 to 4
SHAPE = (1, 8, 8)
WHITE = 16  # the largest value of a pixel
Ints = NDArray[np.int64]


@typed
class Pretraining:
    """How the net learns 0 to 4."""

    solver: Solver
    train: Train


@typed
class Dealt:
    """The numbers of labelled images of 5 to 9, and of further ones for the learning curve.

    A share `validation_size` of the labelled images validates.
    """

    n_train: Annotated[int, Field(ge=25, le=400)]
    n_more: Annotated[int, Field(ge=5, le=400)]
    validation_size: Share
    pretrain: Pretraining


def generate(settings: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write the competition's files, and into `pretrained/` the net that its models start from.

    ``train.csv``, ``more.csv`` (with labels), ``test.csv``, ``solution.csv`` and
    ``sample_submission.csv``; columns are pixels, and the classes of the rows alternate.
    """
    from sklearn.datasets import load_digits

    dealt = check(settings, Dealt, "source.generate")
    source = load_digits()
    shuffled = np.random.default_rng(seed).permutation(len(source.target))
    images, labels = source.images[shuffled], source.target[shuffled].astype(np.int64)
    # Classes alternate, so that train and more are balanced.
    target = in_turn(np.flatnonzero(labels >= PRETRAINED), labels)
    ends = np.cumsum([dealt.n_train, dealt.n_more])
    train, more, test = (np.sort(rows) for rows in np.split(target, ends))
    kept, held = split(train, labels, dealt.validation_size, seed)

    def table(rows: Ints, **columns: Any) -> pd.DataFrame:
        pixels = images[rows].reshape(len(rows), -1).astype(np.int64)
        values = {f"pixel_{k}": column for k, column in enumerate(pixels.T)}
        return pd.DataFrame({"id": rows + 1, **columns, **values})

    both = np.concatenate([kept, held])
    fold = np.repeat([-1, 0], [len(kept), len(held)])
    classes = [str(digit) for digit in range(PRETRAINED, 10)]
    files = {
        "train": table(both, label=labels[both], fold=fold),
        "more": table(in_turn(more, labels), label=labels[in_turn(more, labels)]),
        "test": table(test),
        "solution": pd.DataFrame({"id": test + 1, "label": labels[test]}),
        "sample_submission": pd.DataFrame({"id": test + 1} | dict.fromkeys(classes, 0.2)),
    }
    for name, frame in files.items():
        write_frame(folder / f"{name}.csv", frame)
    data = images[:, None].astype(np.float32) / np.float32(WHITE)
    rows = split(np.flatnonzero(labels < PRETRAINED), labels, dealt.validation_size, seed)
    pretrain(dealt.pretrain, data, labels, rows, seed, folder / "pretrained")


def in_turn(rows: Ints, labels: Ints) -> Ints:
    """Order rows so that the classes alternate: any first n rows are as balanced as possible."""
    turn = pd.Series(labels[rows]).groupby(labels[rows]).cumcount().to_numpy()
    return rows[np.lexsort((labels[rows], turn))]


def split(rows: Ints, labels: Ints, size: float, seed: int) -> tuple[Ints, Ints]:
    """Split rows by class; the classes of the training rows alternate."""
    from sklearn.model_selection import train_test_split

    kept, held = train_test_split(
        np.arange(len(rows)), test_size=size, stratify=labels[rows], random_state=seed
    )
    return in_turn(rows[kept], labels), rows[held]


def pretrain(
    settings: Pretraining,
    data: NDArray[np.float32],
    labels: Ints,
    rows: tuple[Ints, Ints],
    seed: int,
    folder: Path,
) -> None:
    """Train LeNet on 0 to 4, into a folder of Caffe's files.

    Parameters
    ----------
    settings : Pretraining
    data : float32 ndarray of shape (n, 1, 8, 8)
        From 0 to 1.
    labels : int64 ndarray of shape (n,)
    rows : (int64 ndarray, int64 ndarray)
        Training rows and validation rows.
    seed : int
    folder : Path
    """
    from ripen.learn.models import mlp
    from ripen.learn.models.train_net import train_net
    from ripen.nets.zoo import lenet

    folder.mkdir()
    train, held = (
        (write_rows(folder, name, data[chosen], labels[chosen]), len(chosen))
        for name, chosen in zip(("train", "validation"), rows, strict=True)
    )
    first = train[0], min(settings.train.batch_size, train[1])
    net = lenet.lenet8_train_val(PRETRAINED, first, held)
    write_text(folder / "deploy.prototxt", mlp.to_text(lenet.lenet8_deploy(PRETRAINED)))
    with progress("pretrain", settings.solver.max_iter) as advance:

        def show(found: Check) -> None:
            advance(f"validation {found.validation_loss:.4f}", settings.train.check_interval)

        training = train_net(net, settings.solver, settings.train, seed, folder, show)
    write_training(folder, training)
