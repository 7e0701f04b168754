"""A net of the zoo trained further on images, which are augmented as they are read."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ripen.competition.tasks import Targets, Task
from ripen.core.atomic import write_text
from ripen.data.decode import File
from ripen.learn.convergence import Training, to_the_end
from ripen.learn.estimator import ESTIMATORS, Estimator, Outputs, Rows, Work
from ripen.learn.models.saved import write_image_net
from ripen.learn.target_transform import ONE, Unit, in_units, standardized, unit_of
from ripen.settings.compose import as_mapping, changed
from ripen.settings.schema import Augment, Finetune, Solver, ViewsName
from ripen.settings.typed import Count, Positive, typed

if TYPE_CHECKING:  # these import torch
    from ripen.nets.engines.engine import Engine
    from ripen.nets.surgery import Trainable

CROPPED_FROM = 256 / 227  # sides, as in Caffe's examples
Array = NDArray[np.float32]
Labels = NDArray[np.int64]


@ESTIMATORS.register("finetune_images")
@typed
class FinetuneImages(Estimator):
    """What becomes of a net of the zoo with a new last layer, for other classes.

    Or for independent labels, or numbers.

    Its weights are taken where `pretrained` says so, else it learns from scratch; all layers learn,
    or the last alone. `rate` multiplies `solver.base_lr`, since each of these has its own best
    rate. The input is `side` pixels high and wide. Every `check_interval` iterations the net is
    evaluated on `check_images` of the held-out images, by which nothing is chosen: the last weights
    are kept. With `class_balance` each class is drawn as often, however many images it has.
    """

    finetune: Finetune
    layers: Literal["all", "last"]
    pretrained: bool
    rate: Positive
    side: Count
    batch_size: Count
    augment: Augment
    views: ViewsName
    class_balance: bool
    check_interval: Annotated[int, Field(ge=1)]
    check_images: Count
    solver: Solver

    takes_labels = True
    refits = False  # a training of every image would double the time
    has_learning_curve = False
    cost = 300
    space = ("rate=tag(log,interval(0.1,100))",)

    def refusal(self, task: Task) -> str:
        """Say why it cannot fit (`Estimator.refusal`)."""
        if self.class_balance and not task.classifies:
            return f"class_balance is of classes, and task '{task.name}' has none: set it to false"
        return super().refusal(task)

    def nets(self) -> list[str]:
        """Return the net it begins with (`Estimator.nets`)."""
        return [self.finetune.from_]

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> "FittedOnImages":
        """Train; the folder gets Caffe's files (`Estimator.fit`)."""
        # Imported here because they import torch, which reading the settings does not need.
        from ripen.learn import seen
        from ripen.learn.fed import Fed, Feeding, Watched
        from ripen.learn.models import mlp
        from ripen.learn.models.train_net import train_net
        from ripen.nets.published import caffemodel

        assert validation is not None
        self.check_task(work.task)
        net = self.net(work)
        if work.trained:
            given = (work.engine, work.folder, net, self.views, work.threads)
            return FittedOnImages(*given, None, seen.unit(work.folder))
        train, validation, unit = as_learnt(train, validation, work.task)
        start = caffemodel(self.finetune.from_)
        deploy = work.folder / "deploy.prototxt"
        write_text(deploy, mlp.to_text(net.deploy))
        fed: Fed = self.batches(net, train, work)
        watched = Watched(*self.watched(net, validation, work.threads), work.task.loss)
        with closing(fed):
            training = train_net(
                net.train_val,
                changed(self.solver, base_lr=self.solver.base_lr * self.rate),
                to_the_end(self.batch_size, self.check_interval, self.solver),
                work.seed,
                work.folder,
                work.callback,
                start if self.pretrained else None,
                Feeding(work.engine, fed, deploy, watched),
                keep="last",
            )
        before = start if self.pretrained else None
        seen.write(
            work.folder,
            deploy,
            work.folder / "model.caffemodel",
            before,
            seen.whole(net.wanted),
            unit,
        )
        return FittedOnImages(
            work.engine, work.folder, net, self.views, work.threads, training, unit
        )

    def net(self, work: Work) -> "Trainable":
        """Return the net's definitions, for images of this size and these classes."""
        from ripen.nets.surgery import Change, trainable

        wanted = self.finetune
        net = trainable(wanted.from_, self.side, self.batch_size)
        change = Change(wanted.replace, work.competition, work.outputs, wanted.lr_mult_new)
        if not self.pretrained:
            # SqueezeNet's scores go through a ReLU: random weights give scores about 0, and once
            # they are below it for every image nothing is learnt any more.
            change = replace(change, lr_mult_new=1, bias=1 if work.task.classifies else None)
        elif self.layers == "last":
            change = replace(change, freeze_until=wanted.freeze_until)
        changed = net.changed(change)
        if work.task.classifies:
            return changed
        scores = [f"{name}_{work.competition}" for name in wanted.replace]
        return changed.predicting(work.task.loss, work.outputs, scores)

    def batches(self, net: "Trainable", train: Rows, work: Work) -> Generator[tuple[Array, Array]]:
        """Yield the images and labels of each iteration, decoded ahead."""
        from ripen.data.batches import Augmentation, batches, prepare_augmented
        from ripen.nets import device

        size = self.batch_size * self.solver.iter_size
        labels = train.y
        drawn = order(labels, size * self.solver.max_iter, work.seed, self.class_balance)
        augmentation = Augmentation(
            **as_mapping(self.augment), resized=round(self.side * CROPPED_FROM)
        )
        prepare = prepare_augmented(net.wanted, augmentation, work.seed)
        decoded = batches(
            train.x, net.wanted, prepare, size, work.threads,
            order=drawn.tolist(), workers=device.workers(),
        )  # fmt: skip
        for batch in decoded:
            yield batch.data, labels[batch.rows].astype(np.float32)

    def watched(
        self, net: "Trainable", validation: Rows, threads: int
    ) -> tuple[list[Array], Targets]:
        """Return some held-out images, evenly spread, and their labels."""
        from ripen.data.batches import batches, prepare_views
        from ripen.data.image_input import views
        from ripen.learn.image_files import AT_ONCE

        n = len(validation.x)
        rows = np.linspace(0, n - 1, min(self.check_images, n)).astype(np.int64)
        prepare = prepare_views(net.wanted, views("whole"))
        files: Sequence[File] = validation.x
        whole = batches(files, net.wanted, prepare, AT_ONCE, threads, order=rows.tolist())
        return [batch.data for batch in whole], validation.y[rows]


