"""Scale and Bias."""

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.parity.layers.inputs import MAPS

FILLED = 'filler { type: "gaussian" }'
BIASED = 'bias_term: true bias_filler { type: "gaussian" }'
PLACES = [
    "",
    "axis: 0",
    "axis: 0 num_axes: 3",
    "axis: 1 num_axes: 2",
    "axis: 2 num_axes: -1",
    "axis: -1",
]
# Sums over all values are compared for tops that are losses, since the sum of `values` is 0.
POSITIVE = values(2, 3, 4, low=0)
ONE = "num_axes: 0"
SECOND = [
    ("axis: 0", (2,)),
    ("axis: 0", (2, 3)),
    ("axis: 2", (4, 5)),
    ("", (3, 4)),
    ("axis: -1", (5,)),
]


def scale(settings: str, *bottoms, **more) -> Case:
    return Case("Scale", f"scale_param {{ {settings} }}", bottoms, **more)


def bias(settings: str, *bottoms, **more) -> Case:
    return Case("Bias", f"bias_param {{ {settings} }}", bottoms, **more)


CASES = [
    *(
        scale(f"{place} {filled}", MAPS, in_place=in_place)
        for place in PLACES
        for filled in ("", f"{FILLED} {BIASED}", FILLED)
        for in_place in (False, True)
    ),
    *(
        bias(f"{place} {FILLED}", MAPS, in_place=in_place)
        for place in PLACES
        for in_place in (False, True)
    ),
    *(
        kind(f"{place} {term}", MAPS, values(*shape, seed=2), learns=(0, 1))
        for place, shape in SECOND
        for kind, term in ((scale, ""), (scale, BIASED), (bias, ""))
    ),
    *(kind("axis: 0", MAPS, values(2, 3, 4, 5, seed=2), learns=(0, 1)) for kind in (scale, bias)),
    *(scale(f"{ONE} {FILLED}", MAPS, in_place=in_place) for in_place in (False, True)),
    Case("Scale", f"scale_param {{ {ONE} {FILLED} {BIASED} }} loss_weight: 2", (POSITIVE,)),
    Case("Bias", f"bias_param {{ {ONE} {FILLED} }} loss_weight: 2", (MAPS,)),
    *(
        Case(kind, "loss_weight: 2", (POSITIVE, np.array(3.0)), learns=(0, 1))
        for kind in ("Scale", "Bias")
    ),
]
REFUSED = [
    scale("axis: 1 num_axes: 4", MAPS),
    scale("num_axes: -2", MAPS),
    scale("", MAPS, values(4)),
    bias("axis: 4", MAPS),
    bias("axis: 3", MAPS, values(4, 1)),
]
