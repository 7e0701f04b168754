"""Three ways to a net for new classes, at the same budget: from scratch, the head alone, in full.

All are one definition: what a pretrained net is changed to (`ripen.nets.surgery`).
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.datasets.pictures import Images
from ripen.competition.datasets.prepared import Part, read_part, write_part
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import WAYS, Layout
from ripen.core.progress import progress
from ripen.learn.models import mlp, served
from ripen.learn.models.caffe_net import Check, Training, train_net, write_training
from ripen.learn.training.tracked import followed, log_served
from ripen.nets.engines.engine import Engine, chosen
from ripen.nets.surgery import Change, finetuned
from ripen.nets.zoo import lenet
from ripen.settings.compose import as_mapping, leaves
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.digits import DigitsTrain
from ripen.track.tracking import TrackedRun, Tracker

Parts = tuple[tuple[Path, int], tuple[Path, int]]


@dataclass(frozen=True)
class Way:
    """One way of training: what is changed of the pretrained net, and whose weights it begins with.

    `start` is None for a net from scratch.
    """

    change: Change
    start: Path | None


@dataclass(frozen=True)
class Task:
    """What all nets of a competition are trained with, whichever way."""

    settings: DigitsTrain
    dataset: Images
    seed: int
    engine: Engine


def run(config: Config, competition: CompetitionName, dataset: Images) -> None:
    """Read `prepared/`, write `train/` and an MLflow run for each way."""
    layout, settings = Layout(competition), getattr(config.competition, competition).train
    train, validation, test, more = (
        read_part(layout.prepared, name) for name in ("train", "validation", "test", "more")
    )
    described = as_mapping(settings) | {"seed": config.seed, "engine": config.engine.name}
    with (
        chosen(config.engine) as engine,
        fresh_folder(layout.train) as folder,
        Tracker(config, competition, "train") as tracker,
    ):
        task = Task(settings, dataset, config.seed, engine)
        with tracker.model("pretrained") as tracked:
            tracked.log_params(dict(leaves(described)))
            start = pretrain(task, layout.prepared, folder / "pretrained", tracked)
            _log_files(tracked, folder / "pretrained")
        ways = ways_from(task, start)
        source = lists(layout.prepared, ("train", "validation"), settings.train.batch_size)
        tables, given = [], served.Pixels(dataset.size, dataset.white)
        for name, way in ways.items():
            with tracker.model(name) as tracked:
                tracked.log_dataset(layout.prepared / "train.h5", competition, *train.arrays())
                tracked.log_params(dict(leaves(described)))
                own = folder / WAYS[name]
                _train_tracked(way, task, source, own, tracked)
                for part, rows in (("validation", validation), ("test", test)):
                    probabilities = predict(task, own, rows)
                    tables.append(predictions.table(name, part, rows.ids, probabilities))
                _log_files(tracked, own)
                log_served(tracked, partial(served.write_net, trained=own, given=given))
        predictions.write(folder / "predictions.csv", tables)
        parts = (train.join(more), validation, test)
        sizes = getattr(config.competition, competition).learning_curve
        learnt = learning_curve(ways, task, parts, sizes)
        curve = pd.DataFrame(learnt, columns=["model", "n_train", "accuracy"])
        write_text(folder / "learning_curve.csv", curve.to_csv(index=False, lineterminator="\n"))


def ways_from(task: Task, start: Path) -> dict[str, Way]:
    """Return the three ways by the names of their models."""
    dataset, wanted = task.dataset, task.settings.finetune

    def change(lr_mult: float, freeze_until: str | None) -> Change:
        suffix = f"{dataset.classes[0]}to{dataset.classes[-1]}"
        return Change(wanted.replace, suffix, len(dataset.classes), lr_mult, freeze_until)

    return {
        "net": Way(change(wanted.lr_mult_new, None), start),
        "head": Way(change(wanted.lr_mult_new, wanted.freeze_until), start),
        "scratch": Way(change(1, None), None),
    }


def pretrain(task: Task, prepared: Path, folder: Path, tracked: TrackedRun | None = None) -> Path:
    """Train the net on the classes that are there in plenty; return its caffemodel."""
    solver, train = task.settings.pretrain, task.settings.train
    parts = lists(prepared, ("pretrain", "pretrain_validation"), train.batch_size)
    classes = len(task.dataset.pretrained)
    folder.mkdir()
    write_text(folder / "deploy.prototxt", mlp.to_text(lenet.lenet8_deploy(classes)))
    net = lenet.lenet8_train_val(classes, *parts)
    with progress("pretrain", solver.max_iter) as advance:

        def show(check: Check) -> None:
            advance(f"validation {check.validation_loss:.4f}", train.check_interval)

        begin = partial(train_net, net, solver, train, task.seed, folder, engine=task.engine)
        training = begin(show) if tracked is None else followed(tracked, begin, show)
    write_training(folder, training)
    return folder / "model.caffemodel"


def train_way(
    way: Way,
    task: Task,
    parts: Parts,
    folder: Path,
    listener: Callable[[Check], None] = lambda check: None,
) -> Training:
    """Train one way into a folder that is there: Caffe's files, as for every net."""
    classes, settings = len(task.dataset.pretrained), task.settings
    deploy = finetuned(lenet.lenet8_deploy(classes), way.change)
    write_text(folder / "deploy.prototxt", mlp.to_text(deploy))
    net = finetuned(lenet.lenet8_train_val(classes, *parts), way.change)
    return train_net(
        net,
        settings.solver,
        settings.train,
        task.seed,
        folder,
        listener,
        way.start,
        engine=task.engine,
    )


