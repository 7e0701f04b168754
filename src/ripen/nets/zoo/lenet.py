"""LeNet (LeCun et al., 1998): as in Caffe's MNIST example, and a smaller one for 8x8 images.

Caffe's LeNet has a ReLU where the paper has sigmoids.
"""

from functools import partial
from pathlib import Path
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter
from ripen.nets.definition import (
    BIAS_TWICE,
    DEFINITIONS,
    LEARNT,
    XAVIER,
    Definition,
    Source,
    classifier,
    deploy,
    loss_and_accuracy,
    max_pool,
    softmax,
    train_val,
)

FILLED: dict[str, Any] = {"param": BIAS_TWICE, "weight_filler": XAVIER}
FILLED8: dict[str, Any] = {"param": LEARNT, "weight_filler": XAVIER}
TITLE8 = "LeNet8"


def _body(n: NetSpec) -> Top:
    n.conv1 = L.Convolution(n.data, num_output=20, kernel_size=5, **FILLED)
    n.pool1 = max_pool(n.conv1, kernel_size=2)
    n.conv2 = L.Convolution(n.pool1, num_output=50, kernel_size=5, **FILLED)
    n.pool2 = max_pool(n.conv2, kernel_size=2)
    n.ip1 = L.InnerProduct(n.pool2, num_output=500, **FILLED)
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10, **FILLED)
    return n.ip2


def _lmdb(train: bool) -> dict[str, Any]:
    part, batch_size = ("train", 64) if train else ("test", 100)
    return {
        "transform_param": {"scale": 1 / 256},
        "source": f"examples/mnist/mnist_{part}_lmdb",
        "batch_size": batch_size,
        "backend": "LMDB",
    }


def _body8(n: NetSpec, classes: int) -> Top:
    """Add two small convolutions, each pooled, and two dense layers."""
    x = n.data
    for stage, num_output in ((1, 16), (2, 32)):
        n[f"conv{stage}"] = L.Convolution(x, num_output=num_output, kernel_size=3, pad=1, **FILLED8)
        n[f"relu{stage}"] = L.ReLU(n[f"conv{stage}"], in_place=True)
        n[f"pool{stage}"] = x = max_pool(n[f"relu{stage}"], kernel_size=2)
    n.ip1 = L.InnerProduct(x, num_output=64, **FILLED8)
    n.relu3 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu3, num_output=classes, **FILLED8)
    return n.ip2


def lenet8_train_val(
    classes: int, train: tuple[Path, int], validation: tuple[Path, int]
) -> NetParameter:
    """Return LeNet8 for training.

    Parameters
    ----------
    classes : int
        Number of outputs.
    train, validation : (Path, int)
        The list file of an HDF5Data layer, and the batch size.
    """
    parts = [
        {"source": source.as_posix(), "batch_size": size} for source, size in (train, validation)
    ]
    source = Source(parts[0], parts[1], type="HDF5Data")
    return train_val(TITLE8, source, partial(_body8, classes=classes), loss_and_accuracy)


def lenet8_deploy(classes: int) -> NetParameter:
    """Return LeNet8 for inference: input ``data``, output ``prob``."""
    return deploy(TITLE8, (1, 1, 8, 8), partial(_body8, classes=classes), softmax)


DEFINITIONS.add(
    "lenet",
    classifier(
        "LeNet",
        (64, 1, 28, 28),
        _body,
        Source(_lmdb(True), _lmdb(False), name="mnist"),
        SolverParameter(
            net="train_val.prototxt",
            test_iter=[100],
            test_interval=500,
            base_lr=0.01,
            momentum=0.9,
            weight_decay=5e-4,
            lr_policy="inv",
            gamma=1e-4,
            power=0.75,
            display=100,
            max_iter=10_000,
            snapshot=5000,
            snapshot_prefix="lenet",
        ),
    ),
)
DEFINITIONS.add(
    "lenet8",
    Definition(
        partial(lenet8_deploy, 10),
        partial(lenet8_train_val, 10, (Path("train.txt"), 100), (Path("test.txt"), 100)),
    ),
)
