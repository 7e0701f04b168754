"""SqueezeNet v1.0 (Iandola et al., 2016): AlexNet's accuracy with a fiftieth of its weights.

A fire module squeezes its input to few channels and expands these by 1x1 and 3x3 windows side by
side. The net has no layer of weighted sums: any picture from about 80 pixels up goes through.
"""

from functools import partial
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.nets.zoo.definition import (
    XAVIER,
    Definition,
    average_pool,
    deploy,
    gaussian,
    ilsvrc,
    max_pool,
    softmax,
    train_val,
)

# Channels after the squeeze; each expansion has four times as many.
SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
MEAN = [104, 117, 123]


def _conv(n: NetSpec, name: str, bottom: Top, num_output: int, size: int, **more: Any) -> Top:
    settings = {"kernel_size": size, "weight_filler": XAVIER} | more
    n[name] = L.Convolution(bottom, num_output=num_output, **settings)
    folder, _, short = name.rpartition("/")
    relu = f"{folder}/relu_{short}" if folder else f"relu_{short}"
    n[relu] = L.ReLU(n[name], in_place=True)
    return n[relu]


def _fire(n: NetSpec, number: int, bottom: Top) -> Top:
    name, squeezed = f"fire{number}", SQUEEZED[number]
    squeeze = _conv(n, f"{name}/conv1x1_1", bottom, squeezed, 1)
    narrow = _conv(n, f"{name}/conv1x1_2", squeeze, 4 * squeezed, 1)
    wide = _conv(n, f"{name}/conv3x3_2", squeeze, 4 * squeezed, 3, pad=1)
    n[f"{name}/concat"] = L.Concat(narrow, wide)
    return n[f"{name}/concat"]


def _body(n: NetSpec) -> Top:
    x = _conv(n, "conv1", n.data, 96, 7, stride=2)
    for number in SQUEEZED:
        if number in (2, 5, 9):
            pool = f"pool{number - 1}"
            n[pool] = max_pool(x)
            x = n[pool]
        x = _fire(n, number, x)
    n.drop9 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    # The pad of 1 about a 1x1 window is the published net's own.
    x = _conv(n, "conv_final", n.drop9, 1000, 1, pad=1, weight_filler=gaussian(0.01))
    n.pool_final = average_pool(x, global_pooling=True)
    return n.pool_final


def _losses(n: NetSpec, scores: Top) -> None:
    n.loss = L.SoftmaxWithLoss(scores, n.label)
    for k in (1, 5):
        n[f"accuracy_top{k}"] = L.Accuracy(scores, n.label, top_k=k)


squeezenet = Definition(
    partial(deploy, "FireNet", (1, 3, 227, 227), _body, softmax),
    partial(
        train_val,
        "FireNet",
        ilsvrc(
            {"crop_size": 227, "mean_value": MEAN}, database="/ssd/dataset/ilsvrc12_{part}_lmdb/"
        ),
        _body,
        _losses,
    ),
)
