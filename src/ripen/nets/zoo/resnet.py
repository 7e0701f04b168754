"""ResNet-50 (He, Zhang, Ren and Sun, 2016): each block adds a residual to its input.

A block narrows its channels, filters them, and widens them again. The BatchNorm layers use their
stored mean and variance, in fine-tuning too, as the authors of the net advise.
"""

from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.nets.definition import (
    DEFINITIONS,
    LEARNT,
    average_pool,
    classifier,
    constant,
    gaussian,
    ilsvrc,
    max_pool,
)

TITLE = "ResNet-50"
# Number of blocks and narrow channels of each stage; a block outputs four times as many channels.
STAGES = {2: (3, 64), 3: (4, 128), 4: (6, 256), 5: (3, 512)}
MEAN = [103.0626, 115.9029, 123.1516]
FROZEN = [{"lr_mult": 0, "decay_mult": 0}] * 3


def _conv(
    n: NetSpec, name: str, bottom: Top, num_output: int, size: int, *, relu: bool, **more: Any
) -> Top:
    """Add a convolution, its BatchNorm and Scale: `res2a_branch1`, `bn2a_...`, `scale2a_...`."""
    first = name == "conv1"
    bias = {"bias_filler": constant()} if first else {"bias_term": False}
    n[name] = L.Convolution(
        bottom,
        param=LEARNT if first else LEARNT[:1],
        num_output=num_output,
        kernel_size=size,
        weight_filler={"type": "msra"},
        **bias,
        **more,
    )
    rest = f"_{name}" if first else name.removeprefix("res")
    n[f"bn{rest}"] = L.BatchNorm(n[name], param=FROZEN, use_global_stats=True, in_place=True)
    n[f"scale{rest}"] = L.Scale(n[f"bn{rest}"], bias_term=True, in_place=True)
    if not relu:
        return n[f"scale{rest}"]
    n[f"{name}_relu"] = L.ReLU(n[f"scale{rest}"], in_place=True)
    return n[f"{name}_relu"]


def _block(n: NetSpec, name: str, bottom: Top, narrow: int, stride: int, first: bool) -> Top:
    shortcut = bottom
    if first:
        settings: dict[str, Any] = {"stride": stride, "relu": False}
        shortcut = _conv(n, f"{name}_branch1", bottom, 4 * narrow, 1, **settings)
    x = _conv(n, f"{name}_branch2a", bottom, narrow, 1, stride=stride, relu=True)
    x = _conv(n, f"{name}_branch2b", x, narrow, 3, pad=1, relu=True)
    x = _conv(n, f"{name}_branch2c", x, 4 * narrow, 1, relu=False)
    n[name] = L.Eltwise(shortcut, x)
    n[f"{name}_relu"] = L.ReLU(n[name], in_place=True)
    return n[f"{name}_relu"]


def _body(n: NetSpec) -> Top:
    n.pool1 = max_pool(_conv(n, "conv1", n.data, 64, 7, pad=3, stride=2, relu=True))
    x = n.pool1
    for stage, (count, narrow) in STAGES.items():
        for number in range(count):
            name, first = f"res{stage}{'abcdef'[number]}", number == 0
            x = _block(n, name, x, narrow, 2 if first and stage > 2 else 1, first)
    n.pool5 = average_pool(x, kernel_size=7, stride=1)
    filled = {"weight_filler": gaussian(0.01), "bias_filler": constant()}
    n.fc1000 = L.InnerProduct(n.pool5, param=LEARNT, num_output=1000, **filled)
    return n.fc1000


DEFINITIONS.add(
    "resnet50",
    classifier(TITLE, (1, 3, 224, 224), _body, ilsvrc({"crop_size": 224, "mean_value": MEAN})),
)
