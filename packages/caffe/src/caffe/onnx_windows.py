"""Nodes of ONNX over windows of maps as layers: convolutions, poolings, padding, upsampling."""

from typing import Any

import numpy as np

from caffe.errors import first_line
from caffe.layers.pool_windows import Windows
from caffe.onnx_file import Array
from caffe.onnx_nodes import Graph, Map, Node, Shape, writes
from caffe.proto.caffe_pb2 import PoolingParameter


@writes("Pad")
def _pad(graph: Graph, node: Node) -> Map:
    """Leave zeros around maps to the convolution or pooling that reads them."""
    given = node.map()
    pads, axes = node.numbers("pads", 1) or [], len(given.shape)
    chosen = node.numbers("axes", 3) or list(range(axes))
    before, after = [0] * axes, [0] * axes
    for axis, low, high in zip(chosen, pads, pads[len(chosen) :], strict=False):
        before[axis], after[axis] = low, high
    value = node.setting("value", 0) if node.given(2) is None else node.array(2).item()
    plain = node.setting("mode", "constant") == "constant" and not value
    if not plain or min(before + after) < 0 or any(before[:2] + after[:2]) or axes < 3:
        raise node.error(f"pads by {pads}, mode {node.setting('mode', 'constant')}. Allowed: zeros "
                         "around maps")  # fmt: skip
    return Map(
        given.name, given.shape, _sum(given.before, before[2:]), _sum(given.after, after[2:])
    )


def _sum(one: Shape, other: list[int]) -> Shape:
    return tuple(a + b for a, b in zip(one or [0] * len(other), other, strict=True))


def _list(node: Node, name: str, axes: int, default: int) -> list[int]:
    found = [int(each) for each in node.setting(name) or [default] * axes]
    if len(found) != axes:
        raise node.error(f"has {name} {found} for {axes} axes")
    return found


