"""Input, DummyData, MemoryData."""

import numpy as np
import pytest

from caffe.errors import CaffeError, LayerError
from tests.caffe.layer_case import Alone, Case

CASES = [
    Case("Input", "input_param { shape { dim: 2 dim: 3 } }", learns=()),
    Case("DummyData", "dummy_data_param { shape { dim: 4 } data_filler { value: 2 } }", learns=()),
]
TESTED_BELOW = ("MemoryData",)  # it needs arrays from outside
MEMORY = "memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 }"


def test_input_shapes():
    settings = "input_param { shape { dim: 2 dim: 3 } shape { dim: 5 } }"
    assert [top.shape for top in Alone(Case("Input", settings, tops=2)).top] == [(2, 3), (5,)]
    settings = "input_param { shape { dim: 2 dim: 3 } }"
    assert [top.shape for top in Alone(Case("Input", settings, tops=2)).top] == [(2, 3), (2, 3)]


def test_input_keeps_written_values():
    alone = Alone(Case("Input", "input_param { shape { dim: 2 } }"))
    alone.top[0].data[...] = [3, 4]
    assert alone.forward()[0].tolist() == [3, 4]


def test_input_with_a_wrong_number_of_shapes():
    settings = "input_param { shape { dim: 2 } shape { dim: 2 } }"
    with pytest.raises(LayerError, match="layer 'layer'.*3 tops and 2 shapes"):
        Alone(Case("Input", settings, tops=3))


def test_dummy_data_redraws_only_random_fillers():
    settings = """dummy_data_param {
        shape { dim: 2 dim: 3 } shape { dim: 4 }
        data_filler { value: 7 } data_filler { type: "uniform" min: 2 max: 3 } }"""
    alone = Alone(Case("DummyData", settings, tops=2))
    first, second = alone.forward(), alone.forward()
    assert first[0].tolist() == second[0].tolist() == [[7, 7, 7], [7, 7, 7]]
    assert first[1].shape == (4,)
    assert first[1].min() >= 2
    assert first[1].max() <= 3
    assert not np.array_equal(first[1], second[1])


def test_dummy_data_with_the_old_four_fields():
    settings = "dummy_data_param { num: 2 channels: 3 height: 4 width: 5 }"
    tops = Alone(Case("DummyData", settings, tops=2)).forward()
    assert [top.shape for top in tops] == [(2, 3, 4, 5)] * 2
    assert not tops[0].any()


def test_dummy_data_draws_nothing_before_the_first_pass():
    settings = "dummy_data_param { shape { dim: 4 } data_filler { type: 'gaussian' std: 1 } }"
    assert not Alone(Case("DummyData", settings)).top[0].data.any()


def test_dummy_data_with_an_unknown_filler():
    settings = 'dummy_data_param { shape { dim: 1 } data_filler { type: "none" } }'
    with pytest.raises(LayerError, match="layer 'layer' .DummyData.: unknown filler type 'none'"):
        Alone(Case("DummyData", settings)).forward()


def test_dummy_data_with_a_wrong_number_of_fillers():
    settings = "dummy_data_param { shape { dim: 1 } data_filler {} data_filler {} }"
    with pytest.raises(LayerError, match="layer 'layer'.*3 tops and 2 fillers"):
        Alone(Case("DummyData", settings, tops=3))


def memory(rows: int) -> Alone:
    alone = Alone(Case("MemoryData", MEMORY, tops=2))
    data = np.arange(rows * 3, dtype=np.float32).reshape(rows, 1, 1, 3)
    alone.layer.set_input_arrays(data, np.arange(rows, dtype=np.float32))
    return alone


def test_memory_data_starts_over_at_the_end():
    alone = memory(4)
    labels = [alone.forward()[1].tolist() for _ in range(3)]
    assert labels == [[[[[i]]], [[[i + 1]]]] for i in (0, 2, 0)]  # (n, 1, 1, 1) from now on
    assert alone.forward()[0].tolist() == [[[[6, 7, 8]]], [[[9, 10, 11]]]]


def test_memory_data_survives_writes_into_its_tops():
    alone = memory(4)
    rounds = [[alone.forward()[0].copy() for _ in range(2)] for _ in range(2)]
    assert np.array_equal(rounds[0], rounds[1])
    alone.top[0].data[...] = 0
    assert np.array_equal(alone.forward()[0], rounds[0][0])


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (np.zeros((4, 1, 1, 3)), np.zeros(4), "float64 and float64. Allowed: float32"),
        (np.zeros((4, 1, 1, 2), "f4"), np.zeros(4, "f4"), r"\(4, 1, 1, 2\).*\(n, 1, 1, 3\)"),
        (np.zeros((4, 1, 1, 3), "f4"), np.zeros(3, "f4"), r"\(4, 1, 1, 3\) and \(3,\)"),
        (np.zeros((3, 1, 1, 3), "f4"), np.zeros(3, "f4"), "3 items.* batch size 2"),
        (np.zeros((0, 1, 1, 3), "f4"), np.zeros(0, "f4"), "0 items.* batch size 2"),
        (np.zeros((4, 1, 1, 3), "f4"), np.zeros((4, 1), "f4"), r"\(4, 1\). Allowed: .*\(n,\)"),
        (np.zeros((8, 1, 1, 3), "f4")[::2], np.zeros(4, "f4"), "not contiguous"),
        (np.float32(1), np.zeros(4, "f4"), "a float32: no array"),
        (None, np.zeros(4, "f4"), "a NoneType: no array"),
    ],
)
def test_memory_data_refuses_bad_arrays(data, labels, message):
    with pytest.raises(CaffeError, match=f"layer 'layer' .MemoryData.: .*{message}"):
        memory(2).layer.set_input_arrays(data, labels)


def test_memory_data_sees_later_changes_of_its_arrays():
    alone = Alone(Case("MemoryData", MEMORY, tops=2))
    data, labels = np.zeros((2, 1, 1, 3), np.float32), np.zeros((2, 1, 1, 1), np.float32)
    alone.layer.set_input_arrays(data, labels)
    data[...], labels[...] = 3, 5
    assert [top.ravel().tolist() for top in alone.forward()] == [[3] * 6, [5, 5]]


def test_memory_data_without_data():
    with pytest.raises(LayerError, match="layer 'layer'.*set_input_arrays"):
        Alone(Case("MemoryData", MEMORY, tops=2)).forward()
