"""A new last layer for frozen nets, trained on their features by a Caffe solver.

A head is trained once without each fold, which it then predicts, and once on all that there is. The
features of a picture are the mean over its views: the scores, which are linear, are then the mean
of each view's.
"""

import gc
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from caffe.formats import to_text
from ripen.core.atomic import write_text
from ripen.learn.models.caffe_net import Training, train_net
from ripen.nets import head
from ripen.nets.engines.engine import Engine
from ripen.settings.schema.net import Train
from ripen.settings.schema.photos import Head

HEAD = "head.prototxt"
SHARD = 1000  # rows in a file, of which Caffe keeps one in memory
Array = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Features, shape (n, d), and labels, shape (n,)."""

    data: Array
    labels: Labels

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Rows":
        return Rows(self.data[chosen], self.labels[chosen])


def read(folder: Path, names: Sequence[str]) -> tuple[Labels, Array]:
    """Read features of nets side by side, each the mean over the views.

    Returns
    -------
    int64 ndarray of shape (n,), float32 ndarray of shape (n, d)
        The rows of the index, and their features.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(folder / f"{name}.h5")) for name in names]
        rows, nets = files[0]["row"][()], [file["features"] for file in files]
        data = np.empty((len(rows), sum(net.shape[2] for net in nets)), np.float32)
        for start in range(0, len(rows), SHARD):  # all at once would take the most memory
            some = slice(start, start + SHARD)
            means = [net[some].mean(axis=1, dtype=np.float32) for net in nets]
            np.concatenate(means, axis=1, out=data[some])
    return rows, data


@dataclass(frozen=True)
class Known:
    """What there is to learn from, and what is asked.

    Attributes
    ----------
    ids : int64 ndarray of shape (n,)
        Rows of the index that have a fold.
    rows : Rows of length n
    fold : int64 ndarray of shape (n,)
    test_ids : int64 ndarray of shape (m,)
        Rows of the index of test pictures.
    test : float32 ndarray of shape (m, d)
    """

    ids: Labels
    rows: Rows
    fold: Labels
    test_ids: Labels
    test: Array


def read_known(folder: Path, names: Sequence[str], index: pd.DataFrame) -> Known:
    """Read features of nets side by side, as `read`, parted as the index has it."""
    numbers, data = read(folder, names)
    fold, labels, part = (index.loc[numbers, k].to_numpy() for k in ("fold", "label", "part"))
    known, test = _span(fold >= 0), _span(part == "test")
    rows = Rows(data[known], labels[known])
    return Known(numbers[known], rows, fold[known], numbers[test], data[test])


def _span(chosen: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """Return rows that follow each other as a slice, which copies nothing."""
    places = np.flatnonzero(chosen)
    if len(places) and len(places) == places[-1] - places[0] + 1:
        return slice(places[0], places[-1] + 1)
    return chosen


def cross_validated(
    settings: Head,
    rows: Rows,
    fold: Labels,
    folder: Path,
    seed: int,
    engine: Engine,
    advance: Callable[[str], None],
) -> tuple[Array, Training, pd.DataFrame]:
    """Train without each fold and then on all rows.

    Parameters
    ----------
    settings : Head
    rows : Rows of length n
    fold : int64 ndarray of shape (n,)
        From 0 up.
    folder : Path
        Gets Caffe's files of the head that was trained on all rows.
    seed : int
        Of the order of the rows.
    engine : Engine
    advance : callable
        Is told when one of them is trained.

    Returns
    -------
    float32 ndarray of shape (n, classes)
        Each row's probabilities by the head that had not seen it.
    Training
        Of the head that was trained on all rows.
    DataFrame
        Its curve, with the loss and accuracy of the folds' heads in place of its own.
    """
    classes = int(rows.labels.max()) + 1
    found = np.empty((len(rows.labels), classes), np.float32)
    curves = []
    for k in range(int(fold.max()) + 1):
        with tempfile.TemporaryDirectory() as temporary:
            own, held_out = Path(temporary), np.flatnonzero(fold == k)
            training = train(settings, rows, np.flatnonzero(fold != k), held_out, own, seed, engine)
            found[held_out] = predict(own, rows.data[held_out], engine)
        curves.append(training.curve())
        advance(f"without fold {k}: validation loss {training.best_validation_loss:.4f}")
    everything = np.arange(len(rows.labels))
    some = everything[:SHARD]  # nobody looks at them, and memory is dear
    training = train(settings, rows, everything, some, folder, seed, engine)
    advance(f"on all: loss {training.best_validation_loss:.4f}")
    curve = training.curve()
    for column in ("validation_loss", "validation_accuracy"):
        curve[column] = np.mean([each[column] for each in curves], axis=0)
    return found, training, curve


def train(
    settings: Head,
    rows: Rows,
    seen: Labels,
    held_out: Labels,
    folder: Path,
    seed: int,
    engine: Engine,
) -> Training:
    """Train a head to the end of its budget.

    Parameters
    ----------
    settings : Head
    rows : Rows
    seen : int64 ndarray
        Which of them are learnt from, in an order by chance, and again from the first.
    held_out : int64 ndarray
        Which are looked at for the curve; nothing is chosen by it.
    folder : Path
        Gets Caffe's files: those that `train_net` writes, ``head.prototxt``, which gives
        probabilities of features, and the rows.
    seed : int
    engine : Engine
    """
    gc.collect()  # nets are cycles: the arrays of the last would lie beside this one's
    classes, solver = int(rows.labels.max()) + 1, settings.solver
    folder.mkdir(exist_ok=True)
    order = np.random.default_rng(seed).permutation(seen)
    begin = folder / "start.caffemodel"
    head.start(classes, head.Scaling.of(rows.data, seen), begin)
    write_text(folder / HEAD, to_text(head.deploy_head(rows.data.shape[1], classes)))
    net = head.train_val(
        classes,
        (write_rows(folder, "train", rows, order), min(settings.batch_size, len(order))),
        (write_rows(folder, "held_out", rows, held_out), len(held_out)),
    )
    to_the_end = Train(
        batch_size=settings.batch_size,
        check_interval=settings.check_interval,
        tolerance=0,
        patience=solver.max_iter,
        early_stopping=solver.max_iter,
    )
    return train_net(
        net, solver, to_the_end, seed, folder, lambda check: None, begin, engine=engine, keep="last"
    )


def predict(folder: Path, data: Array, engine: Engine) -> Array:
    """Return probabilities, shape (n, classes), of features by the head in a folder."""
    files = folder / HEAD, folder / "model.caffemodel"
    parts = np.array_split(data, -(-len(data) // SHARD))
    return np.concatenate([engine.predict(*files, part) for part in parts])


def write_rows(folder: Path, name: str, rows: Rows, order: Labels) -> Path:
    """Write some rows in an order as HDF5Data reads them; return the list of these files."""
    names = []
    for number, start in enumerate(range(0, len(order), SHARD)):
        chosen = order[start : start + SHARD]
        names.append(folder / f"{name}_{number}.h5")
        with h5py.File(names[-1], "w") as file:
            file["data"] = rows.data[chosen]
            file["label"] = rows.labels[chosen].astype(np.float32)
    write_text(folder / f"{name}.txt", "".join(f"{path.as_posix()}\n" for path in names))
    return folder / f"{name}.txt"
