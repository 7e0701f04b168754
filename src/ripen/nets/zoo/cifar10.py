"""The nets of Caffe's CIFAR-10 example (after Krizhevsky's cuda-convnet): 32x32 colour images."""

from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import SolverParameter
from ripen.nets.definition import (
    BIAS_TWICE,
    DEFINITIONS,
    Body,
    Definition,
    Source,
    average_pool,
    deploy,
    gaussian,
    loss_and_accuracy,
    max_pool,
    softmax,
    train_val,
)

FROZEN = [{"lr_mult": 0}] * 3


def _conv(bottom: Top, num_output: int, std: float, **more: Any) -> Any:
    settings = {"param": BIAS_TWICE, "weight_filler": gaussian(std)} | more
    return L.Convolution(bottom, num_output=num_output, pad=2, kernel_size=5, **settings)


def _relu_stages(n: NetSpec, *, norm: bool) -> Top:
    """Add three convolutions; the first is max-pooled, the others average-pooled."""

    def normalized(bottom: Top, stage: int) -> Top:
        if not norm:
            return bottom
        region = P.LRN.WITHIN_CHANNEL
        n[f"norm{stage}"] = L.LRN(bottom, local_size=3, alpha=5e-5, beta=0.75, norm_region=region)
        return n[f"norm{stage}"]

    n.conv1 = _conv(n.data, 32, 1e-4)
    n.pool1 = max_pool(n.conv1)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    n.conv2 = _conv(normalized(n.relu1, 1), 32, 0.01)
    n.relu2 = L.ReLU(n.conv2, in_place=True)
    n.pool2 = average_pool(n.relu2, kernel_size=3, stride=2)
    n.conv3 = _conv(normalized(n.pool2, 2), 64, 0.01, **({"param": []} if norm else {}))
    n.relu3 = L.ReLU(n.conv3, in_place=True)
    n.pool3 = average_pool(n.relu3, kernel_size=3, stride=2)
    return n.pool3


def _sigmoid_stages(n: NetSpec, *, batch_norm: bool) -> Top:
    """Add the same with sigmoids, which learn little here without batch normalization."""

    def normalized(bottom: Top, stage: int) -> Top:
        if not batch_norm:
            return bottom
        n[f"bn{stage}"] = L.BatchNorm(bottom, param=FROZEN)
        return n[f"bn{stage}"]

    def conv(bottom: Top, num_output: int, std: float, bias_lr: float = 2) -> Any:
        if batch_norm:
            return _conv(bottom, num_output, std, param=[{"lr_mult": 1}], bias_term=False)
        return _conv(bottom, num_output, std, param=[{"lr_mult": 1}, {"lr_mult": bias_lr}])

    n.conv1 = conv(n.data, 32, 1e-4)
    n.pool1 = max_pool(n.conv1)
    n.Sigmoid1 = L.Sigmoid(normalized(n.pool1, 1))
    x = n.Sigmoid1
    for stage, num_output, bias_lr in ((2, 32, 2), (3, 64, 1)):
        n[f"conv{stage}"] = conv(x, num_output, 0.01, bias_lr)
        n[f"Sigmoid{stage}"] = L.Sigmoid(normalized(n[f"conv{stage}"], stage))
        n[f"pool{stage}"] = average_pool(n[f"Sigmoid{stage}"], kernel_size=3, stride=2)
        x = n[f"pool{stage}"]
    return x


def _quick(n: NetSpec) -> Top:
    x = _relu_stages(n, norm=False)
    n.ip1 = L.InnerProduct(x, num_output=64, param=BIAS_TWICE, weight_filler=gaussian(0.1))
    n.ip2 = L.InnerProduct(n.ip1, num_output=10, param=BIAS_TWICE, weight_filler=gaussian(0.1))
    return n.ip2


def _full(n: NetSpec, *, sigmoid: bool = False, batch_norm: bool = False) -> Top:
    x = _sigmoid_stages(n, batch_norm=batch_norm) if sigmoid else _relu_stages(n, norm=True)
    decay, bias_lr = (1, 1) if batch_norm else (0, 2) if sigmoid else (250, 2)
    param = [{"lr_mult": 1, "decay_mult": decay}, {"lr_mult": bias_lr, "decay_mult": 0}]
    n.ip1 = L.InnerProduct(x, num_output=10, param=param, weight_filler=gaussian(0.01))
    return n.ip1


def _source(train_batch: int, test_batch: int) -> Source:
    def lmdb(part: str, batch_size: int) -> dict[str, Any]:
        return {
            "transform_param": {"mean_file": "examples/cifar10/mean.binaryproto"},
            "source": f"examples/cifar10/cifar10_{part}_lmdb",
            "batch_size": batch_size,
            "backend": "LMDB",
        }

    return Source(lmdb("train", train_batch), lmdb("test", test_batch), name="cifar")


# The published files name the deploy net and the train_val net differently.
def _definition(
    titles: tuple[str, str], body: Body, source: Source, solver: SolverParameter
) -> Definition:
    return Definition(
        partial(deploy, titles[0], (1, 3, 32, 32), body, softmax),
        partial(train_val, titles[1], source, body, loss_and_accuracy),
        solver,
    )


def _solver(**changed: Any) -> SolverParameter:
    settings: dict[str, Any] = {
        "net": "train_val.prototxt",
        "test_iter": [100],
        "test_interval": 1000,
        "base_lr": 0.001,
        "momentum": 0.9,
        "weight_decay": 0.004,
        "lr_policy": "fixed",
        "display": 200,
        "max_iter": 60_000,
        "snapshot": 10_000,
    }
    return SolverParameter(**(settings | changed))


def _sigmoid_solver(prefix: str) -> SolverParameter:
    solver = _solver(test_iter=[10], lr_policy="step", gamma=1, stepsize=5000, display=100)
    solver.ClearField("weight_decay")
    solver.snapshot_prefix = prefix
    return solver


DEFINITIONS.add(
    "cifar10_quick",
    _definition(
        ("CIFAR10_quick_test", "CIFAR10_quick"),
        _quick,
        _source(100, 100),
        _solver(
            test_interval=500,
            display=100,
            max_iter=4000,
            snapshot=4000,
            snapshot_prefix="cifar10_quick",
        ),
    ),
)
DEFINITIONS.add(
    "cifar10_full",
    _definition(
        ("CIFAR10_full_deploy", "CIFAR10_full"),
        _full,
        _source(100, 100),
        _solver(snapshot_format="HDF5", snapshot_prefix="cifar10_full"),
    ),
)
DEFINITIONS.add(
    "cifar10_full_sigmoid",
    _definition(
        ("CIFAR10_full_sigmoid", "CIFAR10_full"),
        partial(_full, sigmoid=True),
        _source(111, 1000),
        _sigmoid_solver("cifar10_full_sigmoid"),
    ),
)
DEFINITIONS.add(
    "cifar10_full_sigmoid_bn",
    _definition(
        ("CIFAR10_full_sigmoid_bn", "CIFAR10_full"),
        partial(_full, sigmoid=True, batch_norm=True),
        _source(100, 1000),
        _sigmoid_solver("cifar10_full_sigmoid_bn"),
    ),
)
