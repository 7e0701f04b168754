"""LRN."""

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.parity.layers.inputs import X

MAPS = values(2, 7, 5, 6)
SETTINGS = [
    "",
    "local_size: 1",
    "local_size: 3 alpha: 0.5 beta: 0.6 k: 2",
    "local_size: 5 alpha: 0.0001 beta: 0.75",
    "local_size: 5 alpha: 2 beta: 1.5",
    "local_size: 7 beta: 0.5",
    "local_size: 15 alpha: 3",
]
REGIONS = [f"norm_region: {region}" for region in ("ACROSS_CHANNELS", "WITHIN_CHANNEL")]


def lrn(settings: str, x: np.ndarray) -> Case:
    return Case("LRN", f"lrn_param {{ {settings} }}", (x,))


CASES = [
    *(lrn(f"{settings} {region}", MAPS) for settings in SETTINGS for region in REGIONS),
    lrn("alpha: 0.01", values(3, 20, 4, 4, low=-100, high=100)),
]
REFUSED = [lrn("local_size: 4", MAPS), lrn("", X)]