def predict(task: Task, folder: Path, rows: Part) -> NDArray[np.float32]:
    """Return probabilities of shape (n, classes) by the net that was trained into a folder."""
    return task.engine.predict(folder / "deploy.prototxt", folder / "model.caffemodel", rows.data)


def learning_curve(
    ways: dict[str, Way], task: Task, parts: tuple[Part, Part, Part], sizes: list[int]
) -> Iterator[dict[str, float | str]]:
    """Yield ``model``, ``n_train`` and test ``accuracy`` of each way on the pool's first rows.

    `parts` are the pool, the validation and the test part. Sizes beyond the pool, and every size
    where the test labels are not known, are left out.
    """
    pool, validation, test = parts
    if test.labels is None:
        return
    sizes = [size for size in sizes if size <= len(pool.ids)]
    with progress("learning curve", len(sizes) * len(ways)) as advance:
        for name, way in ways.items():
            for size in sizes:
                with tempfile.TemporaryDirectory() as temporary:
                    folder = Path(temporary)
                    write_part(folder, "train", pool.head(size))
                    write_part(folder, "validation", validation)
                    batch_size = task.settings.train.batch_size
                    source = lists(folder, ("train", "validation"), batch_size)
                    train_way(way, task, source, folder)
                    found = predict(task, folder, test).argmax(axis=1)
                accuracy = float((found == test.labels).mean())
                yield {"model": name, "n_train": size, "accuracy": accuracy}
                advance(f"{name}: {size} pictures")


def _log_files(tracked: TrackedRun, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        tracked.log_artifacts(file, "caffe")


def _train_tracked(way: Way, task: Task, parts: Parts, folder: Path, tracked: TrackedRun) -> None:
    """Train one way, tracking each check."""
    folder.mkdir()
    training = followed(tracked, partial(train_way, way, task, parts, folder))
    write_training(folder, training)


def lists(folder: Path, names: tuple[str, str], batch_size: int) -> Parts:
    """Return the lists that HDF5Data layers read: batches of the first, the second whole."""
    train, validation = ((folder / f"{name}.txt", _rows(folder, name)) for name in names)
    return (train[0], min(batch_size, train[1])), validation


def _rows(folder: Path, name: str) -> int:
    return len(read_part(folder, name).ids)
