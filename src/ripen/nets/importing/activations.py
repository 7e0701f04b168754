"""Operators that change each number by itself, and softmax."""

from collections.abc import Callable, Mapping
from typing import Any

from torch.fx import Node

from caffe.proto.caffe_pb2 import EltwiseParameter
from ripen.nets.importing.trace import Trace, shape

Arguments = dict[str, Any]


def _relu(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "ReLU", [trace.top(node, given["self"])])


def _leaky_relu(trace: Trace, node: Node, given: Arguments) -> str:
    settings = {"negative_slope": given["negative_slope"]}
    return trace.add(node, "ReLU", [trace.top(node, given["self"])], relu_param=settings)


def _sigmoid(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "Sigmoid", [trace.top(node, given["self"])])


def _tanh(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "TanH", [trace.top(node, given["self"])])


def _hardtanh(trace: Trace, node: Node, given: Arguments) -> str:
    """Write ReLU6, and others that clamp between 0 and a bound."""
    low, high = (given.get(key, given.get(other)) for key, other in _BOUNDS)
    if low != 0 or (high is not None and high <= 0):
        raise trace.unsupported(node, f"clamps to ({low}, {high})", "from 0 to a positive number")
    top = trace.top(node, given["self"])
    return trace.add(node, "ReLU", [top]) if high is None else _clamp(trace, node, top, high)


_BOUNDS = (("min_val", "min"), ("max_val", "max"))


def _relu6(trace: Trace, node: Node, given: Arguments) -> str:
    return _clamp(trace, node, trace.top(node, given["self"]), 6)


def _clamp(trace: Trace, node: Node, top: str, bound: float) -> str:
    """Write min(max(x, 0), bound) as relu(bound - relu(bound - x)); see `zoo.definition.relu6`."""
    mirror = {"scale": -1, "shift": bound}
    top = trace.add(node, "Power", [top], part="below", power_param=mirror)
    top = trace.add(node, "ReLU", [top], part="relu_below")
    top = trace.add(node, "Power", [top], part="clamped", power_param=mirror)
    return trace.add(node, "ReLU", [top])


def _silu(trace: Trace, node: Node, given: Arguments) -> str:
    top = trace.top(node, given["self"])
    return _product(trace, node, top, trace.add(node, "Sigmoid", [top], part="sigmoid"))


def _hardswish(trace: Trace, node: Node, given: Arguments) -> str:
    top = trace.top(node, given["self"])
    return _product(trace, node, top, _gate(trace, node, top))


def _hardsigmoid(trace: Trace, node: Node, given: Arguments) -> str:
    return _gate(trace, node, trace.top(node, given["self"]))


def _gate(trace: Trace, node: Node, top: str) -> str:
    """Write relu6(x + 3) / 6, which is x / 6 + 1 / 2 clamped between 0 and 1."""
    line = {"scale": 1 / 6, "shift": 0.5}
    return _clamp(trace, node, trace.add(node, "Power", [top], part="line", power_param=line), 1)


def _product(trace: Trace, node: Node, *tops: str) -> str:
    return trace.add(
        node, "Eltwise", tops, part="product", eltwise_param={"operation": EltwiseParameter.PROD}
    )


def _softmax(trace: Trace, node: Node, given: Arguments) -> str:
    axis = given["dim"] % len(shape(node))
    settings = {} if axis == 1 else {"axis": axis}
    return trace.add(node, "Softmax", [trace.top(node, given["self"])], softmax_param=settings)


WRITERS: Mapping[str, Callable[[Trace, Node, Arguments], str]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "hardtanh": _hardtanh,
    "clamp": _hardtanh,
    "clamp_min": _hardtanh,
    "relu6": _relu6,
    "silu": _silu,
    "hardswish": _hardswish,
    "hardsigmoid": _hardsigmoid,
    "softmax": _softmax,
}
