"""LeNet (LeCun et al., 1998) as Caffe's MNIST example has it: ReLU where there were sigmoids."""

from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import SolverParameter
from ripen.nets.zoo.definition import (
    BIAS_TWICE,
    XAVIER,
    Definition,
    Source,
    deploy,
    loss_and_accuracy,
    max_pool,
    softmax,
    train_val,
)

FILLED: dict[str, Any] = {"param": BIAS_TWICE, "weight_filler": XAVIER}


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


lenet = Definition(
    partial(deploy, "LeNet", (64, 1, 28, 28), _body, softmax),
    partial(
        train_val,
        "LeNet",
        Source(_lmdb(True), _lmdb(False), name="mnist"),
        _body,
        loss_and_accuracy,
    ),
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
)
