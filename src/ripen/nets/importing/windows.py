"""Operators over windows of a map: convolutions, poolings, padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from caffe.proto.caffe_pb2 import PoolingParameter
from ripen.nets.folding import Filter, Sides
from ripen.nets.importing.trace import Arguments, Map, Trace, shape, writes


@writes("conv2d")
def _convolution(trace: Trace, node: Node, given: Arguments) -> str:
    weight = trace.array(node, given["weight"])
    bias = None if given["bias"] is None else trace.array(node, given["bias"])
    if weight.ndim != 4:
        raise trace.unsupported(node, f"has a kernel of {weight.ndim - 2} axes", "2 axes")
    stride, dilation = _pair(given["stride"]), _pair(given["dilation"])
    image = trace.map(given["input"])
    before, after = _padding(given["padding"], (weight.shape[2], weight.shape[3]), dilation)
    before, after = _sum(image.before, before), _sum(image.after, after)
    if before != after and dilation != (1, 1):
        raise trace.unsupported(
            node, f"pads {before} and {after} with dilation", "equal padding on both sides"
        )
    (weight, _), pad = Filter(weight, np.zeros(len(weight))).widened(before, after)
    settings = {"num_output": len(weight), "group": given["groups"]}
    settings |= {"kernel_size": _short(weight.shape[2:]), "pad": _short(pad)}
    settings |= {
        "stride": _short(stride),
        "dilation": _short(dilation),
        "bias_term": bias is not None,
    }
    weights = [weight] if bias is None else [weight, bias]
    plain = {k: v for k, v in settings.items() if v != _DEFAULTS.get(k)}
    return trace.add(node, "Convolution", [image.top], *weights, convolution_param=plain)


_DEFAULTS = {"group": 1, "pad": [0], "stride": [1], "dilation": [1], "bias_term": True}


def _padding(padding: Any, kernel: Sides, dilation: Sides) -> tuple[Sides, Sides]:
    """Return a convolution's own padding: above and left, below and right."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":  # PyTorch allows it at stride 1 only; an odd zero goes to the end
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        first = (total[0] // 2, total[1] // 2)
        return first, (total[0] - first[0], total[1] - first[1])
    return _pair(padding), _pair(padding)


@writes("pad", "constant_pad_nd")
def _pad(trace: Trace, node: Node, given: Arguments) -> Map:
    zeros = [int(each) for each in given["pad"]]
    plain = given.get("mode", "constant") == "constant" and not given["value"]
    if not plain or min(zeros) < 0 or len(zeros) not in (2, 4) or len(shape(node)) != 4:
        raise trace.unsupported(node, f"pads by {zeros}", "zeros around the maps")
    left, right, above, below = [*zeros, 0, 0][:4]
    image = trace.map(given["self"])
    return Map(image.top, _sum(image.before, (above, left)), _sum(image.after, (below, right)))


@writes("max_pool2d")
def _max_pool(trace: Trace, node: Node, given: Arguments) -> str:
    if _pair(given["dilation"]) != (1, 1):
        raise trace.unsupported(node, f"has dilation {given['dilation']}", "windows without gaps")
    return _pool(trace, node, given, PoolingParameter.MAX)


@writes("avg_pool2d")
def _average_pool(trace: Trace, node: Node, given: Arguments) -> str:
    if given["divisor_override"] is not None:
        raise trace.unsupported(node, "divides by divisor_override", "the size of the window")
    if any(_pair(given["padding"])) and not given["count_include_pad"]:
        raise trace.unsupported(node, "does not count padding", "count_include_pad=True")
    return _pool(trace, node, given, PoolingParameter.AVE)


def _pool(trace: Trace, node: Node, given: Arguments, method: int) -> str:
    kernel, pad = _pair(given["kernel_size"]), _pair(given["padding"])
    stride = _pair(given["stride"]) if given["stride"] else kernel
    settings: dict[str, Any] = {"pool": method}
    for name, values in (("kernel", kernel), ("stride", stride), ("pad", pad)):
        if values[0] != values[1]:
            settings |= {f"{name}_h": values[0], f"{name}_w": values[1]}
        elif values[0] != {"stride": 1, "pad": 0}.get(name):
            settings["kernel_size" if name == "kernel" else name] = values[0]
    size, pooled = shape(given["self"])[2:], shape(node)[2:]
    found = [
        rounding
        for rounding in (PoolingParameter.CEIL, PoolingParameter.FLOOR)
        if windows(size, kernel, stride, pad, rounding == PoolingParameter.CEIL) == pooled
    ]
    if not found:
        raise trace.unsupported(
            node, f"pools {size} to {pooled}", "the number of windows of Caffe's pooling"
        )
    if found[0] != PoolingParameter.CEIL:
        settings["round_mode"] = found[0]
    return trace.add(node, "Pooling", [trace.top(node, given["self"])], pooling_param=settings)


def windows(
    size: Sequence[int], kernel: Sides, stride: Sides, pad: Sides, ceil: bool
) -> tuple[int, ...]:
    """Return the number of windows of Caffe's pooling along each axis of a map."""
    counts = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        rest = n + 2 * p - k
        count = (-(-rest // s) if ceil else rest // s) + 1
        # With any padding, Caffe drops a window that would begin behind the map.
        counts.append(count - 1 if any(pad) and (count - 1) * s >= n + p else count)
    return tuple(counts)


@writes("adaptive_avg_pool2d")
def _adaptive_pool(trace: Trace, node: Node, given: Arguments) -> str | Map:
    size, pooled = shape(given["self"])[2:], shape(node)[2:]
    if size == pooled:
        return trace.map(given["self"])
    settings: dict[str, Any] = {"pool": PoolingParameter.AVE}
    if pooled == (1, 1):
        settings["global_pooling"] = True
    elif len(size) == 2 and not any(n % k for n, k in zip(size, pooled, strict=True)):
        down, across = size[0] // pooled[0], size[1] // pooled[1]
        settings |= {"kernel_h": down, "kernel_w": across, "stride_h": down, "stride_w": across}
    else:
        raise trace.unsupported(node, f"pools {size} to {pooled}", "a divisor of each side")
    return trace.add(node, "Pooling", [trace.top(node, given["self"])], pooling_param=settings)


@writes("mean")
def _mean(trace: Trace, node: Node, given: Arguments) -> str:
    whole = shape(given["self"])
    axes = sorted(axis % len(whole) for axis in given.get("dim") or range(len(whole)))
    if len(whole) != 4 or axes != [2, 3]:
        raise trace.unsupported(node, f"averages axes {axes} of {whole}", "axes (2, 3) of maps")
    settings = {"pool": PoolingParameter.AVE, "global_pooling": True}
    top = trace.top(node, given["self"])
    pooled = trace.add(node, "Pooling", [top], pooling_param=settings)
    return pooled if given["keepdim"] else trace.add(node, "Flatten", [pooled], part="rows")


def _pair(given: Sequence[int]) -> Sides:
    values = [int(each) for each in given]
    return values[0], values[-1]


def _short(values: Sequence[int]) -> list[int]:
    """Return one number if both axes agree, as Caffe's files have it."""
    return list(values[:1]) if len(set(values)) == 1 else list(values)


def _sum(one: Sides, other: Sides) -> Sides:
    return one[0] + other[0], one[1] + other[1]
