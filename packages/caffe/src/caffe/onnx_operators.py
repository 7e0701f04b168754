"""Nodes of ONNX as layers: dense ones, norms, activations, arithmetic, joins and shapes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.formats import set_blob
from caffe.onnx_file import Array
from caffe.onnx_nodes import Graph, Map, Node, Result, Shape, writes
from caffe.proto.caffe_pb2 import (
    EltwiseParameter,
    LRNParameter,
    PoolingParameter,
    ReductionParameter,
)

HUGE = float(np.finfo(np.float32).max)


@writes("Identity", "Dropout", "Cast")
def _same(graph: Graph, node: Node) -> Map:
    if node.type == "Cast" and node.setting("to") != 1:  # TensorProto.FLOAT
        raise node.error("changes the type. Allowed: float32")
    return node.map()


_PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "Relu": ("ReLU", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Tanh": ("TanH", {}),
    "Softplus": ("BNLL", {}),
    "Abs": ("AbsVal", {}),
    "HardSwish": ("HardSwish", {}),
    "Mish": ("Mish", {}),
    "Erf": ("Erf", {}),
    "Exp": ("Exp", {}),
    "Log": ("Log", {}),
    "Neg": ("Power", {"power_param": {"scale": -1}}),
    "Sqrt": ("Power", {"power_param": {"power": 0.5}}),
    "Reciprocal": ("Power", {"power_param": {"power": -1}}),
}


@writes(*_PLAIN)
def _plain(graph: Graph, node: Node) -> str:
    kind, settings = _PLAIN[node.type]
    return graph.add(node, kind, [node.blob()], **settings)


@writes("LeakyRelu")
def _leaky_relu(graph: Graph, node: Node) -> str:
    settings = {"negative_slope": node.setting("alpha", 0.01)}
    return graph.add(node, "ReLU", [node.blob()], relu_param=settings)


@writes("Elu")
def _elu(graph: Graph, node: Node) -> str:
    return graph.add(node, "ELU", [node.blob()], elu_param={"alpha": node.setting("alpha", 1.0)})


@writes("PRelu")
def _prelu(graph: Graph, node: Node) -> str:
    slopes, shape = node.real(1), node.map().shape
    wide = (1,) * (len(shape) - slopes.ndim) + slopes.shape
    if slopes.size == 1:
        one = slopes.reshape(())
        return graph.add(node, "PReLU", [node.blob()], one, prelu_param={"channel_shared": True})
    if len(shape) < 2 or math.prod(wide) != wide[1] or wide[1] != shape[1]:
        raise node.error(f"has slopes of shape {slopes.shape}. Allowed: one, or one a channel")
    return graph.add(node, "PReLU", [node.blob()], slopes.reshape(-1))


@writes("Clip")
def _clip(graph: Graph, node: Node) -> str:
    bounds = []
    for i, (name, default) in enumerate((("min", -HUGE), ("max", HUGE)), 1):
        if i < len(node.maps) and node.maps[i] is not None:
            raise node.error(f"has a computed {name}. Allowed: a constant one")
        found = node.given(i)
        bounds.append(float(node.setting(name, default) if found is None else found.item()))
    if bounds == [0, HUGE]:
        return graph.add(node, "ReLU", [node.blob()])
    return _clamped(graph, node, node.blob(), bounds[0], bounds[1])


def _clamped(graph: Graph, node: Node, bottom: str, low: float, high: float, part: str = "") -> str:
    settings = {"min": low, "max": high}
    return graph.add(node, "Clip", [bottom], part=part, clip_param=settings)


@writes("HardSigmoid")
def _hard_sigmoid(graph: Graph, node: Node) -> str:
    line = {"scale": node.setting("alpha", 0.2), "shift": node.setting("beta", 0.5)}
    top = graph.add(node, "Power", [node.blob()], part="line", power_param=line)
    return _clamped(graph, node, top, 0, 1)


@writes("Gemm")
def _gemm(graph: Graph, node: Node) -> str:
    if node.setting("transA", 0):
        raise node.error("has a transposed input. Allowed: transA 0")
    weight = node.real(1) * node.setting("alpha", 1.0)
    weight = weight if node.setting("transB", 0) else weight.T
    bias = []
    if node.has(2):
        values = node.real(2) * node.setting("beta", 1.0)
        if values.size not in (1, len(weight)) or values.shape[:-1] not in ((), (1,)):
            raise node.error(f"adds values of shape {values.shape}. Allowed: one an output")
        bias = [np.broadcast_to(values.reshape(-1), len(weight))]
    settings = {"num_output": len(weight), "bias_term": bool(bias)}
    return graph.add(
        node, "InnerProduct", [node.blob()], weight, *bias, inner_product_param=settings
    )


@writes("MatMul")
def _matmul(graph: Graph, node: Node) -> str:
    """Write an InnerProduct where the right side is constant, else the product of two blobs."""
    if node.given(1) is None:
        if min(len(node.map(i).shape) for i in (0, 1)) < 2:
            raise node.error("multiplies by a vector. Allowed: matrices")
        return graph.add(node, "MatMul", [node.blob(0), node.blob(1)])
    weight, axes = node.array(1), len(node.map().shape)
    if weight.ndim != 2 or axes < 2:
        raise node.error(f"multiplies by {weight.shape}. Allowed: a constant matrix on the right")
    settings = {"num_output": weight.shape[1], "bias_term": False}
    if axes > 2:
        settings["axis"] = axes - 1
    return graph.add(node, "InnerProduct", [node.blob()], weight.T, inner_product_param=settings)


@writes("BatchNormalization")
def _batch_norm(graph: Graph, node: Node) -> str:
    if (
        node.setting("training_mode", 0)
        or not node.setting("spatial", 1)
        or len(node.map().shape) < 2
    ):
        raise node.error("normalizes by its batch or each position. Allowed: stored statistics")
    scale, shift, mean, variance = (node.array(i) for i in (1, 2, 3, 4))
    settings = {"eps": node.setting("epsilon", 1e-5)}
    # Caffe divides the mean and the variance by the third blob.
    blobs = mean, variance, np.ones(1)
    plain = bool((scale == 1).all() and not shift.any())
    part = "" if plain else "normalized"
    top = graph.add(node, "BatchNorm", [node.blob()], *blobs, part=part, batch_norm_param=settings)
    if plain:
        return top
    return graph.add(node, "Scale", [top], scale, shift, scale_param={"bias_term": True})


@writes("LRN")
def _lrn(graph: Graph, node: Node) -> str:
    settings = {
        "norm_region": LRNParameter.ACROSS_CHANNELS,
        "local_size": node.setting("size"),
        "alpha": node.setting("alpha", 1e-4),
        "beta": node.setting("beta", 0.75),
        "k": node.setting("bias", 1.0),
    }
    return graph.add(node, "LRN", [node.blob()], lrn_param=settings)


@writes("Softmax", "LogSoftmax")
def _softmax(graph: Graph, node: Node) -> str:
    shape, old = node.map().shape, node.version < 13
    axis = node.setting("axis", 1 if old else -1) % len(shape)
    if old and math.prod(shape[axis + 1 :]) > 1:
        raise node.error(f"sums over the axes {axis} to {len(shape) - 1}. Allowed: over one")
    log = node.type == "LogSoftmax"
    part = "softmax" if log else ""
    top = graph.add(node, "Softmax", [node.blob()], part=part, softmax_param={"axis": axis})
    return graph.add(node, "Log", [top]) if log else top


@writes("Add", "Sub", "Mul", "Div")
def _arithmetic(graph: Graph, node: Node) -> Result:
    """Write an operation on two blobs, or on a blob and a constant on either side."""
    one, other = (node.given(i) for i in (0, 1))
    bottom = node.blob(0) if one is None else node.blob(1)
    if one is None and other is None:
        return _of_two(graph, node)
    values = (node.real(1) if one is None else node.real(0)).copy()
    if node.type in ("Sub", "Div"):
        inverse = {"scale": -1} if node.type == "Sub" else {"power": -1}
        if one is None:
            with np.errstate(divide="ignore"):
                values = -values if node.type == "Sub" else 1 / values
        else:
            bottom = graph.add(node, "Power", [bottom], part="inverse", power_param=inverse)
    if not np.isfinite(values.astype(np.float32)).all():
        raise node.error("has a constant that is not finite in float32")
    shape = node.map(0 if one is None else 1).shape
    return _with_constant(graph, node, bottom, shape, values, node.type in ("Add", "Sub"))


def _with_constant(
    graph: Graph, node: Node, bottom: str, shape: Shape, values: Array, adds: bool
) -> Result:
    """Add a constant to a blob, or multiply by it."""
    if values.size == 1 and values.ndim <= len(shape):
        line = {"shift" if adds else "scale": float(values.item())}
        return graph.add(node, "Power", [bottom], power_param=line)
    wide = (1,) * (len(shape) - values.ndim) + values.shape
    if node.shape != shape or len(wide) > len(shape):
        raise node.error(
            f"combines {shape} and {values.shape}. Allowed: what keeps the blob's shape"
        )
    axes = [i for i, n in enumerate(wide) if n > 1]
    first, last = axes[0], axes[-1] + 1
    values = np.broadcast_to(values.reshape(wide[first:last]), shape[first:last])
    if adds and _absorbed(graph, node, bottom, values, first, len(shape)):
        return node.outputs[0]
    settings = {"axis": first, "num_axes": last - first}
    kind, field = ("Bias", "bias_param") if adds else ("Scale", "scale_param")
    chosen: dict[str, Any] = {field: settings}
    return graph.add(node, kind, [bottom], values, **chosen)


_BIASED = {"Convolution": "convolution_param", "Deconvolution": "convolution_param"}
_BIASED |= {"InnerProduct": "inner_product_param", "Scale": "scale_param"}


def _absorbed(graph: Graph, node: Node, top: str, values: Array, first: int, axes: int) -> bool:
    """Make a constant the bias of the layer below, if that has none and no other layer reads it."""
    layer = graph.makers.get(top)
    if layer is None or layer.type not in _BIASED or graph.uses[top] != 1 or len(layer.blobs) != 1:
        return False
    settings = getattr(layer, _BIASED[layer.type])
    if layer.type == "Scale":
        fits = list(layer.blobs[0].shape.dim) == list(values.shape) and settings.axis == first
    else:
        at = axes - 1 if layer.type == "InnerProduct" else 1
        fits = values.ndim == 1 and first == at
    if fits:
        settings.bias_term = True
        set_blob(layer.blobs.add(), values)
        layer.top[0] = node.outputs[0]
        graph.makers[node.outputs[0]] = graph.makers.pop(top)
    return fits


def _of_two(graph: Graph, node: Node) -> str:
    bottoms, shapes = [node.blob(0), node.blob(1)], [node.map(0).shape, node.map(1).shape]
    if node.type == "Div":
        inverse = {"power": -1}
        bottoms[1] = graph.add(node, "Power", bottoms[1:], part="inverse", power_param=inverse)
    if shapes[0] == shapes[1]:
        return _eltwise(graph, node, bottoms)
    if node.shape == shapes[1] and node.type in ("Add", "Mul"):
        bottoms, shapes = bottoms[::-1], shapes[::-1]
    small = len(shapes[1])
    while small > 1 and shapes[1][small - 1] == 1:
        small -= 1
    if node.shape != shapes[0] or len(shapes[0]) != len(shapes[1]):
        small = 0
    if not small or shapes[1][:small] != shapes[0][:small]:
        raise node.error(
            f"combines {shapes[0]} and {shapes[1]}. Allowed: one shape, or (N, C, 1, 1) as well"
        )
    if node.type == "Sub":
        negative = {"scale": -1}
        bottoms[1] = graph.add(node, "Power", bottoms[1:], part="negative", power_param=negative)
    dims = {"shape": {"dim": [0] * small}}
    factors = graph.add(node, "Reshape", bottoms[1:], part="factors", reshape_param=dims)
    adds = node.type in ("Add", "Sub")
    kind, field = ("Bias", "bias_param") if adds else ("Scale", "scale_param")
    chosen: dict[str, Any] = {field: {"axis": 0}}
    return graph.add(node, kind, [bottoms[0], factors], **chosen)


_ELTWISE = {"Mul": "PROD", "Div": "PROD", "Max": "MAX"}


def _eltwise(graph: Graph, node: Node, bottoms: list[str]) -> str:
    settings: dict[str, Any] = {
        "operation": EltwiseParameter.EltwiseOp.Value(_ELTWISE.get(node.type, "SUM"))
    }
    if node.type == "Sub":
        settings["coeff"] = [1, -1]
    if node.type == "Mean":
        settings["coeff"] = [1 / len(bottoms)] * len(bottoms)
    return graph.add(node, "Eltwise", bottoms, eltwise_param=settings)


@writes("Sum", "Mean", "Max", "Min")
def _several(graph: Graph, node: Node) -> Result:
    """Write an operation on any number of blobs, or the limit of one blob by a number."""
    bounds = [i for i in range(len(node.arrays)) if node.given(i) is not None]
    if len(node.maps) == 2 and bounds and node.type in ("Max", "Min"):
        value = node.real(bounds[0])
        if value.size != 1:
            raise node.error(f"has a limit of shape {value.shape}. Allowed: a number")
        low, high = (value.item(), HUGE) if node.type == "Max" else (-HUGE, value.item())
        return _clamped(graph, node, node.blob(1 - bounds[0]), low, high)
    bottoms = [node.blob(i) for i in range(len(node.maps))]
    shapes = {node.map(i).shape for i in range(len(node.maps))}
    if len(shapes) > 1 or node.type == "Min":
        raise node.error(f"combines {' and '.join(map(str, sorted(shapes)))}. Allowed: one shape")
    return _eltwise(graph, node, bottoms) if len(bottoms) > 1 else node.map()


@writes("Pow")
def _pow(graph: Graph, node: Node) -> str:
    power = node.array(1)
    if power.size != 1:
        raise node.error(f"has powers of shape {power.shape}. Allowed: a number")
    settings = {"power": float(power.item())}
    return graph.add(node, "Power", [node.blob()], power_param=settings)


@writes("Concat")
def _concat(graph: Graph, node: Node) -> str:
    axis = node.setting("axis", 1) % len(node.shape)
    bottoms = [
        node.blob(i) if node.given(i) is None else _repeated(graph, node, i, axis)
        for i in range(len(node.maps))
    ]
    return graph.add(node, "Concat", bottoms, concat_param={"axis": axis})


def _repeated(graph: Graph, node: Node, index: int, axis: int) -> str:
    """Write a constant for each item of a batch of any size: zeros like a blob's, and a Bias."""
    values = node.array(index)
    like = next(i for i, found in enumerate(node.maps) if found is not None)
    size, count = node.map(like).shape[axis], values.shape[axis]
    if axis == 0 or count > size or not (values == values[:1]).all():
        raise node.error(
            f"joins constants of shape {values.shape} along axis {axis}. Allowed: the same for "
            "each item, along another axis, and no longer than the blob there"
        )
    part = f"constant{index}"
    name = graph.free(f"{node.outputs[0]}/{part}")
    bottom = _cut(graph, node, node.blob(like), axis, (0, count, size), name)
    # With scale 0 Caffe's Power does not read its bottom: what is NaN there does no harm.
    zeros = graph.add(node, "Power", [bottom], part=f"{part}/zeros", power_param={"scale": 0})
    settings = {"axis": 1, "num_axes": values.ndim - 1}
    return graph.add(node, "Bias", [zeros], values[0], part=f"{part}/values", bias_param=settings)


