"""The building blocks of the zoo's nets, and the registry that each family of nets adds to.

A family is one file of `ripen.nets.zoo`. It writes its layers with `caffe.NetSpec` and the
functions below, and ends with a call of `add` for each net:

    DEFINITIONS.add(
        "lenet",
        classifier(
            "LeNet",
            (64, 1, 28, 28),
            _body,
            source,
            SolverParameter(net="train_val.prototxt", base_lr=0.01, ...),
        ),
    )

A net with other ends gives `Definition` its own functions. One whose weights are published in a
format of their own also names a `Decoder`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net import Net
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter, Phase, SolverParameter
from ripen.core.registry import Registry

# Weights learn at the base rate, biases at twice that rate and without weight decay.
LEARNT = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
BIAS_TWICE = [{"lr_mult": 1}, {"lr_mult": 2}]
XAVIER = {"type": "xavier"}

# Adds the layers from `n.data` up to the scores; returns the scores.
Body = Callable[[NetSpec], Top]
# Adds the layers after the scores: a Softmax, or losses and accuracies.
Head = Callable[[NetSpec, Top], None]


@dataclass(frozen=True)
class Source:
    """The data layers of a train_val net, in Caffe's terms.

    Parameters
    ----------
    train, test : dict
        Settings of the layer in each phase.
    type : str
        Type of the layer.
    name : str
        Name of the layer; its tops are always `data` and `label`.
    """

    train: dict[str, Any]
    test: dict[str, Any]
    type: str = "Data"
    name: str = "data"


@dataclass(frozen=True)
class Decoder:
    """Reads weights that are not published as a caffemodel.

    Parameters
    ----------
    format : str
        The format's name in the contract.
    decode : callable
        Called as ``decode(content, net, source)``: fills a net from the bytes of a file, which
        errors call `source`. Raises `DataError` if the file does not fit the net.
    suffix : str
        Suffix of the published file.
    """

    format: str
    decode: Callable[[bytes, Net, str], None]
    suffix: str


@dataclass(frozen=True)
class Definition:
    """A net's files, each built when it is needed.

    Parameters
    ----------
    deploy : callable
        Returns the net for inference: an Input layer, no labels, no loss.
    train_val : callable, optional
        Returns the net for training and testing.
    solver : SolverParameter, optional
        The published training schedule; its `net` is ``train_val.prototxt``.
    decoder : Decoder, optional
        Reads the published weights if they are not a caffemodel.
    """

    deploy: Callable[[], NetParameter]
    train_val: Callable[[], NetParameter] | None = None
    solver: SolverParameter | None = None
    decoder: Decoder | None = None


def classifier(
    title: str,
    shape: tuple[int, ...],
    body: Body,
    source: Source,
    solver: SolverParameter | None = None,
    decoder: Decoder | None = None,
) -> Definition:
    """Return a net that ends in a Softmax, and for training in one loss and its accuracy."""
    return Definition(
        partial(deploy, title, shape, body, softmax),
        partial(train_val, title, source, body, loss_and_accuracy),
        solver,
        decoder,
    )


DEFINITIONS: Registry[Definition] = Registry("net", "ripen.nets.zoo")
"""The nets of the zoo, each under the name of its folder in `models/`."""


def deploy(title: str, shape: tuple[int, ...], body: Body, head: Head | None) -> NetParameter:
    """Return a net for inference, with an input blob `data` of shape (N, C, H, W)."""
    n = NetSpec()
    n.data = L.Input(shape={"dim": list(shape)})
    scores = body(n)
    if head is not None:
        head(n, scores)
    return _titled(n.to_proto(), title)


def train_val(title: str, source: Source, body: Body, head: Head) -> NetParameter:
    """Return a net that reads images and labels in both phases."""
    train, test = (_data(source, phase) for phase in (TRAIN, TEST))
    head(train, body(train))
    whole = _titled(train.to_proto(), title)
    # Both data layers come first, as in Caffe's own files; the rest is the same in both phases.
    layers = [whole.layer[0], *test.to_proto().layer, *whole.layer[1:]]
    for layer in layers[:2]:
        layer.name = source.name
    result = NetParameter(name=title)
    result.layer.extend(layers)
    return result


def ilsvrc(
    transform: Mapping[str, Any],
    batch_size: int = 32,
    database: str = "examples/imagenet/ilsvrc12_{part}_lmdb",
) -> Source:
    """Return the LMDBs of ILSVRC-2012 as a source; training images are mirrored at random.

    Parameters
    ----------
    transform : mapping
        Crop and mean, by the field names of TransformationParameter.
    batch_size : int
        Batch size in training; in validation it is 50.
    database : str
        Path of the LMDBs, with ``{part}`` for "train" or "val".
    """

    def part(name: str, size: int, mirror: bool) -> dict[str, Any]:
        return {
            "transform_param": {"mirror": mirror, **transform},
            "source": database.format(part=name),
            "batch_size": size,
            "backend": "LMDB",
        }

    return Source(part("train", batch_size, True), part("val", 50, False))


def softmax(n: NetSpec, scores: Top) -> None:
    """Turn scores into probabilities."""
    n.prob = L.Softmax(scores)


def loss_and_accuracy(n: NetSpec, scores: Top) -> None:
    """Add the cross-entropy loss, and the accuracy in the test phase."""
    n.accuracy = L.Accuracy(scores, n.label, include={"phase": TEST})
    n.loss = L.SoftmaxWithLoss(scores, n.label)


def max_pool(bottom: Top, kernel_size: int = 3, stride: int = 2, **more: Any) -> Top:
    """Return the maximum of each window."""
    return _top(
        L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **more)
    )


def average_pool(bottom: Top, **more: Any) -> Top:
    """Return the mean of each window."""
    return _top(L.Pooling(bottom, pool=P.Pooling.AVE, **more))


def relu6(n: NetSpec, bottom: Top, name: str) -> Top:
    """Return min(max(x, 0), 6), written as relu(6 - relu(6 - x)): Caffe 1.0 has no ReLU6.

    `<name>/below6` and `<name>/relu6` get blobs of their own beside the bottom's. If all three
    shared one blob, Caffe's gradients would be wrong: the backward pass of a ReLU reads its output,
    which the later layers would have overwritten.
    """
    n[f"{name}/below6"] = L.Power(bottom, scale=-1, shift=6)
    n[f"{name}/relu_below6"] = L.ReLU(n[f"{name}/below6"], in_place=True)
    n[f"{name}/relu6"] = L.Power(n[f"{name}/relu_below6"], scale=-1, shift=6)
    n[f"{name}/relu"] = L.ReLU(n[f"{name}/relu6"], in_place=True)
    return n[f"{name}/relu"]


def gaussian(std: float) -> dict[str, Any]:
    """Return a filler that draws from a normal distribution with mean 0."""
    return {"type": "gaussian", "std": std}


def constant(value: float = 0) -> dict[str, Any]:
    """Return a filler with one value."""
    return {"type": "constant", "value": value}


def _data(source: Source, phase: Phase) -> NetSpec:
    n = NetSpec()
    settings = source.train if phase == TRAIN else source.test
    n.data, n.label = getattr(L, source.type)(ntop=2, include={"phase": phase}, **settings)
    return n


def _titled(net: NetParameter, title: str) -> NetParameter:
    net.name = title
    return net


def _top(top: Any) -> Top:
    assert isinstance(top, Top)
    return top
