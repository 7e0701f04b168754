"""How the coordinates of two blobs relate, so that one can be cropped to the other.

A map is (axis, scale, shift): a coordinate x of the first blob is at scale * x + shift in the
second, on the axes from `axis` on; `axis` is None for a layer that keeps coordinates. Scale and
shift are arrays where axes may differ, as kernel sizes may.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.errors import MappingError, NetError
from caffe.net_spec import Function, Top, layers

Numbers = NDArray[Any] | float
Map = tuple[int | None, Numbers, Numbers]

PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BNLL",
    "BatchNorm",
    "Bias",
    "Dropout",
    "ELU",
    "Eltwise",
    "Exp",
    "LRN",
    "Log",
    "MVN",
    "PReLU",
    "Power",
    "ReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
]
IDENTITY: Map = (None, 1, 0)


class UndefinedMapException(NetError):
    """A layer has no map: its outputs have no position in its inputs."""


class AxisMismatchException(NetError):
    """Two maps are about different axes."""


def conv_params(fn: Function) -> tuple[int, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return axis, stride, extent of the kernel (dilation included) and pad of a layer.

    Raises
    ------
    MappingError
        If the layer has no kernel_size, or a setting by axis such as kernel_h.
    """
    params = fn.params
    for settings in ("convolution_param", "pooling_param"):
        params = params.get(settings, params)
    by_axis = {f"{name}_{axis}" for name in ("pad", "kernel", "stride") for axis in "hw"}
    if by_axis & set(params) or "kernel_size" not in params:
        raise MappingError(
            f"{fn.type_name} with {', '.join(params) or 'no settings'}: cropping needs "
            "kernel_size, stride and pad, not those by axis such as kernel_h"
        )
    size = np.atleast_1d(params["kernel_size"])
    stride, dilation = (np.atleast_1d(params.get(name, 1)) for name in ("stride", "dilation"))
    pad = np.atleast_1d(params.get("pad", 0))
    return params.get("axis", 1), stride, (size - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, NDArray[Any]]:
    """Return axis and offset of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.atleast_1d(params.get("offset", 0))


def coord_map(fn: Function) -> Map:
    """Return the map from a layer's output to its input.

    Raises
    ------
    UndefinedMapException
        If the type has none.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, size, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (size - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, size, pad = conv_params(fn)
        return axis, stride, (size - 1) / 2 - pad
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    raise UndefinedMapException(f"the coordinates of {fn.type_name} have no map to its input's")


def compose(base_map: Map, next_map: Map) -> Map:
    """Return the map that applies `next_map` first, then `base_map`.

    Raises
    ------
    AxisMismatchException
        If their axes differ.
    """
    (axis, scale, shift), (next_axis, next_scale, next_shift) = base_map, next_map
    if None not in (axis, next_axis) and axis != next_axis:
        raise AxisMismatchException(f"axis {axis} in one map, axis {next_axis} in the other")
    axis = next_axis if axis is None else axis
    return axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: Map) -> Map:
    """Return the inverse of a map."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Return the map from one top's coordinates to another's, via a common ancestor.

    Raises
    ------
    MappingError
        If no common ancestor is reached through layers that have a map.
    """
    from_maps = dict(_maps_to_inputs(top_from))
    for top, to_map in _maps_to_inputs(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise MappingError(
        f"no map from {top_from.fn.type_name} to {top_to.fn.type_name}: are they connected by "
        "spatial layers?"
    )


def _maps_to_inputs(top: Top) -> Iterator[tuple[Top, Map]]:
    """Yield a top and all its ancestors, each with the map from the top to it."""
    seen = {top}
    frontier = [(top, IDENTITY)]
    while frontier:
        reached, reached_map = frontier.pop()
        yield reached, reached_map
        # A Crop's second input is only a size.
        inputs = reached.fn.inputs[: 1 if reached.fn.type_name == "Crop" else None]
        try:
            for bottom in inputs:
                if bottom not in seen:
                    frontier.append((bottom, compose(reached_map, coord_map(reached.fn))))
                    seen.add(bottom)
        except UndefinedMapException:
            continue


def crop(top_from: Top, top_to: Top) -> Any:
    """Return a Crop layer's top: the first top cropped to the size and place of the second.

    Raises
    ------
    MappingError
        If scales differ, or an offset is negative or not an integer.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    shift = np.atleast_1d(shift)
    if not np.all(scale == 1):
        raise MappingError(f"scale mismatch on crop (a = {scale})")
    if not np.all(shift <= 0):
        raise MappingError(f"cannot crop negative offset (b = {shift})")
    if not np.all(np.round(shift) == shift):
        raise MappingError(f"cannot crop noninteger offset (b = {shift})")
    if axis is None:
        raise MappingError("cannot crop: no layer between the two says which axes are spatial")
    return layers.Crop(
        top_from, top_to, crop_param={"axis": axis + 1, "offset": [int(-n) for n in shift]}
    )