@writes("Split")
def _split(graph: Graph, node: Node) -> list[str]:
    axis = node.setting("axis", 0) % len(node.map().shape)
    points = np.cumsum([shape[axis] for shape in node.shapes])[:-1]
    return _sliced(graph, node, node.blob(), axis, points.tolist(), node.outputs)


def _sliced(
    graph: Graph,
    node: Node,
    bottom: str,
    axis: int,
    points: list[int],
    tops: list[str],
    kept: Sequence[str] = (),
) -> list[str]:
    """Write a Slice; silence its unused tops, which would be outputs of the net."""
    names = [top or graph.free(f"{node.name}/rest") for top in tops]
    settings = {"axis": axis, "slice_point": points}
    graph.add(node, "Slice", [bottom], part="slice", tops=names, slice_param=settings)
    for name in names:
        if name not in kept and not graph.uses[name]:
            graph.silence(name)
    return names


@writes("Slice")
def _slice(graph: Graph, node: Node) -> Result:
    shape = node.map().shape
    starts, ends = node.numbers("starts", 1), node.numbers("ends", 2)
    axes, steps = node.numbers("axes", 3), node.numbers("steps", 4)
    if starts is None or ends is None or set(steps or [1]) != {1}:
        raise node.error(f"has steps {steps}. Allowed: 1, with constant starts and ends")
    cuts = {}
    for start, end, axis in zip(starts, ends, axes or range(len(starts)), strict=False):
        begin, stop, _ = slice(start, end).indices(shape[axis])
        if (begin, stop) != (0, shape[axis]):
            cuts[axis % len(shape)] = begin, stop
    top = node.map()
    for i, (axis, (begin, stop)) in enumerate(sorted(cuts.items()), 1):
        name = node.outputs[0] if i == len(cuts) else graph.free(f"{node.outputs[0]}/{i}")
        bottom = node.blob() if top is node.map() else top.name
        _cut(graph, node, bottom, axis, (begin, stop, shape[axis]), name)
        top = Map(name, node.shape)
    return top


