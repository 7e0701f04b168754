"""Rows as files that Caffe reads."""

from pathlib import Path

import numpy as np
import pytest

import caffe
from ripen.core.errors import DataError
from ripen.learn.arrays import write_rows

X = np.arange(18, dtype=np.float32).reshape(3, 6)
Y = np.array([0, 1, 1])


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_rows(folder, "train", X, Y)
        contents.append((folder / "train.h5").read_bytes())
    assert contents[0] == contents[1]


def test_caffe_reads_rows_through_their_list(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "train", X, Y)
    spec = caffe.NetSpec()
    spec.data, spec.label = caffe.layers.HDF5Data(source=str(source), batch_size=2, ntop=2)
    outputs = caffe.Net(spec.to_proto(), phase=caffe.TEST).forward()
    np.testing.assert_array_equal(outputs["data"], X[:2])
    np.testing.assert_array_equal(outputs["label"], [0, 1])


@pytest.mark.parametrize("where", ["a clone", "a clone/data"])
def test_a_clone_may_be_in_a_folder_with_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    folder = tmp_path / "a clone/data/model"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / where)
    source = write_rows(folder, "train", X, Y, order=np.array([2, 0, 1]), shard=2)
    spec = caffe.NetSpec()
    spec.data = caffe.layers.HDF5Data(source=str(source), batch_size=3)
    outputs = caffe.Net(spec.to_proto(), phase=caffe.TEST).forward()
    np.testing.assert_array_equal(outputs["data"], X[[2, 0, 1]])


def test_a_folder_with_a_space_elsewhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"/a b has a space in its name, .* Set TMPDIR to a "):
        write_rows(tmp_path / "a b", "train", X, Y)


def test_values_are_a_column_as_a_nets_scores_are(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "train", X, Y / 2)
    spec = caffe.NetSpec()
    spec.data, spec.label = caffe.layers.HDF5Data(source=str(source), batch_size=3, ntop=2)
    outputs = caffe.Net(spec.to_proto(), phase=caffe.TEST).forward()
    np.testing.assert_array_equal(outputs["label"], [[0], [0.5], [0.5]])
