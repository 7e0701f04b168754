"""Operators in layers of Caffe 1.0: linear ones, joins, shapes, and activations."""

from typing import Any

import numpy as np
from torch.fx import Node

from caffe.proto.caffe_pb2 import EltwiseParameter
from ripen.nets.importing.trace import Arguments, Map, Trace, shape, writes


@writes("linear")
def _linear(trace: Trace, node: Node, given: Arguments) -> str:
    if len(shape(given["input"])) != 2:
        raise trace.unsupported(node, f"takes {shape(given['input'])}", "rows of shape (N, C)")
    weights = [trace.array(node, given[k]) for k in ("weight", "bias") if given[k] is not None]
    settings = {"num_output": len(weights[0])} | ({} if len(weights) > 1 else {"bias_term": False})
    bottoms = [trace.top(node, given["input"])]
    return trace.add(node, "InnerProduct", bottoms, *weights, inner_product_param=settings)


@writes("batch_norm")
def _batch_norm(trace: Trace, node: Node, given: Arguments) -> str:
    if given["training"] or given["running_mean"] is None:
        raise trace.unsupported(node, "normalizes by its batch", "a stored mean and variance")
    mean, variance = (trace.array(node, given[key]) for key in ("running_mean", "running_var"))
    plain = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)}
    scale = [plain[key] if given[key] is None else trace.array(node, given[key]) for key in plain]
    top = trace.top(node, given["input"])
    settings = {"eps": given["eps"]}
    # Caffe divides the mean and the variance by the third blob.
    blobs = (mean, variance, np.ones(1))
    top = trace.add(node, "BatchNorm", [top], *blobs, batch_norm_param=settings)
    return trace.add(node, "Scale", [top], *scale, part="scale", scale_param={"bias_term": True})


@writes("add")
def _add(trace: Trace, node: Node, given: Arguments) -> str:
    return _sum(trace, node, given, 1)


@writes("sub")
def _subtract(trace: Trace, node: Node, given: Arguments) -> str:
    return _sum(trace, node, given, -1)


def _sum(trace: Trace, node: Node, given: Arguments, sign: int) -> str:
    one, other, factor = given["self"], given["other"], sign * given.get("alpha", 1)
    if not isinstance(other, Node):
        return _power(trace, node, one, shift=factor * other)
    tops = _alike(trace, node, one, other)
    coefficients = {"coeff": [1, factor]} if factor != 1 else {}
    return trace.add(node, "Eltwise", tops, eltwise_param=coefficients)


@writes("mul")
def _multiply(trace: Trace, node: Node, given: Arguments) -> str:
    one, other = given["self"], given["other"]
    if not isinstance(other, Node):
        return _power(trace, node, one, scale=other)
    if not isinstance(one, Node):
        return _power(trace, node, other, scale=one)
    sizes = shape(one), shape(other)
    if sizes[1] == (*sizes[0][:2], 1, 1) != sizes[0]:
        return _per_channel(trace, node, one, other)
    if sizes[0] == (*sizes[1][:2], 1, 1) != sizes[1]:
        return _per_channel(trace, node, other, one)
    tops = _alike(trace, node, one, other)
    return trace.add(node, "Eltwise", tops, eltwise_param={"operation": EltwiseParameter.PROD})


def _per_channel(trace: Trace, node: Node, maps: Node, factors: Node) -> str:
    """Multiply each map by one number, as in squeeze-and-excitation."""
    rows = trace.add(node, "Flatten", [trace.top(node, factors)], part="factors")
    return trace.add(node, "Scale", [trace.top(node, maps), rows], scale_param={"axis": 0})


@writes("div")
def _divide(trace: Trace, node: Node, given: Arguments) -> str:
    if isinstance(given["other"], Node) or given.get("rounding_mode"):
        raise trace.unsupported(node, "divides", "a division by a number")
    return _power(trace, node, given["self"], scale=1 / given["other"])


def _power(trace: Trace, node: Node, bottom: Any, **settings: float) -> str:
    return trace.add(node, "Power", [trace.top(node, bottom)], power_param=settings)


def _alike(trace: Trace, node: Node, *given: Any) -> list[str]:
    """Return the tops of maps that must have the same shape."""
    sizes = {shape(each) for each in given}
    if len(sizes) > 1:
        names = " and ".join(map(str, sorted(sizes)))
        raise trace.unsupported(node, f"combines {names}", "maps of the same shape")
    return [trace.top(node, each) for each in given]


@writes("cat")
def _concat(trace: Trace, node: Node, given: Arguments) -> str:
    tops = [trace.top(node, each) for each in given["tensors"]]
    axis = given["dim"] % len(shape(node))
    return trace.add(node, "Concat", tops, concat_param={"axis": axis})