@dataclass(frozen=True)
class FittedOnImages:
    """A trained net that takes images; an image's outputs are the mean over its views."""

    engine: "Engine"
    folder: Path
    net: "Trainable"
    views: ViewsName
    threads: int
    training: Training | None
    unit: Unit = ONE

    def predict(self, x: Any) -> Outputs:
        """Return the net's outputs for image files (`Fitted.predict`)."""
        from ripen.data.image_input import views
        from ripen.learn.image_files import outputs_of_views

        files = self.folder / "deploy.prototxt", self.folder / "model.caffemodel"
        found = outputs_of_views(
            lambda data: self.engine.predict(*files, data),
            x,
            self.net.wanted,
            views(self.views),
            self.threads,
        )
        return in_units(np.asarray(found.mean(axis=1)), self.unit)

    def save(self, folder: Path) -> None:
        """Write Caffe's files, and how an image becomes the net's input."""
        write_image_net(folder, self.folder, self.net.wanted, self.views, self.unit)


def as_learnt(train: Rows, validation: Rows, task: Task) -> tuple[Rows, Rows, Unit]:
    """Return rows with targets as a net learns them, a row for each, and numbers' unit."""
    if task.classifies:
        return train, validation, ONE
    unit = ONE if task.probabilities else unit_of(train.y)
    learnt, held = (
        replace(rows, y=standardized(rows.y, unit).reshape(len(rows.y), -1))
        for rows in (train, validation)
    )
    return learnt, held, unit


def order(labels: Targets, n: int, seed: int, balanced: bool) -> Labels:
    """Return n places in `labels` in the order of training: shuffles of all, one after the other.

    Where it is balanced each class is shuffled by itself, and the classes take turns.
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
