"""Split, Silence."""

import numpy as np

from tests.caffe.layer_case import Case, run, values

CASES = [
    Case("Split", bottoms=(values(2, 3),), tops=3),
    Case("Split", bottoms=(values(2, 3),), tops=1),
    Case("Silence", bottoms=(values(2, 3), values(4)), tops=0, learns=(0, 1)),
]


def test_split_adds_the_gradients():
    case = Case("Split", bottoms=(np.array([1.0, 2]),), tops=2)
    tops, bottoms = run(case, np.array([3.0, 4]), np.array([10.0, 20]))
    assert [top.tolist() for top in tops] == [[1, 2], [1, 2]]
    assert bottoms[0].tolist() == [13, 24]
