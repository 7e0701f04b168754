from pathlib import Path

import numpy as np
import pytest
from ripen.competition.datasets.avocado import DATASET
from ripen.competition.datasets.prepared import (
    Part,
    read_part,
    read_scaler,
    write_part,
    write_scaler,
)
from sklearn.preprocessing import StandardScaler

import caffe

PART = Part(
    ids=np.array([7, 8, 9]),
    data=np.arange(18, dtype=np.float32).reshape(3, 6),
    labels=np.array([0, 1, 1]),
)


def test_a_part_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_part(tmp_path, "train", PART)
    back = read_part(tmp_path, "train")
    np.testing.assert_array_equal(back.ids, PART.ids)
    np.testing.assert_array_equal(back.data, PART.data)
    np.testing.assert_array_equal(back.labels, PART.labels)
    assert (back.ids.dtype, back.data.dtype) == (np.int64, np.float32)


def test_a_part_without_labels(tmp_path: Path) -> None:
    write_part(tmp_path, "test", Part(PART.ids, PART.data, None))
    back = read_part(tmp_path, "test")
    assert back.labels is None
    with pytest.raises(ValueError, match="labels of this part are not known"):
        back.arrays()


def test_the_same_part_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_part(folder, "train", PART)
        contents.append((folder / "train.h5").read_bytes())
    assert contents[0] == contents[1]


def test_caffe_reads_a_part_through_its_list(tmp_path: Path) -> None:
    source = write_part(tmp_path, "train", PART)
    spec = caffe.NetSpec()
    spec.data, spec.label = caffe.layers.HDF5Data(source=str(source), batch_size=2, ntop=2)
    outputs = caffe.Net(spec.to_proto(), phase=caffe.TEST).forward()
    np.testing.assert_array_equal(outputs["data"], PART.data[:2])
    np.testing.assert_array_equal(outputs["label"], [0, 1])


def test_head_and_join() -> None:
    joined = PART.head(1).join(PART.head(2))
    assert joined.ids.tolist() == [7, 7, 8]
    np.testing.assert_array_equal(joined.data, PART.data[[0, 0, 1]])
    assert joined.arrays()[1].tolist() == [0, 0, 1]


def test_the_scaler_comes_back(tmp_path: Path) -> None:
    scaler = StandardScaler().fit(PART.data.astype(np.float64))
    write_scaler(tmp_path, DATASET, scaler)
    back = read_scaler(tmp_path / "scaler.json")
    assert list(back) == DATASET.feature_names
    # Columns are j, j + 6, j + 12: mean j + 6, standard deviation sqrt(24).
    np.testing.assert_allclose(
        list(back.values()), [(j + 6.0, np.sqrt(24.0)) for j in range(6)], rtol=1e-12
    )
