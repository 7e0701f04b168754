"""Filter and BatchReindex forward: backward, which `force_backward` may not ask of them, is in
test_gather.py.
"""

from tests.caffe.layer_case import Case, labels, values
from tests.caffe.layers.test_gather import BAD

X, MAPS = values(4, 3), values(4, 2, 3, 2)
CASES = [
    Case("Filter", bottoms=(X, labels(1, 0, 0, 1)), learns=()),
    Case("Filter", bottoms=(X, labels(1, 1, 1, 1)), learns=()),
    Case("Filter", bottoms=(X, MAPS, labels(0, -2, 0.5, 0).reshape(4, 1, 1)), tops=2, learns=()),
    Case("BatchReindex", bottoms=(X, labels(3, 1, 1, 0, 3)), learns=()),
    Case("BatchReindex", bottoms=(MAPS, labels(2)), learns=()),
]
REFUSED = [case for case, _ in BAD]
