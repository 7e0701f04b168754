"""A new last layer for frozen nets, trained on their features by a Caffe solver."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ripen.core.atomic import write_text
from ripen.learn.arrays import write_rows
from ripen.learn.convergence import Training, to_the_end
from ripen.learn.estimator import ESTIMATORS, Estimator, Outputs, Rows, Work
from ripen.learn.estimators.ridge import ALPHAS
from ripen.learn.models.saved import write_net
from ripen.learn.target_transform import ONE, Unit, in_units, standardized, unit_of
from ripen.settings.schema import Solver
from ripen.settings.typed import Count, typed

if TYPE_CHECKING:  # engines import torch
    from ripen.nets.engines.engine import Engine

FOLDER, DEPLOY = "head", "head.prototxt"
SHARD = 1000  # rows in a file: Caffe keeps one file in memory
Array = NDArray[np.float32]
Ints = NDArray[np.int64]


@ESTIMATORS.register("head")
@typed
class Head(Estimator):
    """The last layer of some nets of the zoo, on their features side by side.

    It predicts classes, independent labels, or numbers.

    It is trained to the end of its budget; every `check_interval` iterations its curve gets a
    point. A batch is `batch_size` rows, or all where there are fewer. An image's features are the
    mean over its views: the scores, which are linear, are then the mean of each view's.
    """

    batch_size: Count
    check_interval: Count
    solver: Solver

    takes_labels = True
    refits = True  # its training is short, and ends by its budget
    has_learning_curve = False
    cost = 20
    space = (
        "solver.base_lr=tag(log,interval(0.003,0.3))",
        "solver.weight_decay=tag(log,interval(1e-5,0.1))",
    )

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> "FittedHead":
        """Train (`Estimator.fit`).

        A folder `head/` gets Caffe's files; trained on all rows the model's own folder gets the
        whole net, from the image to the probabilities.
        """
        # Imported here because they import torch, which reading the settings does not need.
        from caffe.formats import to_text
        from ripen.learn.models.train_net import train_net
        from ripen.nets import head_layers as head

        self.check_task(work.task)
        folder, loss, unit = work.folder / FOLDER, work.task.loss, ONE
        folder.mkdir(exist_ok=True)
        # In a random order, and again from the first.
        shuffled = np.random.default_rng(work.seed).permutation(len(train.y))
        # Without held-out rows some must stand for them: Caffe's solver wants a test net.
        held = validation or Rows(train.x[:SHARD], train.y[:SHARD])
        y, held_y, solver = train.y, held.y, self.solver
        scaling = head.Scaling.of(train.x, np.arange(len(y)))
        if not work.task.probabilities:
            unit = unit_of(train.y)
            y, held_y = standardized(y, unit), standardized(held_y, unit)
            some = shuffled[:SHARD]
            solver = _for_numbers(solver, scaling.apply(train.x[some]), y[some], len(y))
        begin = folder / "start.caffemodel"
        head.start(work.outputs, scaling, begin)
        write_text(folder / DEPLOY, to_text(head.deploy_head(train.x.shape[1], work.outputs, loss)))
        rows = write_rows(folder, "train", train.x, y, shuffled, SHARD)
        held_rows = write_rows(folder, "held_out", held.x, held_y, shard=SHARD)
        batch_size = min(self.batch_size, len(y))
        net = head.train_val(work.outputs, (rows, batch_size), (held_rows, len(held_y)), loss)
        training = train_net(
            net,
            solver,
            to_the_end(self.batch_size, self.check_interval, solver),
            work.seed,
            folder,
            work.callback,
            begin,
            engine=work.engine,
            keep="last",
        )
        if validation is None:
            self._write_whole(work, unit)
        return FittedHead(work.engine, folder, train.x.shape[1], training, unit)

    def _write_whole(self, work: Work, unit: Unit) -> None:
        """Put frozen nets and head together: the net that takes an image."""
        from caffe.formats import to_text
        from ripen.learn import seen
        from ripen.nets import head_layers as head
        from ripen.nets.contract import contract
        from ripen.nets.frozen import frozen_net
        from ripen.nets.published import caffemodel
        from ripen.nets.surgery import trunk
        from ripen.nets.zoo import DEFINITIONS

        frozen, trunks = {}, []
        for name in self.inputs:
            settings = frozen_net(work.settings.features[name])
            # Two nets may have layers of the same name, and take images of different sizes. A net
            # that is shown each image in several takes any: the first is as good as another.
            prefix = f"{name}/" if len(self.inputs) > 1 else ""
            definition = DEFINITIONS[settings.net].deploy()
            side = settings.sides[0]
            trunks.append(trunk(definition, settings.layers, settings.pools, side, prefix))
            frozen[prefix] = caffemodel(settings.net)
        whole = head.deploy(trunks, work.outputs, work.task.loss)
        deploy, weights = work.folder / "deploy.prototxt", work.folder / "model.caffemodel"
        write_text(deploy, to_text(whole))
        trained = work.folder / FOLDER / "model.caffemodel"
        head.write_whole(whole, frozen, trained, weights, unit)
        if len(trunks) == 1:
            net = frozen_net(work.settings.features[self.inputs[0]]).net
            wanted = contract(net).input
            seen.write(work.folder, deploy, weights, None, seen.whole(wanted))


def _for_numbers(
    solver: Solver, rows: NDArray[np.float64], targets: NDArray[np.float64], n: int
) -> Solver:
    """Return the solver with the decay that squared errors need, and a rate that does not diverge.

    Features of images are many and the rows often few: a fixed decay lets the weights fit noise. At
    a decay d the minimum is that of ridge regression with alpha = 2 d n, and the alpha of the least
    leave-one-out error is quick to find. The solver's own decay is the least.

    Gradient descent with momentum m is stable below 2 (1 + m) / L, with L the largest eigenvalue of
    the Hessian (Goh, Why Momentum Really Works, Distill, 2017). The rate is a quarter of that.

    Parameters
    ----------
    solver : Solver
    rows : ndarray of shape (m, d)
        Standardized features of some training rows.
    targets : ndarray of shape (m,) or (m, k)
        Standardized.
    n : int
        All training rows.
    """
    from sklearn.linear_model import RidgeCV

    alpha = float(RidgeCV(ALPHAS).fit(rows, targets).alpha_)
    decay = max(solver.weight_decay, alpha / (2 * n))
    rate = solver.base_lr
    if solver.type == "SGD":  # the others' limits are their own
        largest = float(np.linalg.norm(rows, 2)) ** 2 / len(rows) + 2 * decay
        rate = min(rate, (1 + solver.momentum) / max(largest, 1.0))
    return replace(solver, base_lr=rate, weight_decay=decay)


@dataclass(frozen=True)
class FittedHead:
    """A trained head, in its folder."""

    engine: "Engine"
    folder: Path
    features: int
    training: Training | None
    unit: Unit = ONE

    def predict(self, x: Any) -> Outputs:
        """Return the head's probabilities or numbers for features (`Fitted.predict`)."""
        files = self.folder / DEPLOY, self.folder / "model.caffemodel"
        parts = np.array_split(x, -(-len(x) // SHARD))
        found = np.concatenate([self.engine.predict(*files, part) for part in parts])
        return in_units(found, self.unit)

    def save(self, folder: Path) -> None:
        """Write Caffe's files of the head; its input describes how images become features."""
        write_net(folder, self.folder, None, (self.features,), self.unit, DEPLOY, SHARD)
