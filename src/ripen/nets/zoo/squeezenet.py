"""SqueezeNet v1.0 (Iandola et al., 2016): AlexNet's accuracy with a fiftieth of its weights.

A fire module squeezes its input to few channels and expands these by 1x1 and 3x3 windows side by
side. The net has no fully connected layer: it accepts images of any size from about 80 pixels up.

The weights are published as Deep Compression stores them (Han, Mao and Dally, 2016): pruned and
quantized. The file is little-endian. It begins with the number of stored entries of each layer
(uint32). For each layer follow a codebook (256 float32), the bias (float32 for each output), for
each entry an index into the codebook (uint8), and the gaps between entries (4 bits each, two to a
byte, the low half first). The running sum of (gap + 1), less 1, is an entry's position in the
flattened weight. Positions without an entry hold the first number of the codebook.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe import NetSpec
from caffe import layers as L
from caffe.net import Net
from caffe.net_spec import Top
from ripen.core.errors import DataError
from ripen.nets.definition import (
    DEFINITIONS,
    XAVIER,
    Decoder,
    Definition,
    average_pool,
    deploy,
    gaussian,
    ilsvrc,
    max_pool,
    softmax,
    train_val,
)

# Channels after each squeeze; each of the two expansions has four times as many.
SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
MEAN = [104, 117, 123]
CODEBOOK = 256


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
    # A pad of 1 around a 1x1 window makes no sense, but the published net has it.
    x = _conv(n, "conv_final", n.drop9, 1000, 1, pad=1, weight_filler=gaussian(0.01))
    n.pool_final = average_pool(x, global_pooling=True)
    return n.pool_final


def _losses(n: NetSpec, scores: Top) -> None:
    n.loss = L.SoftmaxWithLoss(scores, n.label)
    for k in (1, 5):
        n[f"accuracy_top{k}"] = L.Accuracy(scores, n.label, top_k=k)


def decode(content: bytes, net: Net, source: str) -> None:
    """Fill the weights and biases of a net, layer by layer in the net's order.

    Parameters
    ----------
    content : bytes
        A file of Deep Compression.
    net : Net
        Every layer with parameters has a weight and a bias.
    source : str
        Name of the file in errors.

    Raises
    ------
    DataError
        If the file is truncated, has bytes after its last layer, or has an entry beyond the end of
        a weight.
    """
    layers = list(net.params.items())
    reader = _Reader(content, source)
    counts = reader.take("<u4", len(layers), "the numbers of entries")
    for (name, (weight, bias)), count in zip(layers, counts.tolist(), strict=True):
        codebook = reader.take("<f4", CODEBOOK, f"the codebook of {name}")
        bias.data[...] = reader.take("<f4", bias.count, f"the bias of {name}")
        indices = reader.take("u1", count, f"the indices of {name}")
        packed = reader.take("u1", (count + 1) // 2, f"the gaps of {name}")
        gaps = np.stack([packed & 0xF, packed >> 4], axis=1).reshape(-1)[:count]
        positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
        if count and positions[-1] >= weight.count:
            raise DataError(
                f"{source}: {name} has an entry at position {positions[-1]}; its weight of shape "
                f"{tuple(weight.shape)} has {weight.count} positions"
            )
        flat = np.full(weight.count, codebook[0], np.float32)
        flat[positions] = codebook[indices]
        weight.data[...] = flat.reshape(weight.data.shape)
    reader.end()


class _Reader:
    """Takes arrays from the front of a file's content."""

    def __init__(self, content: bytes, source: str) -> None:
        self._rest = memoryview(content)
        self._source = source

    def take(self, dtype: str, count: int, what: str) -> NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        if size > len(self._rest):
            raise DataError(
                f"{self._source}: truncated in {what}: {size} bytes expected, "
                f"{len(self._rest)} found"
            )
        part, self._rest = self._rest[:size], self._rest[size:]
        return np.frombuffer(part, dtype)

    def end(self) -> None:
        if len(self._rest):
            raise DataError(f"{self._source}: {len(self._rest)} bytes after its last layer")


DEFINITIONS.add(
    "squeezenet",
    Definition(
        partial(deploy, "FireNet", (1, 3, 227, 227), _body, softmax),
        partial(
            train_val,
            "FireNet",
            ilsvrc(
                {"crop_size": 227, "mean_value": MEAN},
                database="/ssd/dataset/ilsvrc12_{part}_lmdb/",
            ),
            _body,
            _losses,
        ),
        decoder=Decoder("deep_compression", decode, ".net"),
    ),
)
