"""Blobs: live views, shapes, sharing, and sizes that are refused before allocation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caffe.blob import MAX_COUNT, Blob
from caffe.errors import ShapeError

SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)


def blob_of(values: np.ndarray) -> Blob:
    blob = Blob(values.shape, torch.float64 if values.dtype == np.float64 else torch.float32)
    blob.data[...] = values
    return blob


def test_a_new_blob_is_zero():
    blob = Blob((2, 3))
    assert blob.data.dtype == np.float32
    assert np.array_equal(blob.data, np.zeros((2, 3)))
    assert np.array_equal(blob.diff, np.zeros((2, 3)))


def test_writes_into_the_view_reach_the_tensor():
    blob = Blob((2, 2))
    blob.data[0, 1] = 5
    blob.diff[1, 0] = 7
    assert blob.tensor[0, 1].item() == 5
    assert blob.grad[1, 0].item() == 7


def test_view_stays_live_when_a_layer_stores_its_result():
    blob = Blob((2, 2))
    data, diff = blob.data, blob.diff
    blob.set_data(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    blob.set_diff(torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
    assert data.tolist() == [[1, 2], [3, 4]]
    assert diff.tolist() == [[5, 6], [7, 8]]
    assert np.shares_memory(data, blob.data)


def test_blobs_with_one_tensor_do_not_write_into_each_other():
    first, second = Blob((2,)), Blob((2,))
    given_to_both = torch.tensor([1.0, 2.0])
    first.set_data(given_to_both)
    second.set_data(given_to_both)
    first.data[0] = 5
    second.data[1] = 7
    assert first.data.tolist() == [5, 2]
    assert second.data.tolist() == [1, 7]
    assert given_to_both.tolist() == [1, 2]


def test_result_is_not_copied_without_a_view():
    blob = Blob((2, 2))
    result = torch.ones(2, 2)
    blob.set_data(result)
    assert blob.tensor is result


def test_views_are_contiguous_for_any_memory_format():
    values = torch.arange(48.0).reshape(2, 3, 2, 4)
    blob = Blob((2, 3, 2, 4))
    blob.set_data(values.to(memory_format=torch.channels_last))
    assert blob.data.flags.c_contiguous
    assert np.array_equal(blob.data, values.numpy())
    blob.set_data((values + 1).to(memory_format=torch.channels_last))
    assert blob.data.flags.c_contiguous
    assert np.array_equal(blob.data, values.numpy() + 1)


def test_double_precision():
    blob = blob_of(np.array([1 / 3]))
    assert blob.data.dtype == np.float64
    assert blob.data[0] == 1 / 3


@pytest.mark.parametrize(
    ("shape", "legacy"),
    [((), (1, 1, 1, 1)), ((7,), (7, 1, 1, 1)), ((2, 3, 4, 5), (2, 3, 4, 5))],
)
def test_legacy_axes(shape, legacy):
    blob = Blob(shape)
    assert (blob.num, blob.channels, blob.height, blob.width) == legacy


def test_legacy_axes_need_at_most_four_axes():
    with pytest.raises(ShapeError, match=r"num, channels, height, width .*\(1, 1, 1, 1, 1\)"):
        _ = Blob((1, 1, 1, 1, 1)).num


@given(SHAPES, st.integers(-7, 7))
def test_axis(shape, index):
    blob = Blob(shape)
    if -len(shape) <= index < len(shape):
        assert blob.axis(index) == range(len(shape))[index]
    else:
        with pytest.raises(ShapeError, match=f"axis {index} "):
            blob.axis(index)


@given(SHAPES)
def test_count_is_the_product_of_the_sizes(shape):
    blob = Blob(shape)
    assert blob.count == math.prod(shape) == blob.data.size
    assert blob.shape == shape == blob.diff.shape


def test_reshape_to_as_many_elements_keeps_them_and_the_view():
    blob = blob_of(np.arange(6, dtype=np.float32))
    old = blob.data
    blob.reshape(2, 3)
    assert blob.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    old[5] = 9
    assert blob.data[1, 2] == 9


def test_reshape_to_another_number_of_elements():
    blob = blob_of(np.ones(6, np.float32))
    blob.reshape(4, 5)
    assert blob.data.shape == blob.diff.shape == (4, 5)


def test_smaller_shape_keeps_the_memory():
    blob = blob_of(np.arange(6, dtype=np.float32).reshape(3, 2))
    old = blob.data
    blob.reshape(1, 2)
    assert blob.data.tolist() == [[0, 1]]
    blob.data[...] = 7
    assert old.tolist() == [[7, 7], [2, 3], [4, 5]]
    blob.reshape(2, 2)
    assert blob.data.tolist() == [[7, 7], [2, 3]]
    assert np.shares_memory(old, blob.data)


def test_shared_blobs_may_differ_in_shape():
    first, second = Blob((2, 3)), Blob((2, 3))
    second.share_data(first)
    second.reshape(3, 2)
    second.data[2, 1] = 4
    assert first.data.tolist() == [[0, 0, 0], [0, 0, 4]]
    first.set_data(torch.arange(6.0).reshape(3, 2).t())
    assert second.tensor.tolist() == [[0, 2], [4, 1], [3, 5]]
    second.tensor.add_(1)
    assert first.tensor.tolist() == [[1, 3, 5], [2, 4, 6]]
    second.reshape(4)
    second.data[...] = 9
    assert first.data.tolist() == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize("shape", [(2**31,), (2**20, 2**20), (2**40,), (-1, 4)])
def test_absurd_shapes_are_refused_before_allocation(shape):
    with pytest.raises(ShapeError, match=rf"{shape[0]}.*at most {MAX_COUNT}"):
        Blob(shape)
    blob = Blob((1,))
    with pytest.raises(ShapeError, match=rf"{shape[0]}.*at most {MAX_COUNT}"):
        blob.reshape(*shape)


def test_a_refused_reshape_changes_nothing():
    blob = Blob((2, 3))
    with pytest.raises(ShapeError, match="must not be negative"):
        blob.reshape(-1)
    with pytest.raises(ShapeError, match="at most 32 axes"):
        blob.reshape(*[1] * 33)
    assert blob.shape == (2, 3)


def test_shared_values_show_writes_of_both():
    first, second = Blob((2, 3)), Blob((6,))
    second.share_data(first)
    first.set_data(torch.full((2, 3), 4.0))
    assert second.data.tolist() == [4.0] * 6
    second.set_data(torch.arange(6.0))
    assert first.data.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_shared_gradients_show_writes_of_both():
    first, second = Blob((2,)), Blob((2,))
    second.share_diff(first)
    second.grad.add_(3)
    assert first.diff.tolist() == [3, 3]


def test_sharing_needs_equal_counts():
    with pytest.raises(ShapeError, match=r"\(3,\) .*\(2,\)"):
        Blob((3,)).share_data(Blob((2,)))
