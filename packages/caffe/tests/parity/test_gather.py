"""Filter and BatchReindex above a layer that learns, in both engines."""

import pytest

from tests.caffe.layer_case import labels, values
from tests.parity.compare import check_net

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 dim: 3 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 5 dim: 2 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 5 } } }
layer { name: "y" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
"""
FILTER = 'layer { name: "f" type: "Filter" bottom: "y" bottom: "t" bottom: "s" top: "a" top: "b" }'
REINDEX = """
layer { name: "f" type: "BatchReindex" bottom: "y" bottom: "s" top: "a" }
layer { name: "b" type: "Split" bottom: "t" top: "b" }
"""
LOSS = 'layer { name: "l" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }'


@pytest.mark.parametrize(
    ("layer", "choice"), [(FILTER, labels(0, 1, 1, 0, 1)), (REINDEX, labels(4, 1, 1, 0, 4))]
)
def test_gradient(real_caffe, measured, layer, choice):
    inputs = {"x": values(5, 3), "t": values(5, 2, seed=1), "s": choice}
    measured(check_net(real_caffe, NET + layer + LOSS, inputs))