def _cut(
    graph: Graph, node: Node, bottom: str, axis: int, part: tuple[int, int, int], name: str
) -> str:
    """Write the part (begin, stop) of an axis of some size, as a Slice's top of this name."""
    begin, stop, size = part
    inner = sorted({begin, stop} - {0, size})
    if not inner:
        return bottom
    tops = ["" if begin else name] + ([name] if begin else [])
    tops += [""] * (len(inner) + 1 - len(tops))
    _sliced(graph, node, bottom, axis, inner, tops, [name])
    return name


@writes("Gather")
def _gather(graph: Graph, node: Node) -> Result:
    shape, places = node.map().shape, node.array(1)
    if places.size != 1:
        raise node.error(f"takes {places.size} places. Allowed: one")
    axis = node.setting("axis", 0) % len(shape)
    at = int(places.item()) % shape[axis]
    small = (*shape[:axis], 1, *shape[axis + 1 :])
    name = node.outputs[0] if small == node.shape else graph.free(f"{node.outputs[0]}/part")
    top = _cut(graph, node, node.blob(), axis, (at, at + 1, shape[axis]), name)
    return reshaped(graph, node, Map(top, small), top, node.shape)


@writes("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def _reshape(graph: Graph, node: Node) -> Result:
    return reshaped(graph, node, node.map(), node.blob(), node.shape)


def reshaped(graph: Graph, node: Node, given: Map, bottom: str, shape: Shape) -> Result:
    """Write a change of shape so that the first axis, if it stays, may have any size."""
    before = given.shape
    if before == shape:
        return Map(bottom, shape)
    if len(shape) == 2 and shape[0] == before[0] and len(before) > 2:
        return graph.add(node, "Flatten", [bottom])
    alike = [i for i, n in enumerate(shape) if before[i : i + 1] == (n,)]
    same = next((i for i in range(len(shape)) if i not in alike), len(shape))
    dims = [0 if i < same else n for i, n in enumerate(shape)]
    return graph.add(node, "Reshape", [bottom], reshape_param={"shape": {"dim": dims}})


@writes("Transpose")
def _transpose(graph: Graph, node: Node) -> str:
    axes = len(node.map().shape)
    order = list(node.setting("perm", range(axes)[::-1]))
    return graph.add(node, "Permute", [node.blob()], permute_param={"order": order})


_REDUCTIONS = {"ReduceSum": "SUM", "ReduceMean": "MEAN", "ReduceL1": "ASUM"}
_REDUCTIONS |= {"ReduceSumSquare": "SUMSQ"}
_POOLED = {"ReduceMean": PoolingParameter.AVE, "ReduceMax": PoolingParameter.MAX}


@writes("ReduceMax", *_REDUCTIONS)
def _reduce(graph: Graph, node: Node) -> Result:
    """Write a pooling of whole maps, or a Reduction over axes that are the last or moved there."""
    shape = node.map().shape
    axes = node.numbers("axes", 1) or list(range(len(shape)))
    axes = sorted(axis % len(shape) for axis in axes)
    if len(shape) == 4 and axes == [2, 3] and node.type in _POOLED:
        settings = {"pool": _POOLED[node.type], "global_pooling": True}
        small: Shape = (*shape[:2], 1, 1)
        part = "" if node.shape == small else "pooled"
        top = graph.add(node, "Pooling", [node.blob()], part=part, pooling_param=settings)
    elif node.type in _REDUCTIONS:
        operation = ReductionParameter.ReductionOp.Value(_REDUCTIONS[node.type])
        others, bottom = [i for i in range(len(shape)) if i not in axes], node.blob()
        if [*others, *axes] != list(range(len(shape))):
            order = {"order": [*others, *axes]}
            bottom = graph.add(node, "Permute", [bottom], part="last", permute_param=order)
        small = tuple(shape[i] for i in others)
        part = "" if node.shape == small else "reduced"
        settings = {"operation": operation, "axis": len(others)}
        top = graph.add(node, "Reduction", [bottom], part=part, reduction_param=settings)
    else:
        raise node.error(f"reduces the axes {axes} of {shape}. Allowed: maxima of maps")
    return reshaped(graph, node, Map(top, small), top, node.shape)
