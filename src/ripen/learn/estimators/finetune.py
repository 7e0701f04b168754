"""A pretrained net trained further on rows that are small images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import Targets
from ripen.core.atomic import write_text
from ripen.learn.arrays import FittedNet, write_rows
from ripen.learn.estimator import ESTIMATORS, Estimator, Rows, Work
from ripen.settings.schema import Finetune as Change
from ripen.settings.schema import Solver, Train
from ripen.settings.typed import typed

if TYPE_CHECKING:  # caffe imports torch
    from caffe.proto.caffe_pb2 import NetParameter

WEIGHTS, DEPLOY, TRAIN_VAL = "model.caffemodel", "deploy.prototxt", "train_val.prototxt"
Part = tuple[NDArray[np.float32], Targets]


@ESTIMATORS.register("finetune")
@typed
class Finetune(Estimator):
    """What becomes of a pretrained net with a new last layer, for other classes.

    `finetune.from` is a folder with ``deploy.prototxt``, ``train_val.prototxt`` (with HDF5Data
    layers) and ``model.caffemodel``. Training begins with its weights if `pretrained` is set, else
    from scratch; all layers learn, or the last alone.
    """

    finetune: Change
    layers: Literal["all", "last"]
    pretrained: bool
    solver: Solver
    train: Train

    does = "classifies"
    refits = False  # without validation rows nothing would end its training
    cost = 10
    space = ("solver.base_lr=tag(log,interval(0.001,0.1))",)

    def files(self) -> list[Path]:
        """Return the folder of the pretrained net (`Estimator.files`)."""
        return [Path(self.finetune.from_)]

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> FittedNet:
        """Train; the folder gets Caffe's files and the rows (`Estimator.fit`)."""
        # Imported here because they import torch, which reading the settings does not need.
        from ripen.learn.models import mlp
        from ripen.learn.models.train_net import train_net

        assert validation is not None
        self.check_task(work.task)
        deploy, start = self._definition(DEPLOY, work), Path(self.finetune.from_) / WEIGHTS
        write_text(work.folder / DEPLOY, mlp.to_text(deploy))
        shape = tuple(deploy.layer[0].input_param.shape[0].dim[1:])
        encoder = work.encode()
        x, held = encoder.fit_transform(train.x), encoder.transform(validation.x)
        net = self._definition(TRAIN_VAL, work)
        first = x.reshape(len(x), *shape), train.y
        self._read_from(net, first, (held.reshape(len(held), *shape), validation.y), work.folder)
        training = train_net(
            net,
            self.solver,
            self.train,
            work.seed,
            work.folder,
            work.callback,
            start if self.pretrained else None,
            work.engine,
        )
        self._write_seen(shape, work.folder)
        return FittedNet(work.engine, work.folder, encoder, shape, training)

    def _definition(self, file: str, work: Work) -> "NetParameter":
        """Return one of the pretrained net's files, changed for the competition's classes."""
        from caffe.formats import read_text
        from caffe.proto.caffe_pb2 import NetParameter
        from ripen.nets import surgery

        change = surgery.Change(
            self.finetune.replace,
            work.competition,
            work.outputs,
            self.finetune.lr_mult_new if self.pretrained else 1,
            self.finetune.freeze_until if self.layers == "last" else None,
        )
        return surgery.finetuned(
            read_text(Path(self.finetune.from_) / file, NetParameter()), change
        )

    def _read_from(self, net: "NetParameter", train: Part, held: Part, folder: Path) -> None:
        """Let a net's HDF5Data layers read these rows, which are written into the folder."""
        from caffe.proto.caffe_pb2 import TRAIN

        for layer in net.layer:
            if layer.type == "HDF5Data":
                trains = layer.include[0].phase == TRAIN
                name, (x, y) = ("train", train) if trains else ("validation", held)
                layer.hdf5_data_param.source = write_rows(folder, name, x, y).as_posix()
                size = min(self.train.batch_size, len(x)) if trains else len(x)
                layer.hdf5_data_param.batch_size = size

    def _write_seen(self, shape: tuple[int, ...], folder: Path) -> None:
        """Say how an image becomes the net's input: pixels from 0 to 1."""
        from ripen.data.image_input import Input
        from ripen.learn import seen

        channels, height, width = shape
        order: Any = "grey" if channels == 1 else "RGB"
        wanted = Input(height=height, width=width, channel_order=order, raw_scale=1.0)
        before = Path(self.finetune.from_) / WEIGHTS if self.pretrained else None
        seen.write(folder, folder / DEPLOY, folder / WEIGHTS, before, wanted)
