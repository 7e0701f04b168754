"""Three ways to a net that tells photographs apart, at the same budget, and how each one did.

From scratch; the pretrained net with a new last layer, which alone learns; the pretrained net in
full. All are one definition (`ripen.nets.zoo.finetune`), and are given the same pictures, cut, mirrored
and coloured by the same chance.
"""

import gc
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ripen.competition import metrics, predictions
from ripen.core.atomic import write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data.images import index as indexes
from ripen.data.images.augment import Augmentation
from ripen.data.images.batches import batches, of_chance, of_views
from ripen.data.images.files import File, opened
from ripen.data.images.views import views
from ripen.learn.models import mlp
from ripen.learn.models.caffe_net import Check, Training, train_net, write_training
from ripen.learn.models.views import AT_ONCE, answers
from ripen.learn.training.fed import Array, Feeding, Looked
from ripen.learn.training.tracked import Listener, followed, nothing
from ripen.nets.engines.choice import Answering, Engine, chosen
from ripen.nets.zoo.finetune import Change
from ripen.nets.zoo.trainable import Trainable, trainable
from ripen.nets.zoo.weights import caffemodel
from ripen.settings.compose import as_mapping, changed, leaves
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.net import Train
from ripen.settings.schema.photos import Ways
from ripen.track.tracker import TrackedRun, Tracker

Way = Literal["scratch", "head", "full"]
Rows = NDArray[np.int64]
CROPPED_FROM = 256 / 227  # sides, as Caffe's examples have them


@dataclass(frozen=True)
class Task:
    """What all ways have in common.

    Attributes
    ----------
    settings : Ways
    change : Change
        Of the pretrained net in full.
    start : Path
        Its caffemodel.
    index : DataFrame
        As `ripen.data.images.index` has it.
    files : list of File
        Of the index's rows.
    seed, threads : int
    engine : Engine
    """

    settings: Ways
    change: Change
    start: Path
    index: pd.DataFrame
    files: list[File]
    seed: int
    threads: int
    engine: Engine

    @property
    def labels(self) -> Rows:
        return self.index["label"].to_numpy()

    def rows(self, fold: int) -> tuple[Rows, Rows]:
        """Return the rows that are learnt from, and those held out."""
        dealt = self.index["fold"].to_numpy()
        return np.flatnonzero((dealt >= 0) & (dealt != fold)), np.flatnonzero(dealt == fold)

    def test_rows(self) -> Rows:
        """Return the rows of whole test pictures."""
        chosen = (self.index["part"] == "test") & (self.index["problem"] == "")
        return np.flatnonzero(chosen)

    def net(self, way: Way) -> Trainable:
        """Return the definitions of one way's net."""
        wanted = self.settings.finetune
        net = trainable(wanted.from_, self.settings.side, self.settings.batch_size)
        if way == "scratch":
            # SqueezeNet's scores go through a ReLU: those of weights by chance are about 0, and
            # once they are below it for every picture nothing is learnt any more.
            return net.changed(replace(self.change, lr_mult_new=1, bias=1))
        freeze_until = wanted.freeze_until if way == "head" else None
        return net.changed(replace(self.change, freeze_until=freeze_until))


def run_ways(
    config: Config, competition: CompetitionName, layout: Layout, folder: Path, tracker: Tracker
) -> list[pd.DataFrame]:
    """Train each way into a folder of its name; return tables of predictions.

    Its validation is of the first folds, as many as the settings say, each predicted by a net that
    has not seen it; its test is the mean of these nets.
    """
    own = getattr(config.competition, competition)
    if not own.train.ways.trained:
        return []
    described = as_mapping(own.train.ways) | {"seed": config.seed, "engine": config.engine.name}
    index_file, tables = layout.prepared / "index.csv", []
    index = indexes.read(index_file)
    with opened(layout.raw) as archives, chosen(config.engine) as engine:
        files = indexes.files(index, archives)
        task = task_of(
            own.train.ways, competition, index, files, config.seed, own.compute.threads, engine
        )
        rows = np.flatnonzero(index["fold"] >= 0)
        for way in own.train.ways.trained:
            with tracker.model(way) as tracked:
                tracked.log_dataset(index_file, competition, rows, task.labels[rows])
                tracked.log_params(dict(leaves(described)))
                tables += run_way(way, task, folder / way, tracked)
                for file in sorted(path for path in (folder / way).iterdir() if path.is_file()):
                    tracked.log_artifacts(file, "caffe")
    return tables


def task_of(
    settings: Ways,
    competition: CompetitionName,
    index: pd.DataFrame,
    files: list[File],
    seed: int,
    threads: int,
    engine: Engine,
) -> Task:
    """Return what all ways of a competition have in common; fetch weights that are not here."""
    wanted, classes = settings.finetune, int(index["label"].max()) + 1
    change = Change(wanted.replace, competition, classes, wanted.lr_mult_new)
    return Task(settings, change, caffemodel(wanted.from_), index, files, seed, threads, engine)


