"""Embed, Parameter."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, values
from tests.caffe.net_case import net

FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def embed(settings: str, x: np.ndarray) -> Case:
    return Case("Embed", f"embed_param {{ {settings} {FILLED} }}", (x,), learns=())


WORDS = np.array([[0, 2, 2], [3, 0, 2]], np.float64)
CASES = [
    embed("input_dim: 4 num_output: 3", WORDS),
    embed("input_dim: 4 num_output: 3 bias_term: false", labels(0, 0, 1)),
    Case("Parameter", "parameter_param { shape { dim: 2 dim: 3 } }", learns=()),
]


def test_embed_by_hand():
    alone = Alone(embed("input_dim: 4 num_output: 2", WORDS))
    weight, bias = alone.layer.blobs
    weight.data[...] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    bias.data[...] = [0.5, -0.5]
    diff = np.arange(12.0).reshape(2, 3, 2)
    assert alone.forward()[0].tolist() == [
        [[1.5, 1.5], [5.5, 5.5], [5.5, 5.5]],
        [[7.5, 7.5], [1.5, 1.5], [5.5, 5.5]],
    ]
    for passes in (1, 2):
        alone.backward([diff], ())
        assert (weight.diff / passes).tolist() == [[8, 10], [0, 0], [16, 19], [6, 7]]
        assert (bias.diff / passes).tolist() == [30, 36]


def test_embed_truncates_fractions():
    alone = Alone(embed("input_dim: 2 num_output: 1 bias_term: false", labels(0.9, 1.9, -0.9)))
    alone.layer.blobs[0].data[...] = [[1], [2]]
    assert alone.forward()[0].tolist() == [[1], [2], [1]]


@pytest.mark.parametrize("number", [-1, 4])
def test_embed_refuses_an_index_out_of_range(number):
    alone = Alone(embed("input_dim: 4 num_output: 2", labels(0, number)))
    with pytest.raises(LayerError, match=f"layer 'layer'.*: index {number}. Allowed: 0 to 3"):
        alone.forward()


def test_embed_has_no_gradient_for_its_bottom():
    alone = Alone(embed("input_dim: 4 num_output: 2", labels(0, 1)))
    top = alone.forward()[0]
    with pytest.raises(LayerError, match="layer 'layer' .Embed.: has no gradient for its bottom"):
        alone.backward([top], (0,))


@pytest.mark.parametrize("settings", ["input_dim: 4", "num_output: 4"])
def test_embed_needs_both_sizes(settings):
    with pytest.raises(LayerError, match=r"layer 'layer'.*: num_output is \d and input_dim \d"):
        Alone(embed(settings, WORDS))


LEARNT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "p" bottom: "x" top: "loss" }
"""


def test_parameter_is_learnt():
    learnt = net(LEARNT)
    x = values(2, 3)
    assert learnt.params["p"][0].data.tolist() == np.zeros((2, 3)).tolist()
    assert learnt.forward(x=x)["loss"] == pytest.approx((x**2).sum() / 4)
    for passes in (1, 2):
        learnt.backward()
        assert learnt.params["p"][0].diff == pytest.approx(-passes * x / 2)


def test_parameter_shares_its_values_with_the_top():
    learnt = net(LEARNT)
    learnt.params["p"][0].data[...] = 2
    learnt.forward(x=np.ones((2, 3)))
    assert learnt.blobs["p"].data.tolist() == [[2] * 3] * 2
    learnt.blobs["p"].data[0, 1] = 7
    assert learnt.params["p"][0].data[0, 1] == 7