def _padding(
    node: Node, kernel: list[int], stride: list[int], dilation: list[int]
) -> tuple[Shape, Shape]:
    """Return the zeros before and behind the maps along each axis, those of a Pad included."""
    given, axes = node.map(), len(kernel)
    before, after = given.before or (0,) * axes, given.after or (0,) * axes
    mode = node.setting("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        own: list[tuple[int, int]] = []
        for n, k, s, d, b, a in zip(
            given.shape[2:], kernel, stride, dilation, before, after, strict=True
        ):
            total = max((-(-(n + b + a) // s) - 1) * s + (k - 1) * d + 1 - n - b - a, 0)
            half = total // 2
            own.append((half, total - half) if mode == "SAME_UPPER" else (total - half, half))
        pads = [each[0] for each in own] + [each[1] for each in own]
    else:
        pads = _list(node, "pads", 2 * axes, 0) if mode == "NOTSET" else [0] * 2 * axes
    return _sum(before, pads[:axes]), _sum(after, pads[axes:])


def _widened(
    node: Node, weight: Array, before: Shape, after: Shape, dilation: list[int]
) -> tuple[Array, list[int]]:
    """Return a kernel for the same padding on both sides, and that padding.

    Where the sides differ, the larger padding serves for both; zeros in the kernel cover the rest.
    """
    pad = [max(pair) for pair in zip(before, after, strict=True)]
    zeros = [(0, 0), (0, 0)]
    for p, b, a, d in zip(pad, before, after, dilation, strict=True):
        if (p - b) % d or (p - a) % d or p < 0:
            raise node.error(
                f"pads {before} and {after} with dilation {dilation}. Allowed: both sides alike"
            )
        zeros.append(((p - b) // d, (p - a) // d))
    return np.pad(weight, zeros), pad


def _filter(
    graph: Graph, node: Node, kind: str, weight: Array, bias: list[Array], outputs: int,
    pad: list[int], stride: list[int], dilation: list[int],
) -> str:  # fmt: skip
    settings: dict[str, Any] = {"num_output": outputs, "kernel_size": _short(weight.shape[2:])}
    settings |= {"pad": _short(pad), "stride": _short(stride), "dilation": _short(dilation)}
    settings |= {"group": node.setting("group", 1), "bias_term": bool(bias)}
    defaults = {"pad": [0], "stride": [1], "dilation": [1], "group": 1, "bias_term": True}
    plain = {name: value for name, value in settings.items() if value != defaults.get(name)}
    bottoms = [node.map().name]
    return graph.add(node, kind, bottoms, weight, *bias, convolution_param=plain)


def _short(values: Any) -> list[int]:
    """Return one number if all axes agree, as Caffe's files have it."""
    found = [int(each) for each in values]
    return found[:1] if len(set(found)) == 1 else found


def _weights(node: Node) -> tuple[Array, list[Array], list[int], list[int]]:
    weight, bias = node.array(1), node.given(2)
    axes = weight.ndim - 2
    if not 1 <= axes <= 3 or len(node.map().shape) != axes + 2:
        raise node.error(f"has a kernel of shape {weight.shape}. Allowed: 1 to 3 axes of a map")
    if bias is None and len(node.maps) > 2:
        node.array(2)  # refused: it is computed
    stride, dilation = _list(node, "strides", axes, 1), _list(node, "dilations", axes, 1)
    if min(stride + dilation) < 1:
        raise node.error(f"has strides {stride}, dilations {dilation}. Allowed: 1 and above")
    return weight, [] if bias is None else [bias], stride, dilation


@writes("Conv")
def _conv(graph: Graph, node: Node) -> str:
    weight, bias, stride, dilation = _weights(node)
    before, after = _padding(node, list(weight.shape[2:]), stride, dilation)
    weight, pad = _widened(node, weight, before, after, dilation)
    return _filter(graph, node, "Convolution", weight, bias, len(weight), pad, stride, dilation)


@writes("ConvTranspose")
def _conv_transpose(graph: Graph, node: Node) -> str:
    """Write a Deconvolution; zeros in its kernel give what ONNX adds to the output's size."""
    weight, bias, stride, dilation = _weights(node)
    node.blob()
    whole = [
        s * (n - 1) + d * (k - 1) + 1
        for n, k, s, d in zip(node.map().shape[2:], weight.shape[2:], stride, dilation, strict=True)
    ]
    axes = len(whole)
    # The crop before is the node's own, unless it asks for a size; the crop behind gives the size.
    before = _list(node, "pads", 2 * axes, 0)[:axes]
    mode = node.setting("auto_pad", "NOTSET")
    if node.setting("output_shape") or mode not in ("NOTSET", "VALID"):
        more = _list(node, "output_padding", axes, 0)
        total = [w + m - n for w, m, n in zip(whole, more, node.shape[2:], strict=True)]
        before = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
    after = [w - b - n for w, b, n in zip(whole, before, node.shape[2:], strict=True)]
    weight, pad = _widened(node, weight, tuple(before), tuple(after), dilation)
    outputs = weight.shape[1] * node.setting("group", 1)
    return _filter(graph, node, "Deconvolution", weight, bias, outputs, pad, stride, dilation)


def pool(graph: Graph, node: Node) -> str:
    """Write a Pooling with as many windows, and a Scale where its means divide by another size."""
    kernel = [int(each) for each in node.setting("kernel_shape")]
    if len(kernel) != 2 or len(node.map().shape) != 4:
        raise node.error(
            f"pools {len(kernel)} axes of {node.map().shape}. Allowed: 2 of (N, C, H, W)"
        )
    stride, dilation = _list(node, "strides", 2, 1), _list(node, "dilations", 2, 1)
    if dilation != [1, 1] or (len(node.outputs) > 1 and graph.uses[node.outputs[1]]):
        raise node.error("has dilation, or its indices are used. Allowed: plain windows")
    if min(stride) < 1:
        raise node.error(f"has strides {stride}. Allowed: 1 and above")
    mean = node.type == "AveragePool"
    included = bool(node.setting("count_include_pad", 0))
    given = node.map() if mean and included else Map(node.blob(), node.map().shape)
    before, after = _padding(node, kernel, stride, dilation)
    (h, w), (k_h, k_w), (s_h, s_w), (p_h, p_w) = given.shape[2:], kernel, stride, before
    each = (Windows((h, w), (k_h, k_w), (s_h, s_w), (p_h, p_w), ceil) for ceil in (True, False))
    windows = next((found for found in each if found.pooled == node.shape[2:]), None)
    if windows is None or p_h >= k_h or p_w >= k_w:
        raise node.error(f"pools {(h, w)} to {node.shape[2:]} with pads {before} and {after}, "
                         "which no rounding of Caffe's Pooling gives")  # fmt: skip
    settings, bottoms = _pooling(windows, mean), [given.name]
    ratio = _ratio(node, windows, after, included) if mean else np.ones(1)
    if (ratio == 1).all():
        return graph.add(node, "Pooling", bottoms, pooling_param=settings)
    top = graph.add(node, "Pooling", bottoms, part="mean", pooling_param=settings)
    return graph.add(node, "Scale", [top], ratio, scale_param={"axis": 2, "num_axes": 2})


def _pooling(windows: Windows, mean: bool) -> dict[str, Any]:
    """Return the settings of a Pooling over windows that are not Caffe's default."""
    settings: dict[str, Any] = {"pool": PoolingParameter.AVE if mean else PoolingParameter.MAX}
    pairs = {"kernel": windows.kernel, "stride": windows.stride, "pad": windows.pad}
    for name, (high, wide) in pairs.items():
        if high != wide:
            settings |= {f"{name}_h": high, f"{name}_w": wide}
        elif high != {"stride": 1, "pad": 0}.get(name):
            settings["kernel_size" if name == "kernel" else name] = high
    if not windows.ceil:
        settings["round_mode"] = PoolingParameter.FLOOR
    return settings


def _ratio(node: Node, windows: Windows, after: Shape, included: bool) -> Array:
    """Return by what Caffe's means are to be multiplied: its window's size over ONNX's.

    Caffe counts zeros up to as many behind the map as before it; ONNX counts its own padding, or
    the map alone.
    """
    ratios = []
    for axis in (0, 1):
        n, p, k = windows.size[axis], windows.pad[axis], windows.kernel[axis]
        starts = np.array(windows.starts(axis))
        caffe = np.minimum(starts + k, n + p) - starts
        low, high = (-p, n + after[axis]) if included else (0, n)
        other = np.minimum(starts + k, high) - np.maximum(starts, low)
        ratios.append(caffe / np.maximum(other, 1))
    ratio: Array = np.outer(*ratios)
    return ratio


_LARGEST = 2**24  # elements of the matrix of an axis
# The attributes of a Resize that say how it interpolates.
_KINDS = (
    *("antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside"),
    *("extrapolation_value", "mode", "nearest_mode"),
)


@writes("Resize", "Upsample")
def _resize(graph: Graph, node: Node) -> str:
    """Write a Deconvolution in which each value fills a square, or two InnerProducts."""
    before, after = node.map().shape, node.shape
    fits = len(before) == 4 and before[:2] == after[:2]
    factors = [a // b for a, b in zip(after[2:], before[2:], strict=False)] if fits else []
    exact = fits and all(a == b * f for a, b, f in zip(after[2:], before[2:], factors, strict=True))
    place = node.setting("coordinate_transformation_mode", "half_pixel")
    simple = node.type == "Upsample" or place.endswith("half_pixel") or (
        place == "asymmetric" and node.setting("nearest_mode", "round_prefer_floor") == "floor"
    )  # fmt: skip
    if not exact or node.setting("mode", "nearest") != "nearest" or not simple:
        if not fits or node.type == "Upsample" or node.version < 11 or node.setting("axes"):
            raise node.error(
                f"resizes {before} to {after} ({node.setting('mode', 'nearest')}). Allowed: height "
                "and width, from operator set 11 on and without the attribute axes"
            )
        return _interpolated(graph, node)
    channels = before[1]
    settings: dict[str, Any] = {"num_output": channels, "group": channels, "bias_term": False}
    settings |= {"kernel_size": _short(factors), "stride": _short(factors)}
    weight = np.ones((channels, 1, *factors), np.float32)
    return graph.add(node, "Deconvolution", [node.blob()], weight, convolution_param=settings)


def _interpolated(graph: Graph, node: Node) -> str:
    """Write interpolation of any kind: along each axis it is a product with a matrix."""
    bottom, turn = node.blob(), {"order": [0, 1, 3, 2]}
    for axis, part in ((3, "width"), (2, "height")):
        weight = _matrix(node, axis)
        if axis == 2:
            bottom = graph.add(node, "Permute", [bottom], part="columns", permute_param=turn)
        settings = {"num_output": len(weight), "axis": 3, "bias_term": False}
        bottom = graph.add(
            node, "InnerProduct", [bottom], weight, part=part, inner_product_param=settings
        )
    return graph.add(node, "Permute", [bottom], permute_param=turn)


def _matrix(node: Node, axis: int) -> Array:
    """Return the weights (after, before) of an axis: what onnx's own Resize makes of unit rows."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    before, after = node.map().shape[axis], node.shape[axis]
    if before * after > _LARGEST:
        raise node.error(f"resizes an axis of {before} to {after}: needs too large a matrix")
    scales = node.given(2)
    # Aligned corners need the whole number of the size, which a scale may miss by a fraction.
    aligned = node.setting("coordinate_transformation_mode") == "align_corners"
    by_scale = scales is not None and scales.size == 4 and not aligned
    given = np.ones(4, np.float32) if by_scale else np.array([before, 1, 1, after], np.int64)
    if by_scale and scales is not None:
        given[3] = scales[axis]
    names = ["x", "", "scales"] if by_scale else ["x", "", "", "sizes"]
    kept = {name: node.setting(name) for name in _KINDS if node.setting(name) is not None}
    plain = [helper.make_empty_tensor_value_info(name) for name in names if name]
    made = helper.make_graph(
        [helper.make_node("Resize", names, ["y"], **kept)],
        "axis",
        plain,
        [helper.make_empty_tensor_value_info("y")],
    )
    opset = [helper.make_opsetid("", node.version)]
    session = ReferenceEvaluator(helper.make_model(made, opset_imports=opset))
    rows = np.eye(before, dtype=np.float32).reshape(before, 1, 1, before)
    try:
        (found,) = session.run(None, {"x": rows, names[-1]: given})
    except Exception as error:  # numpy's own, of any kind
        raise node.error(f"cannot be computed: {first_line(error)}") from None
    return np.ascontiguousarray(np.asarray(found, np.float32).reshape(before, -1).T)
