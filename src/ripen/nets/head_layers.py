"""A new last layer on frozen nets, as Caffe's files: for training and for inference.

A fixed layer brings all features to one scale: those of frozen nets differ so much in scale that
gradient descent would take very long. The weights begin at 0, because the loss is convex and every
start leads to the same minimum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caffe
from caffe.formats import blob_array, read_binary
from caffe.proto.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter, Phase
from ripen.nets.surgery import PREDICTIONS, output

NORMALIZE, SCORES = "normalize", "scores"
SOFTMAX = "SoftmaxWithLoss"
COLUMNS = 256
FLAT = 0.02  # of the median scale: a feature that varies less hardly ever differs from its mean
Source = tuple[Path, int]


@dataclass(frozen=True)
class Scaling:
    """The mean that is subtracted from each feature, and the scale that divides it.

    A feature that is nearly the same in all training rows would be thousands of standard deviations
    away in the first row where it is not: its scale is at least `FLAT` times the median.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, data: NDArray[np.floating], rows: NDArray[np.int64]) -> "Scaling":
        """Return the scaling to mean 0 and standard deviation 1 over some rows.

        Parameters
        ----------
        data : ndarray of shape (n, d)
        rows : int64 ndarray
        """
        mean, scale = np.empty(data.shape[1]), np.empty(data.shape[1])
        # A few columns at a time, because numpy copies them to float64.
        for start in range(0, data.shape[1], COLUMNS):
            some = slice(start, start + COLUMNS)
            values = data[rows, some]
            mean[some] = values.mean(axis=0, dtype=np.float64)
            scale[some] = values.std(axis=0, dtype=np.float64)
        scale = np.maximum(scale, FLAT * np.median(scale))
        scale[scale < 1e-6] = 1  # a constant feature carries no information
        return cls(mean, scale)

    def apply(self, data: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return rows with mean 0 and standard deviation 1."""
        return np.asarray((data - self.mean) / self.scale, np.float64)


def layers(bottom: str, classes: int) -> list[LayerParameter]:
    """Return the layers from features to scores."""
    normalize = LayerParameter(name=NORMALIZE, type="Scale", bottom=[bottom], top=[NORMALIZE])
    normalize.scale_param.bias_term = True
    for _ in range(2):
        normalize.param.add(lr_mult=0, decay_mult=0)
    scores = LayerParameter(name=SCORES, type="InnerProduct", bottom=[NORMALIZE], top=[SCORES])
    scores.inner_product_param.num_output = classes
    scores.param.add(lr_mult=1, decay_mult=1)
    scores.param.add(lr_mult=1, decay_mult=0)
    return [normalize, scores]


def train_val(outputs: int, train: Source, validation: Source, loss: str = SOFTMAX) -> NetParameter:
    """Return the net for training on features; tops ``loss`` and, of a classifier, ``accuracy``.

    Parameters
    ----------
    outputs : int
        Classes, independent labels, or numbers to predict.
    train, validation : (Path, int)
        The list file of an HDF5Data layer, with data sets ``data`` and ``label``, and the batch
        size.
    loss : str
        Caffe's loss layer, a key of `PREDICTIONS`.
    """
    net = NetParameter(name="head")
    net.layer.extend(_source(phase, *of) for phase, of in ((TRAIN, train), (TEST, validation)))
    net.layer.extend(layers("data", outputs))
    net.layer.extend(losses(loss))
    return net


def losses(loss: str = SOFTMAX) -> list[LayerParameter]:
    """Return the layers after the scores in training."""
    last = LayerParameter(name="loss", type=loss, bottom=[SCORES, "label"], top=["loss"])
    if loss == "EuclideanLoss":
        # Its curvature is twice that of two classes: so one learning rate suits both.
        last.loss_weight.append(0.5)
    if loss != SOFTMAX:
        return [last]
    accuracy = LayerParameter(name="accuracy", type="Accuracy", bottom=[SCORES, "label"])
    accuracy.top.append("accuracy")
    accuracy.include.add(phase=TEST)
    return [last, accuracy]


def deploy(trunks: Sequence[NetParameter], outputs: int, loss: str = SOFTMAX) -> NetParameter:
    """Return the whole net: frozen nets, whose outputs are concatenated, and the head."""
    net = NetParameter(name=" + ".join(trunk.name for trunk in trunks))
    for trunk in trunks:
        net.layer.extend(trunk.layer)
    bottoms = [output(trunk) for trunk in trunks]
    if len(bottoms) > 1:
        net.layer.add(name="together", type="Concat", bottom=bottoms, top=["together"])
        bottoms = ["together"]
    net.layer.extend(layers(bottoms[0], outputs))
    net.layer.add(name="prob", type=PREDICTIONS[loss], bottom=[SCORES], top=["prob"])
    return net


def deploy_head(size: int, outputs: int, loss: str = SOFTMAX) -> NetParameter:
    """Return the net from `size` features, ``data``, to ``prob``."""
    net = NetParameter(name="head")
    data = net.layer.add(name="data", type="Input", top=["data"])
    data.input_param.shape.add(dim=[1, size])
    net.layer.extend(layers("data", outputs))
    net.layer.add(name="prob", type=PREDICTIONS[loss], bottom=[SCORES], top=["prob"])
    return net


def start(classes: int, scaling: Scaling, file: Path) -> None:
    """Write the caffemodel with the initial weights of a head."""
    written = caffe.Net(deploy_head(len(scaling.mean), classes), caffe.TEST)
    written.params[NORMALIZE][0].data[...] = 1 / scaling.scale
    written.params[NORMALIZE][1].data[...] = -scaling.mean / scaling.scale
    written.save(str(file))


def write_whole(
    definition: NetParameter,
    weights: Mapping[str, Path],
    head: Path,
    to: Path,
    unit: tuple[Any, Any] = (0.0, 1.0),
) -> None:
    """Write the caffemodel of a whole net.

    Parameters
    ----------
    definition : NetParameter
        As `deploy` returns it.
    weights : mapping of str to Path
        The caffemodels of the frozen nets, by the prefix of their layers' names.
    head : Path
        The caffemodel of the head.
    to : Path
        The file to write.
    unit : (float, float), or of lists
        Mean and scale of the numbers that the head predicts in units of: the whole net predicts
        the numbers themselves.
    """
    net = caffe.Net(definition, caffe.TEST)
    net.copy_from(str(head))
    mean, scale = (np.asarray(each, np.float64) for each in unit)
    slope, bias = (blob.data for blob in net.params[SCORES])
    slope[...] = slope * scale.reshape(-1, 1)
    bias[...] = bias * scale + mean
    for prefix, file in weights.items():
        for name, blobs in _stored(file):
            # The layers behind the trunk's end are in the file, but not in the net.
            if prefix + name in net.params:
                for blob, values in zip(net.params[prefix + name], blobs, strict=True):
                    blob.data[...] = values.reshape(blob.data.shape)
    net.save(str(to))


def _stored(file: Path) -> list[tuple[str, list[NDArray[np.float32]]]]:
    """Return the layers of a caffemodel that have weights."""
    stored = read_binary(file, NetParameter())
    return [(la.name, [blob_array(b) for b in la.blobs]) for la in stored.layer if la.blobs]


def _source(phase: Phase, file: Path, batch_size: int) -> LayerParameter:
    layer = LayerParameter(name="data", type="HDF5Data", top=["data", "label"])
    layer.include.add(phase=phase)
    layer.hdf5_data_param.source = file.as_posix()
    layer.hdf5_data_param.batch_size = batch_size
    return layer
