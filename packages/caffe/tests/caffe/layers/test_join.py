"""Concat, Slice, Tile, Crop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caffe.blob import Blob
from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

X, Y = values(2, 3, 4), values(2, 1, 4, seed=1)
CASES = [
    Case("Concat", bottoms=(X, Y, X), learns=(0, 1, 2)),
    Case("Concat", "concat_param { axis: -1 }", (X, values(2, 3, 1)), learns=(0, 1)),
    Case("Concat", "concat_param { concat_dim: 0 }", (X, values(1, 3, 4)), learns=(1,)),
    Case("Concat", bottoms=(X,)),
    Case("Slice", bottoms=(X,), tops=3),
    Case("Slice", "slice_param { axis: -1 slice_point: 1 slice_point: 3 }", (X,), tops=3),
    Case("Slice", "slice_param { slice_dim: 0 }", (X,), tops=2),
    Case("Slice", bottoms=(X,)),
    Case("Tile", "tile_param { tiles: 3 }", (X,)),
    Case("Tile", "tile_param { tiles: 2 axis: -1 }", (X,)),
    Case("Crop", "crop_param { offset: 1 }", (values(1, 2, 4, 5), values(1, 2, 3, 2))),
    Case("Crop", "crop_param { axis: 1 offset: 1 offset: 0 }", (X, values(5, 2, 3))),
]


def test_concat_and_its_gradient():
    parts = np.array([[1.0], [2]]), np.array([[3.0, 4], [5, 6]])
    case = Case("Concat", bottoms=parts, learns=(0, 1))
    tops, bottoms = run(case, np.array([[10.0, 20, 30], [40, 50, 60]]))
    assert tops[0].tolist() == [[1, 3, 4], [2, 5, 6]]
    assert [b.tolist() for b in bottoms] == [[[10], [40]], [[20, 30], [50, 60]]]


def test_slice_and_its_gradient():
    case = Case("Slice", "slice_param { slice_point: 1 }", (np.array([[1.0, 2, 3]]),), tops=2)
    tops, bottoms = run(case, np.array([[10.0]]), np.array([[20.0, 30]]))
    assert [top.tolist() for top in tops] == [[[1]], [[2, 3]]]
    assert bottoms[0].tolist() == [[10, 20, 30]]


def test_tile_and_its_gradient():
    case = Case("Tile", "tile_param { axis: 0 tiles: 2 }", (np.array([[1.0, 2], [3, 4]]),))
    tops, bottoms = run(case, np.array([[1.0, 2], [3, 4], [10, 20], [30, 40]]))
    assert tops[0].tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert bottoms[0].tolist() == [[11, 22], [33, 44]]


def test_crop_and_its_gradient():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    case = Case("Crop", "crop_param { offset: 1 offset: 2 }", (x, np.zeros((1, 1, 2, 1))))
    tops, bottoms = run(case, np.array([[[[5.0], [7]]]]))
    assert tops[0].tolist() == [[[[6], [10]]]]
    assert bottoms[0].tolist() == [[[[0, 0, 0, 0], [0, 0, 5, 0], [0, 0, 7, 0]]]]


@pytest.mark.parametrize(
    ("kind", "settings", "tops"),
    [("Concat", "", 1), ("Slice", "", 3), ("Tile", "tile_param { tiles: 2 }", 1)],
)
def test_channels_last_is_kept(kind, settings, tops):
    alone = Alone(Case(kind, settings, (values(2, 3, 4, 5),), tops))
    bottom = Blob((2, 3, 4, 5), torch.float64)
    bottom.set_data(torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last))
    alone.layer.forward([bottom], alone.top)
    assert all(b.tensor.is_contiguous(memory_format=torch.channels_last) for b in alone.top)


def test_later_writes_into_a_sliced_blob_do_not_show_in_the_slices():
    alone = Alone(Case("Slice", bottoms=(X,), tops=3))
    alone.forward()
    alone.bottom[0].data[...] = 0
    assert np.array_equal(alone.top[1].data, X[:, 1:2])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 2))
def test_concat_undoes_slice(sizes, axis):
    shape = [2, 3, 4]
    shape[axis] = sum(sizes)
    x = values(*shape)
    points = " ".join(f"slice_point: {n}" for n in np.cumsum(sizes)[:-1])
    tops, _ = run(Case("Slice", f"slice_param {{ axis: {axis} {points} }}", (x,), len(sizes)))
    assert [top.shape[axis] for top in tops] == sizes
    (joined,), _ = run(Case("Concat", f"concat_param {{ axis: {axis} }}", tuple(tops)))
    assert np.array_equal(joined, x)


MAPS = values(2, 3, 4, 5)
BOTH = "Allowed: one of the two"
BAD = [
    (Case("Concat", "concat_param { axis: 1 concat_dim: 1 }", (X, X)), BOTH),
    (Case("Concat", "concat_param { concat_dim: 3 }", (X, X)), r"concat_dim is 3.*\(2, 3, 4\)"),
    (Case("Concat", "concat_param { axis: -4 }", (X, X)), r"axis -4 of a blob of shape \(2, 3, 4"),
    (Case("Concat", bottoms=(X, values(2, 3, 5))), r"bottom 1 has shape \(2, 3, 5\), bottom 0 has"),
    (Case("Concat", bottoms=(X, values(2, 3))), r"bottom 1 has shape \(2, 3\), bottom 0 has"),
    (Case("Slice", "slice_param { axis: 1 slice_dim: 1 }", (X,), 3), BOTH),
    (Case("Slice", "slice_param { slice_dim: 3 }", (X,), 3), r"slice_dim is 3.*\(2, 3, 4\)"),
    (Case("Slice", bottoms=(X,), tops=2), r"axis 1 of shape \(2, 3, 4\) .* 2 equal parts"),
    (Case("Slice", "slice_param { slice_point: 1 }", (X,), 3), r"slice_point is \[1\], for 3 tops"),
    (Case("Slice", "slice_param { slice_point: 0 }", (X,), 2), "ascending numbers from 1 to 3"),
    (
        Case("Slice", "slice_param { slice_point: 2 slice_point: 1 }", (X,), 3),
        r"\[2, 1\], for 3 tops",
    ),
    (Case("Slice", "slice_param { slice_point: 4 }", (X,), 2), r"slice_point is \[4\]"),
    (
        Case("Slice", "slice_param { axis: 0 slice_point: 1 slice_point: 2 }", (X,), 3),
        r"for 3 tops and axis 0 of shape \(2, 3, 4\)",
    ),
    (Case("Tile", bottoms=(X,)), "tiles is 0. Allowed: 1 or more"),
    (Case("Tile", "tile_param { tiles: -1 }", (X,)), "tiles is -1"),
    (Case("Tile", "tile_param { tiles: 2 axis: 3 }", (X,)), "axis 3 of a blob"),
    (Case("Crop", "crop_param { axis: 4 }", (MAPS, MAPS)), "axis 4 of a blob"),
    (Case("Crop", "crop_param { offset: 1 offset: 1 offset: 1 }", (MAPS, MAPS)), "0, 1 or 2"),
    (Case("Crop", "crop_param { offset: 1 }", (MAPS, MAPS)), "at offset 1 axis 2 is too small"),
    (Case("Crop", bottoms=(MAPS, values(2, 3, 4, 6))), r"\(2, 3, 4, 5\), bottom 1 has \(2, 3, 4"),
    (Case("Crop", bottoms=(MAPS, values(2, 3, 4))), r"\(2, 3, 4\), .* too few axes"),
]


@pytest.mark.parametrize(("case", "message"), BAD, ids=str)
def test_bad_settings(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: .*{message}"):
        Alone(case)
