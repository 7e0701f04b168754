"""The nets of the speed benchmark, in the sizes of Caffe's model zoo: scores above `n.data`.

Weights are random, so fillers are plain; what counts is the arithmetic of each layer.
"""

from collections.abc import Callable

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top

FILLED = {"weight_filler": {"type": "xavier"}}
# Channels after each squeeze; either expansion has four times as many.
FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}


def _conv(n: NetSpec, name: str, bottom: Top, num_output: int, size: int, **more: int) -> Top:
    n[name] = L.Convolution(bottom, num_output=num_output, kernel_size=size, **FILLED, **more)
    n[f"relu_{name}"] = L.ReLU(n[name], in_place=True)
    return n[f"relu_{name}"]


def _dense(n: NetSpec, name: str, bottom: Top, num_output: int) -> Top:
    n[name] = L.InnerProduct(bottom, num_output=num_output, **FILLED)
    n[f"relu_{name}"] = L.ReLU(n[name], in_place=True)
    return n[f"relu_{name}"]


def _max_pool(n: NetSpec, name: str, bottom: Top, size: int = 3) -> Top:
    n[name] = L.Pooling(bottom, pool=0, kernel_size=size, stride=2)
    return n[name]


def lenet(n: NetSpec) -> Top:
    n.conv1 = L.Convolution(n.data, num_output=20, kernel_size=5, **FILLED)
    n.conv2 = L.Convolution(
        _max_pool(n, "pool1", n.conv1, 2), num_output=50, kernel_size=5, **FILLED
    )
    x = _dense(n, "ip1", _max_pool(n, "pool2", n.conv2, 2), 500)
    n.ip2 = L.InnerProduct(x, num_output=10, **FILLED)
    return n.ip2


def caffenet(n: NetSpec) -> Top:
    x = _max_pool(n, "pool1", _conv(n, "conv1", n.data, 96, 11, stride=4))
    n.norm1 = L.LRN(x, local_size=5, alpha=1e-4, beta=0.75)
    x = _max_pool(n, "pool2", _conv(n, "conv2", n.norm1, 256, 5, pad=2, group=2))
    n.norm2 = L.LRN(x, local_size=5, alpha=1e-4, beta=0.75)
    x = _conv(n, "conv3", n.norm2, 384, 3, pad=1)
    x = _conv(n, "conv4", x, 384, 3, pad=1, group=2)
    x = _max_pool(n, "pool5", _conv(n, "conv5", x, 256, 3, pad=1, group=2))
    for name in ("6", "7"):
        n[f"drop{name}"] = L.Dropout(_dense(n, f"fc{name}", x, 4096), in_place=True)
        x = n[f"drop{name}"]
    n.fc8 = L.InnerProduct(x, num_output=1000, **FILLED)
    return n.fc8


def squeezenet(n: NetSpec) -> Top:
    """SqueezeNet 1.0."""
    x = _conv(n, "conv1", n.data, 96, 7, stride=2)
    for number, squeezed in FIRES.items():
        if number in (2, 5, 9):
            x = _max_pool(n, f"pool{number - 1}", x)
        fire = f"fire{number}"
        x = _conv(n, f"{fire}/squeeze", x, squeezed, 1)
        narrow = _conv(n, f"{fire}/1x1", x, 4 * squeezed, 1)
        wide = _conv(n, f"{fire}/3x3", x, 4 * squeezed, 3, pad=1)
        n[f"{fire}/concat"] = L.Concat(narrow, wide)
        x = n[f"{fire}/concat"]
    n.drop9 = L.Dropout(x, in_place=True)
    # The pad of 1 around a 1x1 window is the published net's own.
    x = _conv(n, "conv10", n.drop9, 1000, 1, pad=1)
    n.pool10 = L.Pooling(x, pool=1, global_pooling=True)
    return n.pool10


# By name: the shape of an item, and a function that adds the layers up to the scores.
NETS: dict[str, tuple[tuple[int, int, int], Callable[[NetSpec], Top]]] = {
    "caffenet": ((3, 227, 227), caffenet),
    "lenet": ((1, 28, 28), lenet),
    "squeezenet": ((3, 227, 227), squeezenet),
}
