"""The generated messages are those of caffe.proto."""

import shutil
import sys
from importlib import resources
from pathlib import Path

import pytest

from caffe.proto import caffe_pb2

FOLDER = Path(str(resources.files("caffe.proto")))


NAMES = ["caffe_pb2.py", "caffe_pb2.pyi", "forks_pb2.py", "forks_pb2.pyi"]


@pytest.mark.parametrize("name", NAMES)
def test_regeneration_gives_the_checked_in_file(tmp_path, name):
    protoc = pytest.importorskip("grpc_tools.protoc")
    import grpc_tools

    (tmp_path / "in" / "caffe" / "proto").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for proto in ("caffe.proto", "forks.proto"):
        shutil.copy(FOLDER / proto, tmp_path / "in" / "caffe" / "proto")
    arguments = [
        f"--proto_path={tmp_path / 'in'}",
        f"--proto_path={Path(grpc_tools.__file__).parent / '_proto'}",
        f"--python_out={tmp_path / 'out'}",
        f"--pyi_out={tmp_path / 'out'}",
        "caffe/proto/caffe.proto",
        "caffe/proto/forks.proto",
    ]
    assert protoc.main(["protoc", *arguments]) == 0
    generated = (tmp_path / "out" / "caffe" / "proto" / name).read_text()
    expected = (FOLDER / name).read_text()
    if _version(generated) != _version(expected):
        pytest.skip("another protoc than the one that generated the files")
    assert generated == expected


def test_importable_by_both_names():
    import caffe.proto.caffe_pb2

    assert caffe.proto.caffe_pb2 is caffe_pb2 is sys.modules["caffe.proto.caffe_pb2"]


def test_defaults():
    layer = caffe_pb2.LayerParameter()
    assert layer.inner_product_param.bias_term
    assert layer.inner_product_param.axis == 1
    assert layer.dropout_param.dropout_ratio == 0.5
    assert caffe_pb2.SolverParameter().regularization_type == "L2"


def _version(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("# Protobuf Python Version")]
