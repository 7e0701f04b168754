"""Split, Silence, Flatten, Reshape, Permute."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

CASES = [
    Case("Split", bottoms=(values(2, 3),), tops=3),
    Case("Split", bottoms=(values(2, 3),), tops=1),
    Case("Silence", bottoms=(values(2, 3), values(4)), tops=0, learns=(0, 1)),
    Case("Flatten", bottoms=(values(2, 3, 4),)),
    Case("Flatten", "flatten_param { axis: 0 end_axis: -2 }", (values(2, 3, 4),)),
    Case("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }", (values(2, 3, 4),)),
    Case("Permute", "permute_param { order: 0 order: 2 order: 1 }", (values(2, 3, 4),)),
    Case("Permute", "permute_param { order: 2 }", (values(2, 3, 4),)),
    Case("Permute", bottoms=(values(2, 3),)),
]


def test_split_adds_the_gradients():
    case = Case("Split", bottoms=(np.array([1.0, 2]),), tops=2)
    tops, bottoms = run(case, np.array([3.0, 4]), np.array([10.0, 20]))
    assert [top.tolist() for top in tops] == [[1, 2], [1, 2]]
    assert bottoms[0].tolist() == [13, 24]


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("", (2, 60)),
        ("axis: 2", (2, 3, 20)),
        ("axis: -2 end_axis: -1", (2, 3, 20)),
        ("axis: 0 end_axis: 1", (6, 4, 5)),
        ("axis: 1 end_axis: 1", (2, 3, 4, 5)),
        ("axis: 2 end_axis: 1", (2, 3, 1, 4, 5)),  # nothing merged: an axis of 1, as in Caffe
    ],
)
def test_flatten_shapes(settings, shape):
    x = values(2, 3, 4, 5)
    tops, bottoms = run(Case("Flatten", f"flatten_param {{ {settings} }}", (x,)), x.reshape(shape))
    assert np.array_equal(tops[0], x.reshape(shape))
    assert np.array_equal(bottoms[0], x)


RESHAPES = [
    ("shape { dim: 0 dim: -1 }", (2, 12)),
    ("shape { dim: 4 dim: 6 }", (4, 6)),
    ("shape { dim: 0 dim: 0 dim: 2 dim: -1 }", (2, 3, 2, 2)),
    ("shape { dim: 3 dim: 2 } axis: 0 num_axes: 2", (3, 2, 4)),
    ("shape { dim: 1 } axis: 1 num_axes: 0", (2, 1, 3, 4)),
    ("shape { dim: 1 } axis: -1 num_axes: 0", (2, 3, 4, 1)),
    ("shape { dim: -1 } axis: 1", (2, 12)),
    ("shape {} axis: 0 num_axes: 0", (2, 3, 4)),
]


@pytest.mark.parametrize(("settings", "shape"), RESHAPES)
def test_reshape_shapes(settings, shape):
    x = values(2, 3, 4)
    tops, bottoms = run(Case("Reshape", f"reshape_param {{ {settings} }}", (x,)), x.reshape(shape))
    assert np.array_equal(tops[0], x.reshape(shape))
    assert np.array_equal(bottoms[0], x)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("Reshape", "shape { dim: 5 dim: -1 }", "24 elements, not divisible by 5"),
        ("Reshape", "shape { dim: 5 }", r"\(2, 3, 4\) cannot become \(5,\)"),
        ("Reshape", "shape { dim: -1 dim: -1 }", "one -1"),
        ("Reshape", "shape { dim: -2 }", "sizes from 0 up"),
        ("Reshape", "shape { dim: 1 dim: 1 dim: 1 dim: 0 }", "0 for axis 3"),
        ("Reshape", "axis: 2 num_axes: 2", "axis 2 and num_axes 2 do not fit 3 axes"),
        ("Reshape", "axis: -5", "axis -5 .* do not fit 3 axes"),
        ("Flatten", "axis: 3", r"axis 3 of a blob of shape \(2, 3, 4\)"),
        ("Flatten", "axis: 2 end_axis: 0", "end_axis 0 is before axis 2"),
        ("Permute", "order: 1 order: 1", r"order is \[1, 1\], .* 0 to 2, each once"),
        ("Permute", "order: 3", r"order is \[3\], bottom has shape \(2, 3, 4\)"),
    ],
)
def test_bad_shapes(kind, settings, message):
    case = Case(kind, f"{kind.lower()}_param {{ {settings} }}", (values(2, 3, 4),))
    with pytest.raises(LayerError, match=f"layer 'layer' .{kind}.: .*{message}"):
        Alone(case)


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
def test_not_in_place(kind):
    with pytest.raises(LayerError, match="its top is its bottom"):
        Alone(Case(kind, bottoms=(values(2, 3),), in_place=True))


@given(st.permutations(range(4)), st.integers(0, 4))
def test_permute_is_numpys_transpose(order, given_axes):
    given, x = order[:given_axes], values(2, 3, 4, 5)
    whole = [*given, *(axis for axis in range(4) if axis not in given)]
    settings = "".join(f" order: {axis}" for axis in given)
    expected = x.transpose(whole)
    tops, bottoms = run(Case("Permute", f"permute_param {{{settings} }}", (x,)), expected)
    assert np.array_equal(tops[0], expected)
    assert np.array_equal(bottoms[0], x)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_flatten_keeps_the_number_of_elements(shape, data):
    first = data.draw(st.integers(0, len(shape) - 1))
    last = data.draw(st.integers(first, len(shape) - 1))
    settings = f"flatten_param {{ axis: {first} end_axis: {last} }}"
    top = Alone(Case("Flatten", settings, (np.zeros(shape),))).top[0]
    assert top.count == math.prod(shape)
    assert len(top.shape) == len(shape) - (last - first)
