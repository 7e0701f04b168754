"""Nodes of ONNX as Caffe's layers between two changes of layout."""

from typing import Any

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
    """Write the deviations of each map over the root of their mean square and epsilon.

    MVN alone adds its epsilon to the root.
    """
    root = {"shift": node.setting("epsilon", 1e-5), "power": -0.5}
    settings: dict[str, Any] = {"operation": "MEAN", "axis": 2}
    shape, bottom = node.map().shape, node.blob()
    if len(shape) != 4:
        bottom = _shaped(graph, node, bottom, [0, 0, 1, -1], part="row")
    deviation = graph.add(
        node, "MVN", [bottom], part="deviation", mvn_param={"normalize_variance": False}
    )
    square = graph.add(node, "Power", [deviation], part="square", power_param={"power": 2})
    mean = graph.add(node, "Reduction", [square], part="mean", reduction_param=settings)
    inverse = graph.add(node, "Power", [mean], part="inverse", power_param=root)
    normal = graph.add(
        node, "Scale", [deviation, inverse], part="normalized", scale_param={"axis": 0}
    )
    part, learnt = "" if len(shape) == 4 else "scaled", (node.array(1), node.array(2))
    top = graph.add(node, "Scale", [normal], *learnt, part=part, scale_param={"bias_term": True})
    return top if len(shape) == 4 else _shaped(graph, node, top, [0, *shape[1:]])


def _shaped(graph: Graph, node: Node, bottom: str, dims: list[int], part: str = "") -> str:
    settings = {"shape": {"dim": dims}}
    return graph.add(node, "Reshape", [bottom], part=part, reshape_param=settings)
