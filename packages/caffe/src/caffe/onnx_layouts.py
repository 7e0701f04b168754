"""Nodes of ONNX as Caffe's layers between two changes of layout."""

import math
from typing import Any

import numpy as np

from caffe.onnx_file import Array
from caffe.onnx_nodes import Graph, Map, Node, writes
from caffe.onnx_windows import pool

_POOLS = {"GlobalAveragePool": "AVE", "GlobalMaxPool": "MAX"}


@writes("MaxPool", "AveragePool")
def _pool(graph: Graph, node: Node) -> str:
    """Write windows of a sequence as those of a map one pixel high."""
    given = node.map()
    if len(given.shape) != 3 or (len(node.outputs) > 1 and graph.uses[node.outputs[1]]):
        return pool(graph, node)  # which refuses other numbers of axes, and uses of the indices
    row = _as_row(graph, node, given)
    top = pool(graph, row)
    return _shaped(graph, node, top, [0, 0, -1])


def _as_row(graph: Graph, node: Node, given: Map) -> Node:
    """Return a pooling of a sequence (N, C, L) as the same of a map (N, C, 1, L)."""
    from onnx import helper

    both = {"kernel_shape": 1, "strides": 1, "dilations": 1}
    kept: dict[str, Any] = {
        name: [one, *node.setting(name)] for name, one in both.items() if node.setting(name)
    }
    if node.setting("pads"):
        low, high = node.setting("pads")
        kept["pads"] = [0, low, 0, high]
    for name in ("auto_pad", "ceil_mode", "count_include_pad"):
        if node.setting(name) is not None:
            kept[name] = node.setting(name)
    bottom = _shaped(graph, node, given.name, [0, 0, 1, -1], part="row")
    inputs, top = [bottom], graph.free(f"{node.outputs[0]}/pooled")
    n, c, length = given.shape
    before, after = ((0, *each) if each else () for each in (given.before, given.after))
    row = Map(bottom, (n, c, 1, length), before, after)
    made = Node(helper.make_node(node.type, inputs, [top], node.name, **kept), [row], [None])
    made.version = node.version
    made.shape = (*node.shape[:2], 1, node.shape[2])
    return made


@writes(*_POOLS)
def _global_pool(graph: Graph, node: Node) -> str:
    """Write a pooling of whole maps, sequences or volumes."""
    axes, bottom = len(node.map().shape), node.blob()
    settings = {"pool": _POOLS[node.type], "global_pooling": True}
    if axes == 4:
        return graph.add(node, "Pooling", [bottom], pooling_param=settings)
    if axes < 3:
        raise node.error(f"reads {node.map().shape}. Allowed: 3 axes or more")
    row = _shaped(graph, node, bottom, [0, 0, 1, -1], part="row")
    top = graph.add(node, "Pooling", [row], part="pooled", pooling_param=settings)
    return _shaped(graph, node, top, [0, 0] + [1] * (axes - 2))


