"""What a net of the zoo is written with: its pieces, and how its files are put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter, Phase, SolverParameter

# Weights are learnt at the base rate, biases at twice that and without weight decay.
LEARNT = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
BIAS_TWICE = [{"lr_mult": 1}, {"lr_mult": 2}]
XAVIER = {"type": "xavier"}

# Adds the layers after `n.data`, ending where the scores are, and returns these.
Body = Callable[[NetSpec], Top]
# Adds what follows the scores: a Softmax, or the losses and accuracies.
Head = Callable[[NetSpec, Top], None]


@dataclass(frozen=True)
class Source:
    """Where a phase's pictures come from, in Caffe's words.

    Parameters
    ----------
    train, test : dict
        Settings of the layer in each phase.
    type : str
    name : str
        Of the layer; its tops are always `data` and `label`.
    """

    train: dict[str, Any]
    test: dict[str, Any]
    type: str = "Data"
    name: str = "data"


@dataclass(frozen=True)
class Definition:
    """A net's files, made when asked for.

    Parameters
    ----------
    deploy : callable
        Returns the net that is used: an Input layer, no labels, no loss.
    train_val : callable, optional
        Returns the net that is trained and tested.
    solver : SolverParameter, optional
        How it was trained; its `net` is ``train_val.prototxt``.
    """

    deploy: Callable[[], NetParameter]
    train_val: Callable[[], NetParameter] | None = None
    solver: SolverParameter | None = None


def deploy(title: str, shape: tuple[int, ...], body: Body, head: Head | None) -> NetParameter:
    """Return a net whose input blob `data` has a shape (N, C, H, W)."""
    n = NetSpec()
    n.data = L.Input(shape={"dim": list(shape)})
    scores = body(n)
    if head is not None:
        head(n, scores)
    return _titled(n.to_proto(), title)


def train_val(title: str, source: Source, body: Body, head: Head) -> NetParameter:
    """Return a net that reads pictures and labels in both phases."""
    train, test = (_source(source, phase) for phase in (TRAIN, TEST))
    head(train, body(train))
    whole = _titled(train.to_proto(), title)
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
    """Return the LMDBs of ILSVRC-2012 as data, mirrored in training.

    Parameters
    ----------
    transform : mapping
        Crop and mean, by the names of TransformationParameter.
    batch_size : int
        Of training; validation has 50.
    database : str
        Its address, with ``{part}`` for "train" or "val".
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
    """Train by cross-entropy, test by accuracy."""
    n.accuracy = L.Accuracy(scores, n.label, include={"phase": TEST})
    n.loss = L.SoftmaxWithLoss(scores, n.label)


def max_pool(bottom: Top, kernel_size: int = 3, stride: int = 2, **more: Any) -> Top:
    """Return the largest of each window."""
    return _top(
        L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **more)
    )


def average_pool(bottom: Top, **more: Any) -> Top:
    """Return the mean of each window."""
    return _top(L.Pooling(bottom, pool=P.Pooling.AVE, **more))


def relu6(n: NetSpec, bottom: Top, name: str) -> Top:
    """Return min(max(x, 0), 6), as relu(6 - relu(6 - x)) of layers that Caffe 1.0 has.

    The maps are three, `<name>/below6` and `<name>/relu6` beside the bottom's: in place of one
    another Caffe's gradients would be wrong, since a ReLU looks at what its map holds at the end.
    """
    n[f"{name}/below6"] = L.Power(bottom, scale=-1, shift=6)
    n[f"{name}/relu_below6"] = L.ReLU(n[f"{name}/below6"], in_place=True)
    n[f"{name}/relu6"] = L.Power(n[f"{name}/relu_below6"], scale=-1, shift=6)
    n[f"{name}/relu"] = L.ReLU(n[f"{name}/relu6"], in_place=True)
    return n[f"{name}/relu"]


def gaussian(std: float) -> dict[str, Any]:
    """Return a filler of normal numbers about 0."""
    return {"type": "gaussian", "std": std}


def constant(value: float = 0) -> dict[str, Any]:
    """Return a filler of one number."""
    return {"type": "constant", "value": value}


def _source(source: Source, phase: Phase) -> NetSpec:
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
