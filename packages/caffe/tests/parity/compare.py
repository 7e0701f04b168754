"""The same net in both engines: run ours, and measure the difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

import caffe
from caffe.proto.caffe_pb2 import NetParameter
from tests.parity.real_caffe import RealCaffe

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Differences:
    """The largest relative differences of a run; None if nothing of that kind was compared.

    Parameters
    ----------
    forward : float or None
        Of activations, losses and weights.
    backward : float or None
        Of gradients.
    """

    forward: float | None = None
    backward: float | None = None

    def __or__(self, other: "Differences") -> "Differences":
        """Return the elementwise maximum."""
        return Differences(
            _larger(self.forward, other.forward), _larger(self.backward, other.backward)
        )

    @property
    def largest(self) -> float:
        return max(self.forward or 0.0, self.backward or 0.0)


def _larger(one: float | None, other: float | None) -> float | None:
    return max((x for x in (one, other) if x is not None), default=None)


def parse(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


def ours(
    net: caffe.Net,
    inputs: Mapping[str, NDArray[Any]],
    diffs: Mapping[str, NDArray[Any]] | None = None,
    *,
    backward: bool = True,
) -> Arrays:
    """Run our net once; return all its arrays, named as `RealCaffe` names them."""
    for name, values in inputs.items():
        net.blobs[name].data[...] = values
    net.forward()
    if backward:
        for name, values in (diffs or {}).items():
            net.blobs[name].diff[...] = values
        net.backward()
    return state(net)


def state(net: caffe.Net) -> Arrays:
    """Return all arrays of a net."""
    arrays = {}
    for name, blob in net.blobs.items():
        arrays[f"data/{name}"] = blob.data.copy()
        arrays[f"diff/{name}"] = blob.diff.copy()
    for layer, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            arrays[f"param/{layer}/{i}"] = blob.data.copy()
            arrays[f"param_diff/{layer}/{i}"] = blob.diff.copy()
    return arrays


def params(net: caffe.Net) -> Arrays:
    """Return the parameters of a net, by ``<layer>/<i>``."""
    return {
        f"{layer}/{i}": blob.data.copy()
        for layer, blobs in net.params.items()
        for i, blob in enumerate(blobs)
    }


def relative_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference of two arrays, relative to the largest expected value.

    Infinities and NaN must be equal and at the same positions.
    """
    odd = ~np.isfinite(expected)
    if not np.array_equal(found[odd], expected[odd], equal_nan=True):
        return np.inf
    found, expected = found[~odd], expected[~odd]
    if not expected.size:
        return 0.0
    scale = float(np.abs(expected).max())
    return float(np.abs(found - expected).max()) / (scale or 1.0)


def assert_equal(found: Arrays, expected: Arrays, tolerance: float) -> Differences:
    """Check names, shapes and values of all arrays; return the largest relative differences."""
    assert set(found) == set(expected)
    largest = Differences()
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        assert found[name].dtype == values.dtype, name
        difference = relative_difference(found[name], values)
        assert difference <= tolerance, f"{name}: relative difference {difference:.2g}"
        backward = name.startswith(("diff/", "param_diff/"))
        largest |= Differences(*((None, difference) if backward else (difference, None)))
    return largest


def check_net(
    real: RealCaffe,
    text: str,
    inputs: Mapping[str, NDArray[Any]],
    diffs: Mapping[str, NDArray[Any]] | None = None,
    *,
    phase: int = caffe.TRAIN,
    tolerance: float = 1e-5,
    seed: int = 1,
) -> Differences:
    """Run a net with our random weights in both engines, forward and backward, and compare.

    Returns
    -------
    Differences
        The largest of any activation, loss or weight, and of any gradient; `measured` takes it.
    """
    caffe.set_random_seed(seed)
    net = caffe.Net(parse(text), phase)
    weights = params(net)
    found = ours(net, inputs, diffs)
    expected = real.forward_backward(text, inputs, weights, diffs, phase=phase)
    return assert_equal(found, expected, tolerance)
