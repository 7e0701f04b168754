"""HDF5Data, HDF5Output."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe import rng
from caffe.errors import CaffeError, FormatError, LayerError
from tests.caffe.layer_case import Alone, Case, labels, values

CASES: list[Case] = []
TESTED_BELOW = ("HDF5Data", "HDF5Output")  # they need files


def tops_of(case: Case, passes: int) -> list[list[list[float]]]:
    """Return the values of the tops for each pass."""
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


def test_hdf5_rows_come_in_order_over_all_files_and_start_over(tmp_path):
    passes = tops_of(hdf5(tmp_path, range(3), range(3, 5), batch_size=2), 5)
    assert [labels for labels, _ in passes] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert passes[1][1] == [2, -2, 3, -3]


def test_hdf5_single_file_starts_over(tmp_path):
    passes = tops_of(hdf5(tmp_path, range(3), batch_size=2), 3)
    assert [labels for labels, _ in passes] == [[0, 1], [2, 0], [1, 2]]


def test_hdf5_batch_larger_than_all_rows(tmp_path):
    assert tops_of(hdf5(tmp_path, range(2), batch_size=5), 1)[0][0] == [0, 1, 0, 1, 0]


def test_hdf5_data_survives_writes_into_its_tops(tmp_path):
    alone = Alone(hdf5(tmp_path, range(4), batch_size=2))
    rounds = [[alone.forward()[0].tolist() for _ in range(2)] for _ in range(3)]
    assert rounds == [[[0, 1], [2, 3]]] * 3


def test_hdf5_shuffles_rows_within_files_reproducibly(tmp_path):
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
        ("t0", None, "no dataset 't0'. Available: t1"),
        ("t0", np.zeros(2), r"\[2, 3\] rows"),
        ("t0", np.array([b"a", b"b", b"c"]), "'t0' has type"),
        ("t0", 5.0, "'t0' has type float64 and 0 axes"),
    ],
)
def test_hdf5_datasets_that_do_not_fit(tmp_path, name, value, message):
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


def test_hdf5_dataset_larger_than_its_file(tmp_path):
    case = hdf5_error(tmp_path, "t0", None)
    with h5py.File(tmp_path / "0.h5", "a") as file:
        file.create_dataset("t0", (2**20, 2**20), np.float32, chunks=(8, 8))
    with pytest.raises(
        FormatError, match=r"0.h5: .*'/t0' has shape \(1048576, 1048576\) in 0 bytes"
    ):
        Alone(case)


def test_hdf5_group_instead_of_a_dataset(tmp_path):
    case = hdf5_error(tmp_path, "t0", None)
    with h5py.File(tmp_path / "0.h5", "a") as file:
        file.create_group("t0")
    with pytest.raises(LayerError, match=r"0.h5: 't0' is a group. Needed: a dataset"):
        Alone(case)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hdf5_damaged_or_truncated(tmp_path, data):
    case = hdf5(tmp_path, range(3), batch_size=2)
    content = bytearray((tmp_path / "0.h5").read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "0.h5").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        Alone(case).forward()
    except CaffeError as error:
        assert "0.h5" in str(error)  # noqa: PT017 - the damaged file may still be valid


def test_hdf5_file_in_place_of_a_list(tmp_path):
    hdf5(tmp_path, range(3), batch_size=2)
    source = f'hdf5_data_param {{ batch_size: 1 source: "{tmp_path}/0.h5" }}'
    with pytest.raises(LayerError, match=r"0.h5' is an HDF5 file itself. Needed: a text file"):
        Alone(Case("HDF5Data", source))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_hdf5_other_files_are_refused(tmp_path, content):
    case = hdf5(tmp_path, range(3), batch_size=2)
    (tmp_path / "0.h5").write_bytes(content)
    with pytest.raises(FormatError, match=f"layer 'layer'.*{re.escape(str(tmp_path))}/0.h5"):
        Alone(case)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("hdf5_data_param { batch_size: 0 }", "batch_size is missing or 0"),
        (
            'hdf5_data_param { batch_size: 1 source: "nowhere.txt" }',
            "source nowhere.txt: cannot be read",
        ),
        ("hdf5_data_param { batch_size: 1 } transform_param {}", "transform_param is not allowed"),
    ],
)
def test_hdf5_bad_settings(settings, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .HDF5Data.: .*{message}"):
        Alone(Case("HDF5Data", settings))


def output(file: Path, data: np.ndarray, label: np.ndarray) -> Alone:
    return Alone(
        Case("HDF5Output", f'hdf5_output_param {{ file_name: "{file}" }}', (data, label), 0)
    )


def stored(file: Path) -> dict[str, np.ndarray]:
    with h5py.File(file) as opened:
        return {name: opened[name][:] for name in opened}


def test_hdf5_output_writes_four_axes_after_each_pass(tmp_path):
    data = values(2, 3)
    alone = output(tmp_path / "o.h5", data, labels(4, 5))
    assert stored(tmp_path / "o.h5") == {}
    alone.forward()
    found = stored(tmp_path / "o.h5")
    assert np.array_equal(found["data"], data.reshape(2, 3, 1, 1).astype(np.float32))
    assert found["label"].tolist() == [[[[4.0]]], [[[5.0]]]]
    alone.bottom[1].data[...] = [6, 7]
    alone.forward()
    found = stored(tmp_path / "o.h5")
    assert found["label"].ravel().tolist() == [4, 5, 6, 7]
    assert found["data"].shape == (4, 3, 1, 1)


def test_hdf5_output_replaces_an_old_file(tmp_path):
    (tmp_path / "o.h5").write_bytes(b"what was there")
    output(tmp_path / "o.h5", values(2, 3), labels(4, 5)).forward()
    assert stored(tmp_path / "o.h5")["label"].ravel().tolist() == [4, 5]


def test_hdf5_output_has_no_gradient(tmp_path):
    alone = output(tmp_path / "o.h5", values(2, 3), labels(4, 5))
    alone.forward()
    with pytest.raises(LayerError, match="layer 'layer' .HDF5Output.: has no gradient"):
        alone.backward([], (0,))


def test_hdf5_output_refuses_bad_shapes(tmp_path):
    with pytest.raises(
        LayerError, match=r"layer 'layer'.*\(2, 3\) and \(3,\).*same number of rows"
    ):
        output(tmp_path / "o.h5", values(2, 3), labels(4, 5, 6))
    with pytest.raises(LayerError, match="1 to 4 axes"):
        output(tmp_path / "o.h5", values(2, 1, 1, 1, 3), labels(4, 5))
    with pytest.raises(FormatError, match="layer 'layer' .HDF5Output.: .*o.h5: cannot be written"):
        output(tmp_path / "none" / "o.h5", values(2, 3), labels(4, 5))


def test_hdf5_output_of_another_shape_in_a_later_pass(tmp_path):
    alone = output(tmp_path / "o.h5", values(2, 3), labels(4, 5))
    alone.forward()
    alone.bottom[0].reshape(2, 4)
    with pytest.raises(LayerError, match=r"rows of data have shape \(4, 1, 1\).*\(3, 1, 1\)"):
        alone.forward()
