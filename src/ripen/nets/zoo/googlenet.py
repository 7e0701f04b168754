"""GoogLeNet (Szegedy et al., 2015): nine inception modules and two auxiliary losses."""

from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import TEST, SolverParameter
from ripen.nets.definition import (
    DEFINITIONS,
    LEARNT,
    XAVIER,
    Definition,
    average_pool,
    constant,
    deploy,
    ilsvrc,
    max_pool,
    softmax,
    train_val,
)

# Channels in each module: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; projection of the pool.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _conv(n: NetSpec, name: str, bottom: Top, num_output: int, size: int, **more: Any) -> Top:
    n[name] = L.Convolution(
        bottom,
        param=LEARNT,
        num_output=num_output,
        kernel_size=size,
        weight_filler=XAVIER,
        bias_filler=constant(0.2),
        **more,
    )
    module, _, short = name.partition("/")
    relu = f"{module}/relu_{short.removesuffix('_s2')}"
    n[relu] = L.ReLU(n[name], in_place=True)
    return n[relu]


def _inception(n: NetSpec, name: str, bottom: Top) -> Top:
    one, reduce3, three, reduce5, five, projection = INCEPTION[name]
    module = f"inception_{name}"
    parts = [_conv(n, f"{module}/1x1", bottom, one, 1)]
    for size, reduced, wide in ((3, reduce3, three), (5, reduce5, five)):
        narrow = _conv(n, f"{module}/{size}x{size}_reduce", bottom, reduced, 1)
        parts.append(_conv(n, f"{module}/{size}x{size}", narrow, wide, size, pad=size // 2))
    n[f"{module}/pool"] = max_pool(bottom, stride=1, pad=1)
    parts.append(_conv(n, f"{module}/pool_proj", n[f"{module}/pool"], projection, 1))
    n[f"{module}/output"] = L.Concat(*parts)
    return n[f"{module}/output"]


def _stem(n: NetSpec) -> Top:
    x = _conv(n, "conv1/7x7_s2", n.data, 64, 7, pad=3, stride=2)
    n["pool1/3x3_s2"] = max_pool(x)
    n["pool1/norm1"] = _norm(n["pool1/3x3_s2"])
    x = _conv(n, "conv2/3x3_reduce", n["pool1/norm1"], 64, 1)
    n["conv2/norm2"] = _norm(_conv(n, "conv2/3x3", x, 192, 3, pad=1))
    n["pool2/3x3_s2"] = max_pool(n["conv2/norm2"])
    return n["pool2/3x3_s2"]


def _norm(bottom: Top) -> Any:
    return L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)


def _body(n: NetSpec, *, auxiliary: bool) -> Top:
    """Add the layers up to the scores, with the two auxiliary losses or without."""
    x = _stem(n)
    for name in INCEPTION:
        if name in ("4a", "5a"):
            pool = f"pool{int(name[0]) - 1}/3x3_s2"
            n[pool] = max_pool(x)
            x = n[pool]
        x = _inception(n, name, x)
        if auxiliary and name in ("4a", "4d"):
            _auxiliary_loss(n, "loss1" if name == "4a" else "loss2", x)
    n["pool5/7x7_s1"] = average_pool(x, kernel_size=7, stride=1)
    n["pool5/drop_7x7_s1"] = L.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    return _classifier(n, "loss3", n["pool5/drop_7x7_s1"])


def _auxiliary_loss(n: NetSpec, name: str, bottom: Top) -> None:
    n[f"{name}/ave_pool"] = average_pool(bottom, kernel_size=5, stride=3)
    x = _conv(n, f"{name}/conv", n[f"{name}/ave_pool"], 128, 1)
    n[f"{name}/fc"] = L.InnerProduct(
        x, param=LEARNT, num_output=1024, weight_filler=XAVIER, bias_filler=constant(0.2)
    )
    n[f"{name}/relu_fc"] = L.ReLU(n[f"{name}/fc"], in_place=True)
    n[f"{name}/drop_fc"] = L.Dropout(n[f"{name}/relu_fc"], dropout_ratio=0.7, in_place=True)
    scores = _classifier(n, name, n[f"{name}/drop_fc"])
    n[f"{name}/{name}"] = L.SoftmaxWithLoss(scores, n.label, name=f"{name}/loss", loss_weight=0.3)
    _accuracies(n, name, scores)


def _classifier(n: NetSpec, name: str, bottom: Top) -> Top:
    n[f"{name}/classifier"] = L.InnerProduct(
        bottom, param=LEARNT, num_output=1000, weight_filler=XAVIER, bias_filler=constant()
    )
    return n[f"{name}/classifier"]


def _accuracies(n: NetSpec, name: str, scores: Top) -> None:
    for k in (1, 5):
        n[f"{name}/top-{k}"] = L.Accuracy(scores, n.label, top_k=k, include={"phase": TEST})


def _loss(n: NetSpec, scores: Top) -> None:
    n["loss3/loss3"] = L.SoftmaxWithLoss(scores, n.label, loss_weight=1)
    _accuracies(n, "loss3", scores)


DEFINITIONS.add(
    "googlenet",
    Definition(
        partial(deploy, "GoogleNet", (10, 3, 224, 224), partial(_body, auxiliary=False), softmax),
        partial(
            train_val,
            "GoogleNet",
            ilsvrc({"crop_size": 224, "mean_value": [104, 117, 123]}),
            partial(_body, auxiliary=True),
            _loss,
        ),
        # The published weights were trained with this quick schedule, of 60 epochs.
        SolverParameter(
            net="train_val.prototxt",
            test_iter=[1000],
            test_interval=4000,
            test_initialization=False,
            display=40,
            average_loss=40,
            base_lr=0.01,
            lr_policy="poly",
            power=0.5,
            max_iter=2_400_000,
            momentum=0.9,
            weight_decay=2e-4,
            snapshot=40_000,
            snapshot_prefix="bvlc_googlenet_quick",
        ),
    ),
)
