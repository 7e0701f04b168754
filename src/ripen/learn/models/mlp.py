"""The net of `conf/net/`: fully connected layers, written by NetSpec as Caffe's files."""

from pathlib import Path

from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from ripen.settings.compose import as_mapping
from ripen.settings.schema import Net, Solver

SOFTMAX = "SoftmaxWithLoss"
ACTIVATIONS = {"sigmoid": L.Sigmoid, "tanh": L.TanH, "relu": L.ReLU}
FILLERS = {
    "xavier": {"type": "xavier"},
    "ones": {"type": "constant", "value": 1.0},
    "random": {"type": "gaussian", "std": 1.0},
}


def train_val(
    net: Net,
    outputs: int,
    train: tuple[Path, int],
    validation: tuple[Path, int],
    loss: str = SOFTMAX,
) -> caffe_pb2.NetParameter:
    """Write the net for training, with its data and its loss.

    Parameters
    ----------
    net : Net
        Layers, activation, dropout and initial weights.
    outputs : int
        Classes, labels or numbers to predict.
    train, validation : (Path, int)
        The list file of an HDF5Data layer, and how many rows make a batch.
    loss : "SoftmaxWithLoss", "SigmoidCrossEntropyLoss" or "EuclideanLoss"

    Returns
    -------
    NetParameter
        Tops ``loss`` and, in the test phase of a classifier, ``accuracy``.
    """
    phases = []
    for (source, batch_size), phase in ((train, caffe.TRAIN), (validation, caffe.TEST)):
        data = caffe.NetSpec()
        data.data, data.label = L.HDF5Data(
            source=source.as_posix(), batch_size=batch_size, ntop=2, include={"phase": phase}
        )
        phases.append(data)
    spec = phases[1]
    scores = _scores(spec, net, outputs)
    spec.loss = getattr(L, loss)(scores, spec.label)
    if loss == SOFTMAX:
        spec.accuracy = L.Accuracy(scores, spec.label, include={"phase": caffe.TEST})
    written = phases[0].to_proto()
    written.MergeFrom(spec.to_proto())
    written.name = "mlp"
    return written


def deploy(net: Net, features: int, outputs: int, link: str = "Softmax") -> caffe_pb2.NetParameter:
    """Write the net for prediction: input ``data`` of shape (1, features), output ``prob``.

    `link` is the layer that makes that of scores: "Softmax", "Sigmoid" or "Power". In a regression
    ``prob`` holds the predicted numbers, so that engines read one name.
    """
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [1, features]})
    scores = _scores(spec, net, outputs)
    spec.prob = getattr(L, link)(scores)
    written = spec.to_proto()
    written.name = "mlp"
    return written


def solver(
    config: Solver, net: Path, snapshot_prefix: Path, seed: int
) -> caffe_pb2.SolverParameter:
    """Write the solver, without the fields that stand at Caffe's defaults.

    The training loop validates by itself, so `test_interval` lies beyond the last iteration.
    """
    given = {name: value for name, value in as_mapping(config).items() if value is not None}
    written, usual = caffe_pb2.SolverParameter(**given), caffe_pb2.SolverParameter()
    for name in given:
        # Compared as Caffe's messages hold them: 0.999 is a number of 32 bits there.
        if getattr(written, name) == getattr(usual, name):
            written.ClearField(name)
    written.MergeFrom(
        caffe_pb2.SolverParameter(
            net=net.as_posix(),
            test_iter=[1],
            test_interval=config.max_iter + 1,
            test_initialization=False,
            snapshot_prefix=snapshot_prefix.as_posix(),
            snapshot_after_train=False,
            random_seed=seed,
        )
    )
    return written


def to_text(message: caffe_pb2.NetParameter | caffe_pb2.SolverParameter) -> str:
    """Return a message as prototxt."""
    return text_format.MessageToString(message)


def _scores(spec: caffe.NetSpec, net: Net, outputs: int) -> caffe.Top:
    """Add the layers from ``data`` to the scores; return their top."""
    top = spec.data
    filler = FILLERS[net.weights]
    for i, nodes in enumerate(net.hidden_layers, start=1):
        name = f"{net.activation}{i}"
        spec[f"hidden{i}"] = top = L.InnerProduct(top, num_output=nodes, weight_filler=filler)
        spec[name] = top = ACTIVATIONS[net.activation](top, in_place=True)
        if net.dropout:
            spec[f"dropout{i}"] = top = L.Dropout(top, dropout_ratio=net.dropout, in_place=True)
    spec.scores = L.InnerProduct(top, num_output=outputs, weight_filler=filler)
    return spec.scores