@writes("flatten", "view", "reshape", "squeeze", "_unsafe_view")
def _reshape(trace: Trace, node: Node, given: Arguments) -> str | Map:
    """Flatten maps to rows, or leave the shape as it is."""
    before, after = shape(given["self"]), shape(node)
    if before == after:
        return trace.map(given["self"])
    if len(after) != 2 or before[0] != after[0]:
        raise trace.unsupported(node, f"reshapes {before} to {after}", "(N, C, H, W) to (N, C*H*W)")
    return trace.add(node, "Flatten", [trace.top(node, given["self"])])


@writes("dropout", "feature_dropout")
def _dropout(trace: Trace, node: Node, given: Arguments) -> str | Map:
    bottom = node.args[0]  # by position: the in-place operator names it otherwise
    if not given["p"]:
        return trace.map(bottom)
    settings = {"dropout_ratio": given["p"]}
    return trace.add(node, "Dropout", [trace.top(node, bottom)], dropout_param=settings)


@writes("alias", "clone", "contiguous", "detach")
def _same(trace: Trace, node: Node, given: Arguments) -> Map:
    return trace.map(given["self"])


@writes("relu")
def _relu(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "ReLU", [trace.top(node, given["self"])])


@writes("leaky_relu")
def _leaky_relu(trace: Trace, node: Node, given: Arguments) -> str:
    settings = {"negative_slope": given["negative_slope"]}
    return trace.add(node, "ReLU", [trace.top(node, given["self"])], relu_param=settings)


@writes("sigmoid")
def _sigmoid(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "Sigmoid", [trace.top(node, given["self"])])


@writes("tanh")
def _tanh(trace: Trace, node: Node, given: Arguments) -> str:
    return trace.add(node, "TanH", [trace.top(node, given["self"])])


@writes("hardtanh", "clamp", "clamp_min")
def _hardtanh(trace: Trace, node: Node, given: Arguments) -> str:
    """Write ReLU6 and other functions that clamp between 0 and a bound."""
    low, high = (given.get(key, given.get(other)) for key, other in _BOUNDS)
    if low != 0 or (high is not None and high <= 0):
        raise trace.unsupported(node, f"clamps to ({low}, {high})", "from 0 to a positive number")
    top = trace.top(node, given["self"])
    return trace.add(node, "ReLU", [top]) if high is None else _clamp(trace, node, top, high)


_BOUNDS = (("min_val", "min"), ("max_val", "max"))


@writes("relu6")
def _relu6(trace: Trace, node: Node, given: Arguments) -> str:
    return _clamp(trace, node, trace.top(node, given["self"]), 6)


def _clamp(trace: Trace, node: Node, top: str, bound: float) -> str:
    """Write min(max(x, 0), bound) as relu(bound - relu(bound - x)); see `definition.relu6`."""
    mirror = {"scale": -1, "shift": bound}
    top = trace.add(node, "Power", [top], part="below", power_param=mirror)
    top = trace.add(node, "ReLU", [top], part="relu_below")
    top = trace.add(node, "Power", [top], part="clamped", power_param=mirror)
    return trace.add(node, "ReLU", [top])


@writes("silu")
def _silu(trace: Trace, node: Node, given: Arguments) -> str:
    top = trace.top(node, given["self"])
    return _product(trace, node, top, trace.add(node, "Sigmoid", [top], part="sigmoid"))


@writes("hardswish")
def _hardswish(trace: Trace, node: Node, given: Arguments) -> str:
    top = trace.top(node, given["self"])
    return _product(trace, node, top, _gate(trace, node, top))


@writes("hardsigmoid")
def _hardsigmoid(trace: Trace, node: Node, given: Arguments) -> str:
    return _gate(trace, node, trace.top(node, given["self"]))


def _gate(trace: Trace, node: Node, top: str) -> str:
    """Write relu6(x + 3) / 6, which equals x / 6 + 1 / 2 clamped between 0 and 1."""
    line = {"scale": 1 / 6, "shift": 0.5}
    return _clamp(trace, node, trace.add(node, "Power", [top], part="line", power_param=line), 1)


def _product(trace: Trace, node: Node, *tops: str) -> str:
    return trace.add(
        node, "Eltwise", tops, part="product", eltwise_param={"operation": EltwiseParameter.PROD}
    )


@writes("softmax")
def _softmax(trace: Trace, node: Node, given: Arguments) -> str:
    axis = given["dim"] % len(shape(node))
    settings = {} if axis == 1 else {"axis": axis}
    return trace.add(node, "Softmax", [trace.top(node, given["self"])], softmax_param=settings)
