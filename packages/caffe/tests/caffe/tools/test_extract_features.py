"""`caffe extract_features`."""

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.databases import records
from caffe.io import datum_to_array
from caffe.proto.caffe_pb2 import Datum
from tests.caffe.image_case import database, datum, random_image

NET = """
layer {{ name: "d" type: "Data" top: "data" top: "label"
  data_param {{ source: "{0}/db" backend: LMDB batch_size: 2 }} }}
layer {{ name: "i" type: "InnerProduct" bottom: "data" top: "i"
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
"""


@pytest.fixture
def model(tmp_path) -> list[str]:
    """A net over three images, its weights and definition as arguments."""
    database(tmp_path / "db", [datum(random_image(2, 3, seed=i), i) for i in range(3)])
    (tmp_path / "net.prototxt").write_text(NET.format(tmp_path))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.save(tmp_path / "net.caffemodel")
    return [str(tmp_path / "net.caffemodel"), str(tmp_path / "net.prototxt")]


def test_two_blobs(model, tmp_path):
    folders = f"{tmp_path}/a,{tmp_path}/b"
    assert main(["extract_features", *model, "i,data", folders, "2", "lmdb"]) == 0
    net = caffe.Net(model[1], caffe.TEST, weights=model[0])
    expected = {"i": [], "data": []}
    for _ in range(2):
        net.forward()
        for name, rows in expected.items():
            rows.extend(net.blobs[name].data.copy())
    for name, folder, shape in (("i", "a", (4, 1, 1)), ("data", "b", (3, 2, 3))):
        pairs = list(records(tmp_path / folder))
        assert [key for key, _ in pairs] == [f"{i:010d}".encode() for i in range(4)]
        found = [datum_to_array(Datum.FromString(value)) for _, value in pairs]
        assert found[0].shape == shape
        assert np.array_equal(np.reshape(found, np.shape(expected[name])), expected[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["i,data", "a", "2", "lmdb"], "2 blobs and 1 databases: the numbers must be equal"),
        (["none", "a", "2", "lmdb"], "no blob 'none' in the net. Its blobs: data, label, i"),
        (["i", "a", "0", "lmdb"], "num_mini_batches is 0. Allowed: 1 or more"),
        (["i", "a", "2", "none"], "unknown database backend 'none'"),
        (["i", "a", "2", "leveldb"], "LevelDB is not supported"),
        (["i", "db", "2", "lmdb"], "db: a new database cannot be created there: File exists"),
    ],
)
def test_bad_arguments_are_refused(model, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["extract_features", *model, *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
