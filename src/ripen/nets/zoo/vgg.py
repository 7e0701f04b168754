"""VGG-16 (Simonyan and Zisserman, 2015): thirteen 3x3 convolutions, three dense layers."""

from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.nets.definition import (
    DEFINITIONS,
    LEARNT,
    classifier,
    constant,
    gaussian,
    ilsvrc,
    max_pool,
)

TITLE = "VGG_ILSVRC_16_layers"
# Channels and number of convolutions of each stage; max pooling ends a stage.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
MEAN = [103.939, 116.779, 123.68]
FILLED: dict[str, Any] = {"param": LEARNT, "bias_filler": constant()}


def _dense(n: NetSpec, bottom: Top, stage: int) -> Top:
    n[f"fc{stage}"] = L.InnerProduct(
        bottom, num_output=4096, weight_filler=gaussian(0.005), **FILLED
    )
    n[f"relu{stage}"] = L.ReLU(n[f"fc{stage}"], in_place=True)
    n[f"drop{stage}"] = L.Dropout(n[f"relu{stage}"], dropout_ratio=0.5, in_place=True)
    return n[f"drop{stage}"]


def _body(n: NetSpec) -> Top:
    x = n.data
    for stage, (channels, count) in enumerate(STAGES, 1):
        for number in range(1, count + 1):
            name = f"{stage}_{number}"
            n[f"conv{name}"] = L.Convolution(
                x,
                num_output=channels,
                pad=1,
                kernel_size=3,
                weight_filler={"type": "msra"},
                **FILLED,
            )
            n[f"relu{name}"] = x = L.ReLU(n[f"conv{name}"], in_place=True)
        n[f"pool{stage}"] = x = max_pool(x, kernel_size=2)
    x = _dense(n, _dense(n, x, 6), 7)
    n.fc8 = L.InnerProduct(x, num_output=1000, weight_filler=gaussian(0.01), **FILLED)
    return n.fc8


DEFINITIONS.add(
    "vgg16",
    classifier(TITLE, (10, 3, 224, 224), _body, ilsvrc({"crop_size": 224, "mean_value": MEAN})),
)
