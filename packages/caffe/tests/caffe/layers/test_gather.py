"""Filter, BatchReindex."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, run, values

X, MAPS = values(4, 3), values(4, 2, 3, 2)
CASES = [
    Case("Filter", bottoms=(X, labels(1, 0, 0, 1))),
    Case("Filter", bottoms=(X, MAPS, labels(0, 2, 1, 0).reshape(4, 1)), tops=2, learns=(0, 1)),
    Case("BatchReindex", bottoms=(X, labels(3, 1, 1, 0, 3))),
    Case("BatchReindex", bottoms=(MAPS, labels(2))),
]


def test_filter_and_its_gradient():
    x = np.array([[1.0, 2], [3, 4], [5, 6]])
    case = Case("Filter", bottoms=(x, labels(1, 0, 1)))
    tops, bottoms = run(case, np.array([[10.0, 20], [30, 40]]))
    assert tops[0].tolist() == [[1, 2], [5, 6]]
    assert bottoms[0].tolist() == [[10, 20], [0, 0], [30, 40]]


def test_filter_length_follows_the_selector_of_each_pass():
    alone = Alone(Case("Filter", bottoms=(X, labels(1, 0, 0, 1))))
    assert alone.top[0].shape == (4, 3)
    assert np.array_equal(alone.forward()[0], X[[0, 3]])
    alone.bottom[1].data[...] = 0
    assert alone.forward()[0].shape == (0, 3)
    alone.bottom[1].data[...] = 1
    assert np.array_equal(alone.forward()[0], X)


def test_reindex_and_its_gradient():
    case = Case("BatchReindex", bottoms=(np.array([[1.0], [2], [3]]), labels(2, 0, 2)))
    tops, bottoms = run(case, np.array([[1.0], [10], [100]]))
    assert tops[0].tolist() == [[3], [1], [3]]
    assert bottoms[0].tolist() == [[10], [0], [101]]


@pytest.mark.parametrize("index", [-1, 4])
def test_reindex_refuses_an_index_out_of_range(index):
    alone = Alone(Case("BatchReindex", bottoms=(X, labels(0, index))))
    with pytest.raises(LayerError, match=f"index {index}. Allowed: 0 to 3"):
        alone.forward()


BAD = [
    (Case("Filter", bottoms=(X, labels(1, 1, 1))), r"bottom 0 has shape \(4, 3\), the selector"),
    (Case("Filter", bottoms=(X, values(4, 2))), r"the selector has shape \(4, 2\)"),
    (Case("Filter", bottoms=(X, X, labels(1, 1, 1, 1))), "3 bottoms, the last one .* 1 tops"),
    (Case("BatchReindex", bottoms=(X, values(2, 1))), r"bottom 1 has shape \(2, 1\)"),
]


@pytest.mark.parametrize(("case", "message"), BAD, ids=str)
def test_bad_shapes(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: .*{message}"):
        Alone(case)


@pytest.mark.parametrize("kind", ["Filter", "BatchReindex"])
def test_selectors_and_indexes_have_no_gradient(kind):
    case = Case(kind, bottoms=(X, labels(1, 1, 1, 1)), learns=(0, 1))
    with pytest.raises(LayerError, match=r"no gradient for the \w+, its bottom 1"):
        run(case, X)
