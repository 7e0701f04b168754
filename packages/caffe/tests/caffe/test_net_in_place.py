"""In-place layers: when they may overwrite the tensor of their bottom."""

import numpy as np
import pytest

import caffe
from tests.caffe.net_case import net

IN_PLACE = """
layer {{ name: "data" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
layer {{ name: "under" type: "{}" bottom: "x" top: "y" {} }}
layer {{ name: "relu" type: "ReLU" bottom: "y" top: "y" }}
layer {{ name: "again" type: "ReLU" bottom: "y" top: "y" relu_param {{ negative_slope: 0.5 }} }}
"""


@pytest.mark.parametrize(
    ("kind", "settings", "overwrites"),
    [
        ("InnerProduct", "inner_product_param { num_output: 3 }", True),
        ("ReLU", "relu_param { negative_slope: 0.5 }", True),
        # These pass their bottom's tensor on, or need their top for the gradient.
        ("Split", "", False),
        ("Reshape", "reshape_param { shape { dim: -1 } }", False),
        ("Dropout", "", False),
        ("Sigmoid", "", False),
    ],
)
def test_in_place_layers_overwrite_only_unshared_tensors(kind, settings, overwrites):
    made = net(IN_PLACE.format(kind, settings), caffe.TEST)
    assert made.layer_dict["relu"].overwrites is overwrites
    x = np.array([[-1.0, 2, -3], [4, -5, 6]], np.float32)
    made.forward(x=x)
    assert made.blobs["x"].data.tolist() == x.tolist()
    assert (made.blobs["y"].data >= 0).all()


def test_view_of_an_overwritten_blob_stays_live():
    made = net(IN_PLACE.format("InnerProduct", "inner_product_param { num_output: 3 }"))
    seen = made.blobs["y"].data
    made.params["under"][0].data[...] = np.eye(3)
    made.forward(x=np.array([[-1.0, 2, -3], [4, -5, 6]], np.float32))
    assert seen.tolist() == [[0, 2, 0], [4, 0, 6]]
