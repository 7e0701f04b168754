"""AbsVal, Exp, Log, Power, Threshold.

In place, real Caffe overwrites the gradients of Log and Power before it reads them: the values only
are compared.
"""

import itertools

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.parity.layers.activation import KINKED
from tests.parity.layers.inputs import MAPS, X

POSITIVE = values(2, 3, 4, low=0.2, high=3)
INSIDE = [f"scale: {scale} shift: {shift}" for scale in (1, 0.5, -2) for shift in (0, 1, 7)]
CASES = [
    Case("AbsVal", bottoms=(MAPS,)),
    Case("AbsVal", bottoms=(KINKED,)),
    *(
        Case(kind, f"{kind.lower()}_param {{ base: {base} {inside} }}", (POSITIVE,))
        for kind, base, inside in itertools.product(("Exp", "Log"), (-1, 2, 0.5), INSIDE)
    ),
    Case("Exp", "exp_param { base: 3 scale: 0.5 shift: -1 }", (MAPS,), in_place=True),
    Case("Log", "log_param { base: 3 scale: 0.5 shift: 1 }", (POSITIVE,), learns=(), in_place=True),
    Case("Exp", bottoms=(np.minimum(KINKED, 2),)),
    Case("Log", bottoms=(np.array([0.0, -0.0, -1, 2, 1]),)),
    *(
        Case("Power", f"power_param {{ power: {power} {inside} }}", (x,))
        for power, inside, x in itertools.product(
            (0, 1, 2, 3, 0.5, -1), [*INSIDE, "scale: 0 shift: 2"], (POSITIVE, KINKED)
        )
    ),
    Case("Power", "power_param { power: 3 scale: 2 }", (MAPS,), learns=(), in_place=True),
    *(
        Case("Threshold", f"threshold_param {{ threshold: {at} }}", (KINKED,), learns=())
        for at in (0, 1, -2.5)
    ),
    Case("Threshold", bottoms=(MAPS,), learns=(), in_place=True),
]
REFUSED = [
    *(
        Case(kind, bottoms=bottoms, tops=tops)
        for kind in ("AbsVal", "Exp", "Log", "Power", "Threshold")
        for bottoms, tops in (((X,), 2), ((X, X), 1))
    ),
    Case("AbsVal", bottoms=(X,), in_place=True),
    *(
        Case(kind, f"{kind.lower()}_param {{ base: {base} }}", (X,))
        for kind in ("Exp", "Log")
        for base in ("0", "-2", "inf", "nan")
    ),
    Case("Log", "log_param { base: 1 }", (X,)),
]
