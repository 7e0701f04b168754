"""Operators that look at windows of a map: convolutions, poolings, zeros about a map."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch.fx import Node

from caffe.proto.caffe_pb2 import PoolingParameter
from ripen.nets.importing.trace import Map, Trace, shape
from ripen.nets.zoo.folding import Filter, Sides

Arguments = dict[str, Any]


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
        raise trace.unsupported(node, f"pads {before} and {after} with dilation", "the same twice")
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
    """Return a convolution's own zeros: above and left, below and right."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":  # at stride 1 alone, with the odd one at the end
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        first = (total[0] // 2, total[1] // 2)
        return first, (total[0] - first[0], total[1] - first[1])
    return _pair(padding), _pair(padding)


def _pad(trace: Trace, node: Node, given: Arguments) -> Map:
    zeros = [int(each) for each in given["pad"]]
    plain = given.get("mode", "constant") == "constant" and not given["value"]
    if not plain or min(zeros) < 0 or len(zeros) not in (2, 4) or len(shape(node)) != 4:
        raise trace.unsupported(node, f"pads by {zeros}", "zeros about the maps")
    left, right, above, below = [*zeros, 0, 0][:4]
    image = trace.map(given["self"])
    return Map(image.top, _sum(image.before, (above, left)), _sum(image.after, (below, right)))


def _max_pool(trace: Trace, node: Node, given: Arguments) -> str:
    if _pair(given["dilation"]) != (1, 1):
        raise trace.unsupported(node, f"has dilation {given['dilation']}", "windows without gaps")
    return _pool(trace, node, given, PoolingParameter.MAX)


def _average_pool(trace: Trace, node: Node, given: Arguments) -> str:
    if given["divisor_override"] is not None:
        raise trace.unsupported(node, "divides by a number of its own", "the size of the window")
    if any(_pair(given["padding"])) and not given["count_include_pad"]:
        raise trace.unsupported(node, "leaves zeros uncounted", "count_include_pad=True")
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
        raise trace.unsupported(node, f"makes {pooled} of {size}", "as many windows as Caffe makes")
    if found[0] != PoolingParameter.CEIL:
        settings["round_mode"] = found[0]
    return trace.add(node, "Pooling", [trace.top(node, given["self"])], pooling_param=settings)


def windows(
    size: Sequence[int], kernel: Sides, stride: Sides, pad: Sides, ceil: bool
) -> tuple[int, ...]:
    """Return how many windows Caffe's pooling makes of a map along each axis."""
    counts = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        rest = n + 2 * p - k
        count = (-(-rest // s) if ceil else rest // s) + 1
        # With any padding, a window that would begin behind the map is left out.
        counts.append(count - 1 if any(pad) and (count - 1) * s >= n + p else count)
    return tuple(counts)


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
        raise trace.unsupported(node, f"makes {pooled} of {size}", "a divisor of each side")
    return trace.add(node, "Pooling", [trace.top(node, given["self"])], pooling_param=settings)


def _mean(trace: Trace, node: Node, given: Arguments) -> str:
    whole = shape(given["self"])
    axes = sorted(axis % len(whole) for axis in given.get("dim") or range(len(whole)))
    if len(whole) != 4 or axes != [2, 3]:
        raise trace.unsupported(node, f"means over axes {axes} of {whole}", "(2, 3) of maps")
    settings = {"pool": PoolingParameter.AVE, "global_pooling": True}
    top = trace.top(node, given["self"])
    pooled = trace.add(node, "Pooling", [top], pooling_param=settings)
    return pooled if given["keepdim"] else trace.add(node, "Flatten", [pooled], part="rows")


def _pair(given: Sequence[int]) -> Sides:
    values = [int(each) for each in given]
    return values[0], values[-1]


def _short(values: Sequence[int]) -> list[int]:
    """Write one number where both axes have it, as Caffe's files do."""
    return list(values[:1]) if len(set(values)) == 1 else list(values)


def _sum(one: Sides, other: Sides) -> Sides:
    return one[0] + other[0], one[1] + other[1]


WRITERS: Mapping[str, Callable[[Trace, Node, Arguments], str | Map]] = {
    "conv2d": _convolution,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "mean": _mean,
}
