"""The talk's network: fully connected layers on encoded rows, trained by a Caffe solver."""

from typing import TYPE_CHECKING, Literal

from ripen.competition.tasks import Task
from ripen.core.atomic import write_text
from ripen.learn.arrays import FittedNet, write_rows
from ripen.learn.estimator import ESTIMATORS, Estimator, Rows, Work
from ripen.learn.target_transform import ONE, standardized, unit_of
from ripen.settings.schema import Net, Solver, Train
from ripen.settings.typed import typed

if TYPE_CHECKING:  # imports torch
    from ripen.learn.models.group import Trial


@ESTIMATORS.register("caffe_net")
@typed
class CaffeNet(Estimator):
    """A net of `net`'s layers, which `solver` trains until `train` ends it.

    The weights of the best validation loss are kept. Categories become vectors that are learnt, by
    Embed layers; or `encode` names another encoder for them.
    """

    net: Net
    solver: Solver
    train: Train
    encode: Literal["embed", "one_hot", "ordinal", "target"] | None = None

    encoders = ("embed", "one_hot", "ordinal", "target")
    refits = False  # without validation rows nothing would end its training
    cost = 10
    space = ("solver.base_lr=tag(log,interval(0.01,3))",)

    def trial(self, task: Task, seed: int) -> "Trial | None":
        """Return the trial of a classifier by plain SGD (`Estimator.trial`)."""
        from ripen.learn.models import batched, mlp
        from ripen.learn.models.group import Trial

        trial = Trial(self.net, self.solver, self.train, seed)
        return trial if task.loss == mlp.SOFTMAX and batched.fits(trial) else None

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> FittedNet:
        """Train; the folder gets Caffe's files and the rows (`Estimator.fit`)."""
        # Imported here because they import torch, which reading the settings does not need.
        from ripen.learn.models import mlp
        from ripen.learn.models.train_net import train_net

        assert validation is not None
        encoder = work.encode(self.encode or self.encoders[0], seed=work.seed)
        x, held_out, levels = train.x, validation.x, list[int]()
        if encoder is not None:
            x = encoder.fit_transform(train.x, train.y, train.groups)
            held_out, levels = encoder.transform(validation.x), encoder.codes_
        unit, targets = ONE, [train.y, validation.y]
        if not work.task.probabilities:
            unit = unit_of(train.y)
            targets = [standardized(y, unit) for y in targets]
        rows = write_rows(work.folder, "train", x, targets[0]), min(self.train.batch_size, len(x))
        held = write_rows(work.folder, "validation", held_out, targets[1]), len(held_out)
        loss = work.task.loss
        deploy = mlp.deploy(self.net, x.shape[1], work.outputs, loss, levels)
        write_text(work.folder / "deploy.prototxt", mlp.to_text(deploy))
        training = train_net(
            mlp.train_val(self.net, work.outputs, rows, held, loss, x.shape[1], levels),
            self.solver,
            self.train,
            work.seed,
            work.folder,
            work.callback,
            engine=work.engine,
            history=work.folder / "history" if work.history else None,
        )
        return FittedNet(work.engine, work.folder, encoder, x.shape[1:], training, unit)
