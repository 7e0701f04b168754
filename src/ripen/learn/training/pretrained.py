"""baselines for ImageNet: what pretrained nets say of its photographs, as they are."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import caffe
from ripen.competition import predictions
from ripen.core.atomic import fresh_folder
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data.images import index as indexes
from ripen.data.images.batches import Prepare, batches
from ripen.data.images.files import File, opened
from ripen.nets.zoo import pictures, weights
from ripen.nets.zoo.contract import Input, contract
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.photos import Pretrained
from ripen.track.tracker import Tracker

DIGITS = 6  # of a probability: a thousand of them a row


def run(config: Config, competition: CompetitionName) -> None:
    """Read the index and the archives, write `baselines/` and one MLflow run for each net."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    settings: Pretrained = own.baselines
    index = indexes.read(layout.prepared / "index.csv")
    good = index[index["problem"] == ""]
    with (
        opened(layout.raw) as archives,
        fresh_folder(layout.baselines) as folder,
        Tracker(config, competition, "baselines") as tracker,
        progress("baselines", len(settings.nets) * len(good)) as advance,
    ):
        files = indexes.files(good, archives)
        tables: list[pd.DataFrame] = []
        for name in settings.nets:
            with tracker.model(name) as tracked:
                started = time.perf_counter()
                scores = classified(name, files, settings.batch_size, own.compute.threads, advance)
                tracked.log_params({"net": name, "batch_size": settings.batch_size})
                tracked.log_metrics({"classifying_seconds": time.perf_counter() - started})
            tables += by_part(name, good, scores)
        predictions.write(folder / "predictions.csv", tables)


def classified(
    name: str,
    files: list[File],
    batch_size: int,
    threads: int,
    advance: Callable[[str, int], None] = lambda *_: None,
) -> NDArray[np.float64]:
    """Return a net's probabilities, of shape (n, classes), rounded.

    Parameters
    ----------
    name : str
        A net of the zoo, whose contract says how it takes a picture.
    files : list of File, length n
    batch_size, threads : int
        As `ripen.data.images.batches` has them.
    advance : callable
        Is told the net and how many pictures are done more.

    Raises
    ------
    UsageError, SourceError
        If there is no such net, or its weights cannot be had.
    DataError
        If a picture cannot be read.
    """
    net, wanted = weights.load(name), contract(name).input
    found = []
    for batch in batches(files, wanted, as_promised(wanted), batch_size, threads):
        found.append(probabilities(net, batch.data))
        advance(name, len(batch.rows))
    return np.concatenate(found).round(DIGITS)


def as_promised(wanted: Input) -> Prepare:
    """Return what makes of a picture the one view that a net's contract promises."""
    return lambda picture, _: pictures.values(picture, wanted)[np.newaxis]


def probabilities(net: caffe.Net, data: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what a net says of a batch, of shape (n, classes)."""
    net.blobs["data"].reshape(*data.shape)
    (scores,) = net.forward(data=data).values()
    return np.asarray(scores, np.float64).reshape(len(data), -1)


def by_part(name: str, index: pd.DataFrame, scores: NDArray[np.float64]) -> Iterator[pd.DataFrame]:
    """Yield the rows of the long table for each part of the index; ids are its row numbers."""
    for part in index["part"].unique():
        chosen = (index["part"] == part).to_numpy()
        yield predictions.table(name, part, index.index.to_numpy()[chosen], scores[chosen])
