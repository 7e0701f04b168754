"""The net of `conf/net/`: fully connected layers, written by NetSpec as Caffe's files."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from ripen.settings.compose import as_mapping
from ripen.settings.schema import Net, Solver

SOFTMAX = "SoftmaxWithLoss"
OUTPUTS = {SOFTMAX: L.Softmax, "SigmoidCrossEntropyLoss": L.Sigmoid, "EuclideanLoss": L.Power}
"""Of each loss the layer that turns scores into probabilities, or into the predicted numbers."""
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
    features: int = 0,
    levels: Sequence[int] = (),
) -> caffe_pb2.NetParameter:
    """Write the net for training, with its data and its loss.

    Parameters
    ----------
    net : Net
        Layers, activation, dropout and initial weights.
    outputs : int
        Classes, or numbers to predict.
    train, validation : (Path, int)
        The list file of an HDF5Data layer, and how many rows make a batch.
    loss : str
        A key of `OUTPUTS`.
    features : int
        Of a row; needed with `levels` alone.
    levels : sequence of int
        Of each category, whose codes are the last features.

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
    scores = _scores(spec, net, outputs, features, levels)
    spec.loss = getattr(L, loss)(scores, spec.label)
    if loss == SOFTMAX:
        spec.accuracy = L.Accuracy(scores, spec.label, include={"phase": caffe.TEST})
    written = phases[0].to_proto()
    written.MergeFrom(spec.to_proto())
    written.name = "mlp"
    return written


def deploy(
    net: Net, features: int, outputs: int, loss: str = SOFTMAX, levels: Sequence[int] = ()
) -> caffe_pb2.NetParameter:
    """Write the net for prediction: input ``data`` of shape (1, features), output ``prob``.

    In a regression ``prob`` holds the predicted numbers, so that engines read one name.
    """
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [1, features]})
    scores = _scores(spec, net, outputs, features, levels)
    spec.prob = OUTPUTS[loss](scores)
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


def width(levels: int) -> int:
    """Return the size of the vector that a category of so many levels becomes.

    The rule of thumb of fastai (`fastai.tabular.model.emb_sz_rule`), at most 50.
    """
    size: int = min(50, round(1.6 * levels**0.56))
    return size


def _embedded(spec: caffe.NetSpec, features: int, levels: Sequence[int]) -> caffe.Top:
    """Add the layers that turn the codes at the end of ``data`` into vectors."""
    numbers = features - len(levels)
    names = ["numbers"] * bool(numbers) + [f"code{k}" for k in range(1, len(levels) + 1)]
    points = list(range(numbers or 1, features))
    cut = L.Slice(spec.data, axis=1, slice_point=points, ntop=len(names))
    for name, top in zip(names, cut if len(names) > 1 else [cut], strict=True):
        spec[name] = top
    tops = [spec.numbers] if numbers else []
    for k, count in enumerate(levels, start=1):
        embed = L.Embed(
            spec[f"code{k}"],
            input_dim=count,
            num_output=width(count),
            weight_filler={"type": "gaussian", "std": 0.1},
        )
        spec[f"embed{k}"] = embed
        spec[f"vector{k}"] = L.Flatten(embed)
        tops.append(spec[f"vector{k}"])
    spec.row = L.Concat(*tops, axis=1)
    return spec.row


def _scores(
    spec: caffe.NetSpec, net: Net, outputs: int, features: int, levels: Sequence[int]
) -> caffe.Top:
    """Add the layers from ``data`` to the scores; return their top."""
    top = _embedded(spec, features, levels) if levels else spec.data
    filler = FILLERS[net.weights]
    for i, nodes in enumerate(net.hidden_layers, start=1):
        name = f"{net.activation}{i}"
        spec[f"hidden{i}"] = top = L.InnerProduct(top, num_output=nodes, weight_filler=filler)
        spec[name] = top = ACTIVATIONS[net.activation](top, in_place=True)
        if net.dropout:
            spec[f"dropout{i}"] = top = L.Dropout(top, dropout_ratio=net.dropout, in_place=True)
    spec.scores = L.InnerProduct(top, num_output=outputs, weight_filler=filler)
    return spec.scores
