"""Input, DummyData, MemoryData, HDF5Data."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe import rng
from caffe.errors import FormatError, LayerError
from tests.caffe.layer_case import Alone, Case

CASES = [
    Case("Input", "input_param { shape { dim: 2 dim: 3 } }", learns=()),
    Case("DummyData", "dummy_data_param { shape { dim: 4 } data_filler { value: 2 } }", learns=()),
]
TESTED_BELOW = ("HDF5Data", "MemoryData")  # they need files, or arrays from outside
MEMORY = "memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 }"


def tops_of(case: Case, passes: int) -> list[list[list[float]]]:
    """Return, pass by pass, the values of the tops."""
    alone = Alone(case)
    return [[top.ravel().tolist() for top in alone.forward()] for _ in range(passes)]


def hdf5(folder: Path, *files: range, batch_size: int, more: str = "") -> Case:
    """Write files of rows (i, -i) with labels i; return a layer that reads them."""
    names = [folder / f"{k}.h5" for k in range(len(files))]
    for name, rows in zip(names, files, strict=True):
        with h5py.File(name, "w") as file:
            file["t1"] = np.array([[i, -i] for i in rows], np.float64)
            file["t0"] = np.array(rows, np.int64)
    (folder / "list.txt").write_text("\n".join(map(str, names)) + "\n")
    source = f'source: "{folder / "list.txt"}" batch_size: {batch_size} {more}'
    return Case("HDF5Data", f"hdf5_data_param {{ {source} }}", tops=2, learns=())


def test_input_shapes():
    settings = "input_param { shape { dim: 2 dim: 3 } shape { dim: 5 } }"
    assert [top.shape for top in Alone(Case("Input", settings, tops=2)).top] == [(2, 3), (5,)]
    settings = "input_param { shape { dim: 2 dim: 3 } }"
    assert [top.shape for top in Alone(Case("Input", settings, tops=2)).top] == [(2, 3), (2, 3)]


def test_input_keeps_what_was_written():
    alone = Alone(Case("Input", "input_param { shape { dim: 2 } }"))
    alone.top[0].data[...] = [3, 4]
    assert alone.forward()[0].tolist() == [3, 4]


def test_input_with_a_wrong_number_of_shapes():
    settings = "input_param { shape { dim: 2 } shape { dim: 2 } }"
    with pytest.raises(LayerError, match="layer 'layer'.*3 tops and 2 shapes"):
        Alone(Case("Input", settings, tops=3))


def test_dummy_data_fills_constants_and_draws_the_rest_anew():
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


def test_dummy_data_in_its_old_four_axes():
    settings = "dummy_data_param { num: 2 channels: 3 height: 4 width: 5 }"
    tops = Alone(Case("DummyData", settings, tops=2)).forward()
    assert [top.shape for top in tops] == [(2, 3, 4, 5)] * 2
    assert not tops[0].any()


def test_dummy_data_with_a_wrong_number_of_fillers():
    settings = "dummy_data_param { shape { dim: 1 } data_filler {} data_filler {} }"
    with pytest.raises(LayerError, match="layer 'layer'.*3 tops and 2 fillers"):
        Alone(Case("DummyData", settings, tops=3))


def memory(rows: int) -> Alone:
    alone = Alone(Case("MemoryData", MEMORY, tops=2))
    data = np.arange(rows * 3, dtype=np.float32).reshape(rows, 1, 1, 3)
    alone.layer.set_input_arrays(data, np.arange(rows, dtype=np.float32))
    return alone


def test_memory_data_goes_round():
    alone = memory(4)
    labels = [alone.forward()[1].tolist() for _ in range(3)]
    assert labels == [[0, 1], [2, 3], [0, 1]]
    assert alone.forward()[0].tolist() == [[[[6, 7, 8]]], [[[9, 10, 11]]]]


def test_memory_data_is_not_changed_by_who_looks_at_the_tops():
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
    ],
)
def test_memory_data_refuses(data, labels, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .MemoryData.: .*{message}"):
        memory(2).layer.set_input_arrays(data, labels)


def test_memory_data_without_data():
    with pytest.raises(LayerError, match="layer 'layer'.*set_input_arrays"):
        Alone(Case("MemoryData", MEMORY, tops=2)).forward()


def test_hdf5_rows_come_in_order_over_files_and_again(tmp_path):
    passes = tops_of(hdf5(tmp_path, range(3), range(3, 5), batch_size=2), 5)
    assert [labels for labels, _ in passes] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert passes[1][1] == [2, -2, 3, -3]


def test_hdf5_of_one_file_goes_round(tmp_path):
    passes = tops_of(hdf5(tmp_path, range(3), batch_size=2), 3)
    assert [labels for labels, _ in passes] == [[0, 1], [2, 0], [1, 2]]


def test_hdf5_batch_larger_than_all_rows(tmp_path):
    assert tops_of(hdf5(tmp_path, range(2), batch_size=5), 1)[0][0] == [0, 1, 0, 1, 0]


def test_hdf5_is_not_changed_by_who_looks_at_the_tops(tmp_path):
    alone = Alone(hdf5(tmp_path, range(4), batch_size=2))
    rounds = [[alone.forward()[0].tolist() for _ in range(2)] for _ in range(3)]
    assert rounds == [[[0, 1], [2, 3]]] * 3


def test_hdf5_shuffles_rows_within_files_by_the_seed(tmp_path):
    case = hdf5(tmp_path, range(10), range(10, 20), batch_size=10, more="shuffle: true")
    rounds = []
    for seed in (1, 1, 2):
        rng.set_random_seed(seed)
        rounds.append(tops_of(case, 4))
    assert rounds[0] == rounds[1] != rounds[2]
    labels = [first for first, _ in rounds[0]]
    files = [sorted(range(10)), sorted(range(10, 20))]
    assert sorted(sorted(part) for part in labels[:2]) == files
    assert sorted(sorted(part) for part in labels[2:]) == files
    assert all(part != sorted(part) for part in labels)
    assert [rows[0::2] for _, rows in rounds[0]] == labels


def hdf5_error(folder: Path, name: str, value: object) -> Case:
    case = hdf5(folder, range(3), batch_size=2)
    with h5py.File(folder / "0.h5", "a") as file:
        del file[name]
        if value is not None:
            file[name] = value
    return case


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("t0", None, "no data set 't0'. There are: t1"),
        ("t0", np.zeros(2), r"\[2, 3\] rows"),
        ("t0", np.array([b"a", b"b", b"c"]), "'t0' has type"),
        ("t0", 5.0, "'t0' has type float64 and 0 axes"),
    ],
)
def test_hdf5_data_sets_that_do_not_fit(tmp_path, name, value, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .HDF5Data.: .*0.h5.*{message}"):
        Alone(hdf5_error(tmp_path, name, value))


def test_hdf5_of_another_shape_in_a_later_file(tmp_path):
    case = hdf5(tmp_path, range(2), range(2), batch_size=2)
    with h5py.File(tmp_path / "1.h5", "a") as file:
        del file["t1"]
        file["t1"] = np.zeros((2, 3))
    alone = Alone(case)
    alone.forward()
    with pytest.raises(LayerError, match=r"1.h5.*'t1'.*\(3,\).*\(2,\)"):
        alone.forward()


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_hdf5_files_that_are_none(tmp_path, content):
    case = hdf5(tmp_path, range(3), batch_size=2)
    (tmp_path / "0.h5").write_bytes(content)
    with pytest.raises(FormatError, match=f"layer 'layer'.*{re.escape(str(tmp_path))}/0.h5"):
        Alone(case)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("hdf5_data_param { batch_size: 0 }", "batch_size is missing or 0"),
        ('hdf5_data_param { batch_size: 1 source: "nowhere.txt" }', "'nowhere.txt' cannot be read"),
        ("hdf5_data_param { batch_size: 1 } transform_param {}", "transform_param is not allowed"),
    ],
)
def test_hdf5_bad_settings(settings, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .HDF5Data.: .*{message}"):
        Alone(Case("HDF5Data", settings))