def run_way(way: Way, task: Task, folder: Path, tracked: TrackedRun) -> list[pd.DataFrame]:
    """Train one way for each fold; return its predictions, and write what the views brought."""
    held_out, validation, test = [], [], []
    asked = task.test_rows()
    for fold in range(task.settings.folds):
        own = folder if fold == 0 else folder / f"fold_{fold}"
        own.mkdir()
        gc.collect()  # nets are cycles: the arrays of the last would lie beside the next one's
        _train_tracked(way, task, fold, own, tracked)
        gc.collect()
        held_out.append(task.rows(fold)[1])
        validation.append(predict(way, task, own, held_out[-1]))
        if len(asked):
            test.append(predict(way, task, own, asked))
    rows, found = np.concatenate(held_out), np.concatenate(validation)
    brought = what_views_bring(task.labels[rows], found)
    write_text(folder / "views.csv", brought.to_csv(index=False, lineterminator="\n"))
    for row in brought.to_dict("records"):
        name = row.pop("views")
        tracked.log_metrics({f"views/{name}/{key}": value for key, value in row.items()})
    tables = [predictions.table(way, "validation", rows, found.mean(axis=1))]
    if test:
        answered = np.mean(test, axis=0)
        tables.append(predictions.table(way, "test", asked, answered.mean(axis=1)))
    return tables


def _train_tracked(way: Way, task: Task, fold: int, folder: Path, tracked: TrackedRun) -> None:
    """Train one way without a fold, tracking each check of the first fold."""
    with progress(f"train {way}", task.settings.solver.max_iter) as advance:

        def show(check: Check) -> None:
            losses = f"loss {check.loss:.4f}, validation {check.validation_loss:.4f}"
            interval = task.settings.check_interval
            advance(losses, (check.iteration - 1) % interval + 1)

        train = partial(train_way, way, task, fold, folder)
        training = followed(tracked, train, show) if fold == 0 else train(show)
    write_training(folder, training)


def train_way(
    way: Way, task: Task, fold: int, folder: Path, listener: Listener = nothing
) -> Training:
    """Train one way without a fold, into a folder that is there: Caffe's files."""
    settings, net = task.settings, task.net(way)
    write_text(folder / "deploy.prototxt", mlp.to_text(net.deploy))
    rate = settings.solver.base_lr * getattr(settings.rates, way)
    solver = changed(settings.solver, base_lr=rate)
    looked = look_at(task, net, fold)
    with closing(fed(task, net, fold)) as pictures:
        return train_net(
            net.train_val,
            solver,
            to_the_end(settings),
            task.seed,
            folder,
            listener,
            None if way == "scratch" else task.start,
            Feeding(task.engine, pictures, folder / "deploy.prototxt", looked),
            keep="last",
        )


def to_the_end(settings: Ways) -> Train:
    """Return that a training is checked, and goes on to the end of its budget whatever is seen."""
    values = {
        "batch_size": settings.batch_size,
        "check_interval": settings.check_interval,
        "tolerance": 0,
        "patience": 1,
        "early_stopping": settings.solver.max_iter,
    }
    return TypeAdapter(Train).validate_python(values, strict=False)


def fed(task: Task, net: Trainable, fold: int) -> Generator[tuple[Array, Array]]:
    """Yield the pictures and labels of each iteration, decoded ahead."""
    settings, (learnt, _) = task.settings, task.rows(fold)
    size = settings.batch_size * settings.solver.iter_size
    drawn = order(
        task.labels[learnt], size * settings.solver.max_iter, task.seed, settings.class_balance
    )
    augmentation = Augmentation(
        **as_mapping(settings.augment), resized=round(settings.side * CROPPED_FROM)
    )
    prepare = of_chance(net.wanted, augmentation, task.seed)
    rows = learnt[drawn].tolist()
    for batch in batches(task.files, net.wanted, prepare, size, task.threads, order=rows):
        yield batch.data, task.labels[batch.rows].astype(np.float32)


def order(labels: Rows, n: int, seed: int, balanced: bool) -> Rows:
    """Return n places in `labels` in the order of training: shuffles of all, one after the other.

    Where it is to be balanced, each class is shuffled by itself, and the classes take turns.
    """
    rng = np.random.default_rng(seed)
    groups = [np.arange(len(labels))]
    if balanced:
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each = -(-n // len(groups))
    turns = [
        np.concatenate([rng.permutation(group) for _ in range(-(-each // len(group)))])[:each]
        for group in groups
    ]
    return np.stack(turns, axis=1).reshape(-1)[:n]


def look_at(task: Task, net: Trainable, fold: int) -> Looked:
    """Return some pictures that were held out, evenly spread over the index."""
    _, held_out = task.rows(fold)
    count = min(task.settings.check_pictures, len(held_out))
    rows = held_out[np.linspace(0, len(held_out) - 1, count).astype(np.int64)]
    prepare = of_views(net.wanted, views("whole"))
    whole = batches(task.files, net.wanted, prepare, AT_ONCE, task.threads, order=rows.tolist())
    return Looked([batch.data for batch in whole], task.labels[rows])


def predict(way: Way, task: Task, folder: Path, rows: Rows) -> Array:
    """Return what a trained net says of each view, shape (n, views, classes)."""
    net = Answering(task.engine, folder / "deploy.prototxt", folder / "model.caffemodel")
    seen = views(task.settings.views)
    with progress(f"predict {way}", len(rows)) as advance:
        return answers(
            net,
            task.files,
            rows.tolist(),
            task.net(way).wanted,
            seen,
            task.threads,
            lambda pictures: advance("pictures", pictures),
        )


def what_views_bring(labels: Rows, found: Array) -> pd.DataFrame:
    """Return accuracy and log loss by the first view alone, and by the mean of all.

    Parameters
    ----------
    labels : int64 ndarray of shape (n,)
    found : float32 ndarray of shape (n, views, classes)
    """
    by = {"one": found[:, 0], "all": found.mean(axis=1)}
    scored = {name: metrics.scores(labels, p.astype(np.float64)) for name, p in by.items()}
    return pd.DataFrame(
        [
            {"views": name, **{k: s[k] for k in ("accuracy", "log_loss")}}
            for name, s in scored.items()
        ]
    )
