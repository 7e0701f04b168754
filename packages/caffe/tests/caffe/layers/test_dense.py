"""InnerProduct, MatMul."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
CASES = [
    Case("InnerProduct", f"inner_product_param {{ {settings} {FILLED} }}", (values(3, 2, 4),))
    for settings in (
        "num_output: 5",
        "num_output: 5 bias_term: false",
        "num_output: 3 axis: 2",
        "num_output: 3 axis: -1 transpose: true",
        "num_output: 2 axis: 0",
    )
]
CASES += [
    Case("MatMul", bottoms=(values(*one), values(*other)), learns=(0, 1))
    for one, other in (((3, 4), (4, 2)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)))
]
X = np.array([[1.0, 2], [3, 4]])
W = np.array([[1.0, 0], [0, 1], [1, 1]])
B = np.array([0.5, -0.5, 0])
GRADIENT = np.array([[1.0, 2, 3], [4, 5, 6]])


def test_by_hand():
    case = Case("InnerProduct", "inner_product_param { num_output: 3 }", (X,))
    tops, bottoms = run(case, GRADIENT, blobs=[W, B])
    assert tops[0].tolist() == [[1.5, 1.5, 3], [3.5, 3.5, 7]]
    assert bottoms[0].tolist() == [[4, 5], [10, 11]]


def test_gradients_of_the_weights_by_hand():
    alone = Alone(Case("InnerProduct", "inner_product_param { num_output: 3 }", (X,)))
    alone.forward()
    for times in (1, 2):
        alone.backward([GRADIENT])
        weight, bias = (blob.diff for blob in alone.layer.blobs)
        assert weight.tolist() == (times * np.array([[13, 18], [17, 24], [21, 30]])).tolist()
        assert bias.tolist() == (times * np.array([5, 7, 9])).tolist()


def test_transpose_equals_transposed_weights():
    case = Case("InnerProduct", "inner_product_param { num_output: 3 transpose: true }", (X,))
    tops, bottoms = run(case, GRADIENT, blobs=[W.T, B])
    assert tops[0].tolist() == [[1.5, 1.5, 3], [3.5, 3.5, 7]]
    assert bottoms[0].tolist() == [[4, 5], [10, 11]]


@pytest.mark.parametrize(
    ("settings", "weight", "top"),
    [
        ("", (7, 24), (5, 7)),
        ("axis: 2", (7, 12), (5, 2, 7)),
        ("axis: -1", (7, 4), (5, 2, 3, 7)),
        ("axis: 0", (7, 120), (7,)),
        ("transpose: true", (24, 7), (5, 7)),
    ],
)
def test_shapes(settings, weight, top):
    settings = f"inner_product_param {{ num_output: 7 {settings} }}"
    alone = Alone(Case("InnerProduct", settings, (values(5, 2, 3, 4),)))
    assert alone.layer.blobs[0].shape == weight
    assert alone.layer.blobs[1].shape == (7,)
    assert alone.top[0].shape == top


def test_frozen_weights_get_no_gradient():
    alone = Alone(Case("InnerProduct", "inner_product_param { num_output: 3 }", (X,)))
    alone.layer.param_propagate_down[:] = [False, True]
    alone.forward()
    alone.backward([GRADIENT])
    assert not alone.layer.blobs[0].diff.any()
    assert alone.layer.blobs[1].diff.tolist() == [5, 7, 9]


def test_inputs_of_another_size_are_refused():
    alone = Alone(Case("InnerProduct", "inner_product_param { num_output: 3 }", (X,)))
    alone.bottom[0].reshape(2, 5)
    with pytest.raises(LayerError, match=r"layer 'layer'.*\(2, 5\).* 5 inputs.* have 2"):
        alone.layer.reshape(alone.bottom, alone.top)


@pytest.mark.parametrize(
    ("settings", "message"),
    [("", "num_output is missing"), ("num_output: 2 axis: 2", "axis 2 of a blob of shape")],
)
def test_bad_settings(settings, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .InnerProduct.: {message}"):
        Alone(Case("InnerProduct", f"inner_product_param {{ {settings} }}", (X,)))


def test_too_many_bottoms():
    with pytest.raises(LayerError, match="has 2 bottom blobs. Allowed: 1"):
        Alone(Case("InnerProduct", "inner_product_param { num_output: 1 }", (X, X)))


def test_products_of_two_blobs_by_hand():
    other = np.array([[1.0, 0, 2], [0, 1, -1]])
    tops, bottoms = run(Case("MatMul", bottoms=(X, other), learns=(0, 1)), np.ones((2, 3)))
    assert tops[0].tolist() == [[1, 2, 0], [3, 4, 2]]
    assert bottoms[0].tolist() == [[3, 0], [3, 0]]
    assert bottoms[1].tolist() == [[4, 4, 4], [6, 6, 6]]


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((4,), (4, 2)), ((2, 3, 4), (3, 4, 2))])
def test_matrices_that_have_no_product(shapes):
    with pytest.raises(LayerError, match=r"Needed: \(\.\.\., M, K\) and \(\.\.\., K, N\)"):
        Alone(Case("MatMul", bottoms=tuple(values(*shape) for shape in shapes)))
