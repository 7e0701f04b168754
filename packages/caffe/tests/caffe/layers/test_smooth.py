"""Mish, HardSwish, Erf."""

import math

import numpy as np
import pytest

from tests.caffe.layer_case import Case, run, values

X = values(2, 5)
CASES = [
    Case("Mish", bottoms=(X,)),
    Case("Mish", bottoms=(X,), in_place=True),
    Case("HardSwish", bottoms=(X * 2.7,)),
    Case("Erf", bottoms=(X,)),
]


def test_by_hand():
    x = np.array([-4.0, -1, 0, 1, 4])
    (mish,), _ = run(Case("Mish", bottoms=(x,)))
    assert mish == pytest.approx([v * math.tanh(math.log1p(math.exp(v))) for v in x])
    (swish,), (grad,) = run(Case("HardSwish", bottoms=(x,)), np.ones(5))
    assert swish == pytest.approx([0, -1 / 3, 0, 2 / 3, 4])
    assert grad == pytest.approx([0, 1 / 6, 0.5, 5 / 6, 1])
    (erf,), (grad,) = run(Case("Erf", bottoms=(x,)), np.ones(5))
    assert erf == pytest.approx([math.erf(v) for v in x])
    assert grad == pytest.approx([2 / math.sqrt(math.pi) * math.exp(-v * v) for v in x])
