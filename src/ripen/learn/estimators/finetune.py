"""A pretrained net trained further on rows that are small images."""

from pathlib import Path
from typing import Literal

from ripen.core.atomic import write_text
from ripen.learn.arrays import FittedNet, write_rows
from ripen.learn.estimator import ESTIMATORS, Estimator, Rows, Work
from ripen.settings.schema import Finetune as FinetuneSettings
from ripen.settings.schema import Solver, Train
from ripen.settings.typed import typed


@ESTIMATORS.register("finetune")
@typed
class Finetune(Estimator):
    """What becomes of a pretrained net with a new last layer, for other classes.

    `finetune.from` is a folder with ``deploy.prototxt``, ``train_val.prototxt`` (with HDF5Data
    layers) and ``model.caffemodel``. Its weights are taken where `pretrained` says so, else it
    learns from scratch; all layers learn, or the last alone.
    """

    finetune: FinetuneSettings
    layers: Literal["all", "last"]
    pretrained: bool
    solver: Solver
    train: Train

    refits = False  # without validation rows nothing would end its training

    def files(self) -> list[Path]:
        """Return the folder of the pretrained net (`Estimator.files`)."""
        return [Path(self.finetune.from_)]

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> FittedNet:
        """Train; the folder gets Caffe's files and the rows (`Estimator.fit`)."""
        # Here, because the settings are read where nobody trains, and these import torch.
        from caffe.formats import read_text
        from caffe.proto.caffe_pb2 import TRAIN, NetParameter
        from ripen.data.image_input import Input
        from ripen.learn import seen
        from ripen.learn.models import mlp
        from ripen.learn.models.caffe_net import train_net
        from ripen.nets.surgery import Change, finetuned

        assert validation is not None
        wanted, start = self.finetune, Path(self.finetune.from_)
        change = Change(
            wanted.replace,
            work.competition,
            work.outputs,
            wanted.lr_mult_new if self.pretrained else 1,
            wanted.freeze_until if self.layers == "last" else None,
        )
        deploy = finetuned(read_text(start / "deploy.prototxt", NetParameter()), change)
        write_text(work.folder / "deploy.prototxt", mlp.to_text(deploy))
        shape = tuple(deploy.layer[0].input_param.shape[0].dim[1:])
        encoder = work.encode()
        arrays = [encoder.fit_transform(train.x), encoder.transform(validation.x)]
        first, held = (values.reshape(len(values), *shape) for values in arrays)
        net = finetuned(read_text(start / "train_val.prototxt", NetParameter()), change)
        for layer in net.layer:
            if layer.type == "HDF5Data":
                trains = layer.include[0].phase == TRAIN
                name, x, y = (
                    ("train", first, train.y) if trains else ("validation", held, validation.y)
                )
                layer.hdf5_data_param.source = write_rows(work.folder, name, x, y).as_posix()
                size = min(self.train.batch_size, len(x)) if trains else len(x)
                layer.hdf5_data_param.batch_size = size
        training = train_net(
            net,
            self.solver,
            self.train,
            work.seed,
            work.folder,
            work.callback,
            start / "model.caffemodel" if self.pretrained else None,
            work.engine,
        )
        weights = start / "model.caffemodel"
        channels, height, width = shape
        wanted = Input(
            height=height,
            width=width,
            channel_order="grey" if channels == 1 else "RGB",
            raw_scale=1.0,
        )
        seen.write(
            work.folder,
            work.folder / "deploy.prototxt",
            work.folder / "model.caffemodel",
            weights if self.pretrained else None,
            wanted,
        )
        return FittedNet(work.engine, work.folder, encoder, shape, training)
