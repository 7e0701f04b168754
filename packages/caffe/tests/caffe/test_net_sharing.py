"""Weights shared by name, and between nets."""

import numpy as np
import pytest

import caffe
from caffe.errors import NetError, ShapeError
from tests.caffe.net_case import MLP, X, net

SHARED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" A }
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" B }
  inner_product_param { num_output: NB bias_term: false TB weight_filler { type: "xavier" } } }
layer { name: "loss" type: "Reduce" bottom: "b" top: "loss" }
""".replace('layer { name: "loss" type: "Reduce" bottom: "b" top: "loss" }\n', "")


def shared(a: str = "", b: str = "", outputs: int = 3, more: str = "") -> caffe.Net:
    text = SHARED.replace(" A }", f" {a} }}").replace(" B }", f" {b} }}")
    return net("force_backward: true" + text.replace("NB", str(outputs)).replace("TB", more))


class TestSharing:
    def test_parameters_of_one_name_share_values_and_gradients(self):
        made = shared()
        made.params["b"][0].data[...] = np.arange(9).reshape(3, 3)
        w = made.params["a"][0].data
        assert np.array_equal(w, np.arange(9).reshape(3, 3))
        made.forward(x=X)
        made.backward(b=np.ones((2, 3), np.float32))
        a, ones = X @ w.T, np.ones((2, 3))
        assert made.params["a"][0].diff == pytest.approx(ones.T @ a + (ones @ w).T @ X)
        assert len(made.learnable_params) == 1

    def test_other_shapes_are_refused(self):
        with pytest.raises(ShapeError, match=r"'b'.*'w' of shape \(2, 3\).*'a'.*\(3, 3\)"):
            shared(outputs=2)

    def test_permissive_sharing_needs_equal_counts(self):
        text = "share_mode: PERMISSIVE"
        with pytest.raises(ShapeError, match=r"'w'"):
            shared(b=text, outputs=2)
        text = SHARED.replace(" A }", " }").replace(" B }", " share_mode: PERMISSIVE }")
        text = text.replace("dim: 2 dim: 3", "dim: 2 dim: 2").replace("TB", "axis: 0")
        made = net(text.replace("NB", "1"))
        assert [made.params[name][0].shape for name in "ab"] == [(3, 2), (1, 6)]
        made.params["a"][0].data[0, 1] = 7
        assert made.params["b"][0].data[0, 1] == 7

    def test_multipliers_must_agree(self):
        with pytest.raises(NetError, match="'b': shared parameter 'w' has lr_mult 3 .* 2 in.*'a'"):
            shared("lr_mult: 2", "lr_mult: 3")
        assert shared("", "lr_mult: 3").learnable_params[0].lr == 3

    def test_share_with_another_net(self):
        first, second = net(), net(phase=caffe.TEST)
        second.share_with(first)
        first.params["ip1"][0].data[0, 0] = 42
        assert second.params["ip1"][0].data[0, 0] == 42

    def test_share_with_a_net_of_other_shapes(self):
        with pytest.raises(ShapeError, match=r"layer 'ip1': shapes \(5, 3\), .* and \(4, 3\)"):
            net(MLP.replace("num_output: 4", "num_output: 5")).share_with(net())
