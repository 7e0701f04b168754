"""Weights as Deep Compression (Han, Mao and Dally, 2016) stores them: pruned and quantized.

A file, all little-endian: the number of stored entries of each layer (uint32); then for each layer
a codebook (256 float32), the bias (float32 for each output), an index into the codebook for each
entry (uint8), and the gaps between entries (4 bits each, two to a byte, the low half first). The
running sum of (gap + 1), less 1, is an entry's position in the flattened weight; what no position
names is the codebook's first number.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.net import Net
from ripen.core.errors import DataError

CODEBOOK = 256


def decode(content: bytes, net: Net, source: str) -> None:
    """Fill a net's weights and biases, layer by layer in the net's order.

    Parameters
    ----------
    content : bytes
        The file.
    net : Net
        Every layer that learns has a weight and a bias.
    source : str
        Names the file in errors.

    Raises
    ------
    DataError
        If the file ends early, goes on after the last layer, or names a place outside a weight.
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
                f"{source}: an entry of {name} is at {positions[-1]}; its weight of shape "
                f"{tuple(weight.shape)} has {weight.count} places"
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
                f"{self._source}: ends in {what}: {size} bytes are needed, {len(self._rest)} left"
            )
        part, self._rest = self._rest[:size], self._rest[size:]
        return np.frombuffer(part, dtype)

    def end(self) -> None:
        if len(self._rest):
            raise DataError(f"{self._source}: goes on for {len(self._rest)} bytes after its end")