@writes("DepthToSpace", "SpaceToDepth")
def _pixels(graph: Graph, node: Node) -> str:
    """Write channels as pixels, or pixels as channels: a Permute of smaller axes."""
    n, c, h, w = node.map().shape
    size = node.setting("blocksize")
    if node.type == "SpaceToDepth":
        split, order = [0, c, h // size, size, w // size, size], [0, 3, 5, 1, 2, 4]
    elif node.setting("mode", "DCR") == "DCR":
        split, order = [0, size, size, c // size**2, h, w], [0, 3, 4, 1, 5, 2]
    else:
        split, order = [0, c // size**2, size, size, h, w], [0, 1, 4, 2, 5, 3]
    small = _shaped(graph, node, node.blob(), split, part="split")
    turned = graph.add(node, "Permute", [small], part="turned", permute_param={"order": order})
    return _shaped(graph, node, turned, [0, *node.shape[1:]])


@writes("InstanceNormalization")
def _instances(graph: Graph, node: Node) -> str:
    shape, bottom = node.map().shape, node.blob()
    if len(shape) == 4:
        top = _normalized(graph, node, bottom)
        return _scaled(graph, node, top, 1, node.real(1), node.real(2))
    row = _shaped(graph, node, bottom, [0, 0, 1, -1], part="row")
    top = _shaped(graph, node, _normalized(graph, node, row), [0, *shape[1:]], part="back")
    return _scaled(graph, node, top, 1, node.real(1), node.real(2))


@writes("GroupNormalization")
def _groups(graph: Graph, node: Node) -> str:
    shape, groups = node.map().shape, node.setting("num_groups")
    row = _shaped(graph, node, node.blob(), [0, groups, 1, -1], part="row")
    top = _shaped(graph, node, _normalized(graph, node, row), [0, *shape[1:]], part="back")
    # Until set 21 there is a factor for each group.
    learnt = [np.repeat(each, shape[1] // len(each)) for each in (node.real(1), node.real(2))]
    return _scaled(graph, node, top, 1, *learnt)


@writes("LayerNormalization")
def _layer(graph: Graph, node: Node) -> str:
    shape = node.map().shape
    axis = node.setting("axis", -1) % len(shape)
    if any(graph.uses[name] for name in node.outputs[1:]):
        raise node.error("has users of its mean or deviation. Allowed: its first output only")
    row = [-1, 1, 1, math.prod(shape[axis:])]
    top = _normalized(graph, node, _shaped(graph, node, node.blob(), row, part="row"))
    top = _shaped(graph, node, top, [-1, *shape[1:]], part="back")
    zeros = np.zeros(shape[axis:])
    shift = node.real(2) + zeros if node.has(2) else zeros
    return _scaled(graph, node, top, axis, node.real(1) + zeros, shift)


def _normalized(graph: Graph, node: Node, bottom: str) -> str:
    """Write the deviations of each map over the root of their mean square and epsilon.

    MVN alone adds its epsilon to the root.
    """
    root = {"shift": node.setting("epsilon", 1e-5), "power": -0.5}
    mean_of_map: dict[str, Any] = {"operation": "MEAN", "axis": 2}
    only_mean = {"normalize_variance": False}
    deviation = graph.add(node, "MVN", [bottom], part="deviation", mvn_param=only_mean)
    square = graph.add(node, "Power", [deviation], part="square", power_param={"power": 2})
    mean = graph.add(node, "Reduction", [square], part="mean", reduction_param=mean_of_map)
    inverse = graph.add(node, "Power", [mean], part="inverse", power_param=root)
    bottoms = [deviation, inverse]
    return graph.add(node, "Scale", bottoms, part="normalized", scale_param={"axis": 0})


def _scaled(graph: Graph, node: Node, bottom: str, axis: int, scale: Array, shift: Array) -> str:
    settings = {"axis": axis, "num_axes": scale.ndim, "bias_term": True}
    return graph.add(node, "Scale", [bottom], scale, shift, scale_param=settings)


@writes("Gelu")
def _gelu(graph: Graph, node: Node) -> str:
    """Write x times a gate: (1 + erf(x / sqrt(2))) / 2, or its approximation by tanh."""
    settings: dict[str, Any] = {"operation": "PROD"}
    form = _gate_by_tanh if node.setting("approximate", "none") == "tanh" else _gate_by_erf
    gate = form(graph, node, node.blob())
    return graph.add(node, "Eltwise", [node.blob(), gate], eltwise_param=settings)


def _gate_by_erf(graph: Graph, node: Node, x: str) -> str:
    root = {"scale": math.sqrt(0.5)}
    inner = graph.add(node, "Power", [x], part="inner", power_param=root)
    error = graph.add(node, "Erf", [inner], part="error")
    half = {"scale": 0.5, "shift": 0.5}
    return graph.add(node, "Power", [error], part="gate", power_param=half)


def _gate_by_tanh(graph: Graph, node: Node, x: str) -> str:
    """Write sigmoid(sqrt(8 / pi) * (x + 0.044715 x^3)), which is that form."""
    double = 2 * math.sqrt(2 / math.pi)
    cube = graph.add(node, "Power", [x], part="cube", power_param={"power": 3})
    factors = {"coeff": [double, double * 0.044715]}
    inner = graph.add(node, "Eltwise", [x, cube], part="inner", eltwise_param=factors)
    return graph.add(node, "Sigmoid", [inner], part="gate")


def _shaped(graph: Graph, node: Node, bottom: str, dims: list[int], part: str = "") -> str:
    settings = {"shape": {"dim": dims}}
    return graph.add(node, "Reshape", [bottom], part=part, reshape_param=settings)
