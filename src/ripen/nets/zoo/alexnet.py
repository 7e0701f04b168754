"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012) and its variants in Caffe's zoo.

CaffeNet pools before it normalizes. flickr_style is CaffeNet fine-tuned with a new last layer.
rcnn_ilsvrc13 is CaffeNet with the detectors of R-CNN (Girshick et al., 2014) as its last layer.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import SolverParameter
from ripen.nets.definition import (
    DEFINITIONS,
    LEARNT,
    Definition,
    Source,
    classifier,
    constant,
    deploy,
    gaussian,
    ilsvrc,
    max_pool,
)

SHAPE = (10, 3, 227, 227)
MEAN = {"mean_file": "data/ilsvrc12/imagenet_mean.binaryproto"}


@dataclass(frozen=True)
class Last:
    """The layer that computes the scores."""

    name: str = "fc8"
    num_output: int = 1000
    lr_mult: int = 1


def _transform(train: bool) -> dict[str, Any]:
    return {"mirror": train, "crop_size": 227, **MEAN}


def _list(train: bool) -> dict[str, Any]:
    return {
        "transform_param": _transform(train),
        "source": f"data/flickr_style/{'train' if train else 'test'}.txt",
        "batch_size": 50,
        "new_height": 256,
        "new_width": 256,
    }


def _pool_and_norm(n: NetSpec, bottom: Top, stage: int, pool_first: bool) -> Top:
    def norm(bottom: Top) -> Top:
        n[f"norm{stage}"] = L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)
        return n[f"norm{stage}"]

    def pool(bottom: Top) -> Top:
        n[f"pool{stage}"] = max_pool(bottom)
        return n[f"pool{stage}"]

    return norm(pool(bottom)) if pool_first else pool(norm(bottom))


def _body(n: NetSpec, *, pool_first: bool, bias: float, last: Last) -> Top:
    """Add five convolutions and three fully connected layers.

    `bias` is the initial bias of every layer except conv1, conv3 and the last, which begin at 0.
    """

    def conv(bottom: Top, stage: int, num_output: int, bias: float, **more: Any) -> Top:
        filled = {"weight_filler": gaussian(0.01), "bias_filler": constant(bias)}
        n[f"conv{stage}"] = L.Convolution(
            bottom, param=LEARNT, num_output=num_output, **filled, **more
        )
        n[f"relu{stage}"] = L.ReLU(n[f"conv{stage}"], in_place=True)
        return n[f"relu{stage}"]

    def dense(bottom: Top, stage: int) -> Top:
        filled = {"weight_filler": gaussian(0.005), "bias_filler": constant(bias)}
        n[f"fc{stage}"] = L.InnerProduct(bottom, param=LEARNT, num_output=4096, **filled)
        n[f"relu{stage}"] = L.ReLU(n[f"fc{stage}"], in_place=True)
        n[f"drop{stage}"] = L.Dropout(n[f"relu{stage}"], dropout_ratio=0.5, in_place=True)
        return n[f"drop{stage}"]

    x = _pool_and_norm(n, conv(n.data, 1, 96, 0, kernel_size=11, stride=4), 1, pool_first)
    x = conv(x, 2, 256, bias, pad=2, kernel_size=5, group=2)
    x = conv(_pool_and_norm(n, x, 2, pool_first), 3, 384, 0, pad=1, kernel_size=3)
    x = conv(x, 4, 384, bias, pad=1, kernel_size=3, group=2)
    n.pool5 = max_pool(conv(x, 5, 256, bias, pad=1, kernel_size=3, group=2))
    # A new last layer learns faster than the pretrained layers below it.
    rates = [{**spec, "lr_mult": spec["lr_mult"] * last.lr_mult} for spec in LEARNT]
    n[last.name] = L.InnerProduct(
        dense(dense(n.pool5, 6), 7),
        param=rates,
        num_output=last.num_output,
        weight_filler=gaussian(0.01),
        bias_filler=constant(),
    )
    return n[last.name]


def _solver(**changed: Any) -> SolverParameter:
    settings: dict[str, Any] = {
        "net": "train_val.prototxt",
        "test_iter": [1000],
        "test_interval": 1000,
        "base_lr": 0.01,
        "lr_policy": "step",
        "gamma": 0.1,
        "stepsize": 100_000,
        "display": 20,
        "max_iter": 450_000,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "snapshot": 10_000,
    }
    return SolverParameter(**(settings | changed))


_caffenet = partial(_body, pool_first=True, bias=1)
_ilsvrc = ilsvrc({"crop_size": 227, **MEAN}, batch_size=256)

DEFINITIONS.add(
    "alexnet",
    classifier(
        "AlexNet",
        SHAPE,
        partial(_body, pool_first=False, bias=0.1, last=Last()),
        _ilsvrc,
        _solver(snapshot_prefix="caffe_alexnet_train"),
    ),
)
DEFINITIONS.add(
    "caffenet",
    classifier(
        "CaffeNet",
        SHAPE,
        partial(_caffenet, last=Last()),
        _ilsvrc,
        _solver(snapshot_prefix="caffenet_train"),
    ),
)
DEFINITIONS.add(
    "flickr_style",
    classifier(
        "FlickrStyleCaffeNet",
        SHAPE,
        partial(_caffenet, last=Last("fc8_flickr", 20, lr_mult=10)),
        Source(_list(True), _list(False), type="ImageData"),
        _solver(
            test_iter=[100],
            base_lr=0.001,
            stepsize=20_000,
            max_iter=100_000,
            snapshot_prefix="finetune_flickr_style",
        ),
    ),
)
# Its last layer holds SVMs that were trained outside Caffe: there is no train_val, and no Softmax.
DEFINITIONS.add(
    "rcnn_ilsvrc13",
    Definition(
        partial(
            deploy, "R-CNN-ilsvrc13", SHAPE, partial(_caffenet, last=Last("fc-rcnn", 200)), None
        )
    ),
)
