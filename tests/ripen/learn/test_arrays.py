"""Rows as files that Caffe reads."""

from pathlib import Path

import numpy as np

import caffe
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


def test_values_are_a_column_as_a_nets_scores_are(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "train", X, Y / 2)
    spec = caffe.NetSpec()
    spec.data, spec.label = caffe.layers.HDF5Data(source=str(source), batch_size=3, ntop=2)
    outputs = caffe.Net(spec.to_proto(), phase=caffe.TEST).forward()
    np.testing.assert_array_equal(outputs["label"], [[0], [0.5], [0.5]])
