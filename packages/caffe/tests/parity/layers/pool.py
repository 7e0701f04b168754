"""Pooling and SPP."""

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.parity.layers.inputs import MAPS, X

ODD = values(2, 3, 7, 10)
EQUAL = np.random.default_rng(0).integers(0, 3, (2, 4, 9, 8)).astype(np.float64)
WINDOWS = [
    "kernel_size: 2 stride: 2",
    "kernel_size: 3 stride: 2",
    "kernel_size: 3 stride: 2 pad: 1",
    "kernel_size: 3 stride: 1 pad: 1",
    "kernel_size: 3 pad: 2",
    "kernel_size: 4 stride: 3 pad: 3",
    "kernel_size: 2 stride: 3 pad: 1",
    "kernel_size: 5 stride: 4 pad: 2",
    "kernel_size: 7",
    "kernel_h: 1 kernel_w: 4 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 2",
    "kernel_h: 4 kernel_w: 2 stride_h: 3 stride_w: 2 pad_h: 3 pad_w: 1",
    "kernel_size: 3 kernel_h: 2",
    "kernel_size: 2 stride: 2 round_mode: FLOOR",
    "kernel_size: 4 stride: 3 pad: 3 round_mode: FLOOR",
    "global_pooling: true",
]


def pool(settings: str, x: np.ndarray, **more) -> Case:
    return Case("Pooling", f"pooling_param {{ {settings} }}", (x,), **more)


CASES = [
    *(pool(f"pool: {method} {windows}", ODD) for method in ("MAX", "AVE") for windows in WINDOWS),
    # Windows outside the map: real Caffe writes their maximum's gradient outside its array, and
    # their mean may be 0 / 0.
    pool("pool: MAX kernel_size: 1 stride: 3", values(2, 3, 5, 8), learns=()),
    pool("pool: AVE kernel_h: 2 kernel_w: 1 stride: 4", values(2, 3, 6, 6)),
    *(pool(f"pool: MAX {windows}", EQUAL, tops=2) for windows in WINDOWS),
    *(
        Case("SPP", f"spp_param {{ pyramid_height: {height} pool: {method} }}", (x,))
        for height, x in ((1, ODD), (2, ODD), (3, values(2, 3, 12, 9)), (3, values(1, 2, 7, 15)))
        for method in ("MAX", "AVE")
    ),
]
REFUSED = [
    pool("", ODD),
    pool("kernel_h: 2", ODD),
    pool("kernel_size: 2 kernel_h: 2 kernel_w: 2", ODD),
    pool("kernel_size: 0", ODD),
    pool("kernel_size: 2 pad: 2", ODD),
    pool("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", ODD),
    pool("kernel_size: 2 stride_h: 1", ODD),
    pool("kernel_size: 8", ODD),
    pool("kernel_size: 12", ODD),
    pool("global_pooling: true kernel_size: 2", ODD),
    pool("global_pooling: true pad: 1", ODD),
    pool("kernel_size: 2", X),
    pool("pool: AVE kernel_size: 2", ODD, tops=2),
    pool("pool: STOCHASTIC kernel_size: 2 pad: 1", ODD),
    Case("SPP", "spp_param { pyramid_height: 4 }", (MAPS,)),
    Case("SPP", "spp_param { pyramid_height: 1 }", (X,)),
]
