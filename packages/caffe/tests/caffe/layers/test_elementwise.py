"""AbsVal, Exp, Log, Power, Threshold."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

X, POSITIVE = values(3, 4), values(3, 4, low=0.5, high=3)
BASES = ("", "base: 2", "base: 2 scale: 1.5 shift: 0.25", "base: 0.5 scale: 0.5", "shift: 1")
CASES = [
    Case("AbsVal", bottoms=(X,)),
    *(Case("Exp", f"exp_param {{ {base} }}", (X,)) for base in BASES),
    Case("Exp", "exp_param { base: 3 scale: -0.5 }", (X,), in_place=True),
    *(Case("Log", f"log_param {{ {base} }}", (POSITIVE,)) for base in BASES),
    *(
        Case("Power", f"power_param {{ {settings} }}", (POSITIVE,))
        for settings in (
            "",
            "scale: 2",
            "scale: -2 shift: 0.5",
            "power: 2",
            "power: 2 scale: 0.5 shift: -3",
            "power: 3",
            "power: 3 scale: 2",
            "power: -0.5 scale: 3 shift: 1",
            "power: 0",
            "power: 2 scale: 0 shift: 3",
        )
    ),
    *(
        Case(
            "Power",
            f"power_param {{ power: {power} scale: 3 shift: 1 }}",
            (POSITIVE,),
            in_place=True,
        )
        for power in (0, 1, 2, 3)
    ),
    Case("Log", "log_param { base: 3 scale: 0.5 }", (POSITIVE,), in_place=True),
    Case("Threshold", "threshold_param { threshold: 0.5 }", (X,), learns=()),
]
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("kind", "settings", "x", "y", "slope"),
    [
        ("AbsVal", "", [-2, 0, 3], [2, 0, 3], [-1, 0, 1]),
        ("Exp", "", [0, math.log(2), -math.log(4)], [1, 2, 0.25], [1, 2, 0.25]),
        (
            "Exp",
            "exp_param { base: 2 scale: 3 shift: 1 }",
            [0, 1, -1],
            [2, 16, 0.25],
            [2 * 3 * math.log(2), 16 * 3 * math.log(2), 0.25 * 3 * math.log(2)],
        ),
        ("Log", "", [1, math.e, 0], [0, 1, -INF], [1, 1 / math.e, INF]),
        (
            "Log",
            "log_param { base: 2 scale: 3 shift: 2 }",
            [2, 0, -1],
            [3, 1, NAN],
            [3 / 8 / math.log(2), 3 / 2 / math.log(2), -3 / math.log(2)],
        ),
        ("Power", "", [-2, 0, 3], [-2, 0, 3], [1, 1, 1]),
        ("Power", "power_param { scale: 2 shift: 1 }", [-2, 0, 3], [-3, 1, 7], [2, 2, 2]),
        (
            "Power",
            "power_param { power: 2 scale: 2 shift: 1 }",
            [-2, 0, 3],
            [9, 1, 49],
            [-12, 4, 28],
        ),
        ("Power", "power_param { power: 3 }", [-2, 0, 3], [-8, 0, 27], [12, NAN, 27]),
        ("Power", "power_param { power: 3 shift: 1 }", [-2, -1, 1], [-1, 0, 8], [3, NAN, 12]),
        ("Power", "power_param { power: 0 }", [-2, 0, 3], [1, 1, 1], [0, 0, 0]),
        ("Power", "power_param { power: 2 scale: 0 shift: 3 }", [-2, 0, 3], [9, 9, 9], [0, 0, 0]),
        ("Power", "power_param { power: 0.5 scale: 0 shift: -1 }", [1, 2, 3], [NAN] * 3, [0, 0, 0]),
    ],
)
def test_by_hand(kind, settings, x, y, slope):
    tops, bottoms = run(Case(kind, settings, (np.array(x, float),)), np.array([1.0, 2, 4]))
    assert tops[0] == pytest.approx(np.array(y), nan_ok=True)
    assert bottoms[0] == pytest.approx(np.array(slope) * [1, 2, 4], nan_ok=True)


def test_threshold_itself_counts_as_below():
    case = Case("Threshold", "threshold_param { threshold: 0.5 }", (np.array([0.25, 0.5, 0.75]),))
    assert run(case)[0][0].tolist() == [0, 0, 1]


def test_threshold_has_no_gradient():
    with pytest.raises(LayerError, match=r"layer 'layer' \(Threshold\): has no gradient"):
        run(Case("Threshold", bottoms=(X,)), X)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("Exp", "exp_param { base: 0 }", (X,)), "base is 0. Allowed: above 0, or -1 for e"),
        (Case("Log", "log_param { base: -2 }", (X,)), "base is -2. Allowed: above 0, or -1 for e"),
        (Case("Log", "log_param { base: 1 }", (X,)), "base is 1. Allowed: above 0 and not 1"),
        (Case("AbsVal", bottoms=(X,), in_place=True), "its top is its bottom. Allowed: another"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: {message}"):
        Alone(case)
