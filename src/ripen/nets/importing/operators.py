"""What each of PyTorch's operators is in layers of Caffe 1.0: linear ones, joins, shapes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from torch.fx import Node

from caffe.proto.caffe_pb2 import EltwiseParameter
from ripen.nets.importing import activations, windows
from ripen.nets.importing.trace import Map, Trace, arguments, operator, shape

Arguments = dict[str, Any]
Writer = Callable[[Trace, Node, Arguments], str | Map]


def write(trace: Trace, node: Node) -> None:
    """Write an operator's layers.

    Raises
    ------
    UsageError
        If Caffe has none for it.
    """
    writer = WRITERS.get(operator(node))
    if writer is None:
        raise trace.unsupported(node, f"does {node.target}", ", ".join(sorted(WRITERS)))
    given = arguments(node)
    schema: Any = getattr(node.target, "_schema")  # noqa: B009 - mypy knows no such attribute
    changed = node.args[0] if schema.is_mutable else None
    trace.give(node, writer(trace, node, given), changed if isinstance(changed, Node) else None)


def _linear(trace: Trace, node: Node, given: Arguments) -> str:
    if len(shape(given["input"])) != 2:
        raise trace.unsupported(node, f"takes {shape(given['input'])}", "rows of numbers (N, C)")
    weights = [trace.array(node, given[k]) for k in ("weight", "bias") if given[k] is not None]
    settings = {"num_output": len(weights[0])} | ({} if len(weights) > 1 else {"bias_term": False})
    bottoms = [trace.top(node, given["input"])]
    return trace.add(node, "InnerProduct", bottoms, *weights, inner_product_param=settings)


def _batch_norm(trace: Trace, node: Node, given: Arguments) -> str:
    if given["training"] or given["running_mean"] is None:
        raise trace.unsupported(node, "follows its batch", "a mean and a variance that are stored")
    mean, variance = (trace.array(node, given[key]) for key in ("running_mean", "running_var"))
    plain = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)}
    scale = [plain[key] if given[key] is None else trace.array(node, given[key]) for key in plain]
    top = trace.top(node, given["input"])
    settings = {"eps": given["eps"]}
    # The third is what Caffe divides the two others by.
    blobs = (mean, variance, np.ones(1))
    top = trace.add(node, "BatchNorm", [top], *blobs, batch_norm_param=settings)
    return trace.add(node, "Scale", [top], *scale, part="scale", scale_param={"bias_term": True})


def _add(trace: Trace, node: Node, given: Arguments, sign: int = 1) -> str:
    one, other, factor = given["self"], given["other"], sign * given.get("alpha", 1)
    if not isinstance(other, Node):
        return _power(trace, node, one, shift=factor * other)
    tops = _alike(trace, node, one, other)
    coefficients = {"coeff": [1, factor]} if factor != 1 else {}
    return trace.add(node, "Eltwise", tops, eltwise_param=coefficients)


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
    """Multiply each map by a number of its own, as squeeze-and-excitation does."""
    rows = trace.add(node, "Flatten", [trace.top(node, factors)], part="factors")
    return trace.add(node, "Scale", [trace.top(node, maps), rows], scale_param={"axis": 0})


def _divide(trace: Trace, node: Node, given: Arguments) -> str:
    if isinstance(given["other"], Node) or given.get("rounding_mode"):
        raise trace.unsupported(node, "divides", "a division by a number")
    return _power(trace, node, given["self"], scale=1 / given["other"])


def _power(trace: Trace, node: Node, bottom: Any, **settings: float) -> str:
    return trace.add(node, "Power", [trace.top(node, bottom)], power_param=settings)


def _alike(trace: Trace, node: Node, *given: Any) -> list[str]:
    """Return the tops of maps that must have one shape."""
    sizes = {shape(each) for each in given}
    if len(sizes) > 1:
        names = " and ".join(map(str, sorted(sizes)))
        raise trace.unsupported(node, f"joins {names}", "maps of one shape")
    return [trace.top(node, each) for each in given]


def _concat(trace: Trace, node: Node, given: Arguments) -> str:
    tops = [trace.top(node, each) for each in given["tensors"]]
    axis = given["dim"] % len(shape(node))
    return trace.add(node, "Concat", tops, concat_param={"axis": axis})


def _reshape(trace: Trace, node: Node, given: Arguments) -> str | Map:
    """Make rows of maps, or the same shape."""
    before, after = shape(given["self"]), shape(node)
    if before == after:
        return trace.map(given["self"])
    if len(after) != 2 or before[0] != after[0]:
        raise trace.unsupported(node, f"makes {before} {after}", "rows (N, C*H*W) of (N, C, H, W)")
    return trace.add(node, "Flatten", [trace.top(node, given["self"])])


def _dropout(trace: Trace, node: Node, given: Arguments) -> str | Map:
    bottom = node.args[0]  # which has one name in place, and another not in place
    if not given["p"]:
        return trace.map(bottom)
    settings = {"dropout_ratio": given["p"]}
    return trace.add(node, "Dropout", [trace.top(node, bottom)], dropout_param=settings)


def _same(trace: Trace, node: Node, given: Arguments) -> Map:
    return trace.map(given["self"])


WRITERS: Mapping[str, Writer] = {
    "linear": _linear,
    "batch_norm": _batch_norm,
    "add": _add,
    "sub": partial(_add, sign=-1),
    "mul": _multiply,
    "div": _divide,
    "cat": _concat,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "_unsafe_view"), _reshape),
    **dict.fromkeys(("dropout", "feature_dropout"), _dropout),
    **dict.fromkeys(("alias", "clone", "contiguous", "detach"), _same),
    **windows.WRITERS,
    **activations.WRITERS,
}
