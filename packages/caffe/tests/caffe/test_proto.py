"""The generated messages are those of caffe.proto, and load with every supported protobuf."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

import caffe
from caffe.proto import caffe_pb2

FOLDER = Path(str(resources.files("caffe.proto")))
PROTOS = ("caffe/proto/caffe.proto", "caffe/proto/forks.proto")
NAMES = ["caffe_pb2.py", "caffe_pb2.pyi", "forks_pb2.py", "forks_pb2.pyi"]
# As in the head of caffe.proto; the compiler imports setuptools' pkg_resources.
COMPILER = ("grpcio-tools==1.49.1", "setuptools<81")

ROUND_TRIP = """
import warnings
warnings.simplefilter("error")
import google.protobuf
import caffe
from caffe import layers as L
from caffe.formats import parse_text, to_text
from caffe.proto import caffe_pb2
from caffe.proto.forks_pb2 import NormalizeParameter

n = caffe.NetSpec()
n.data = L.Input(shape={"dim": [1, 2, 3, 4]})
n.conv = L.Convolution(n.data, num_output=2, kernel_size=1)
param = n.to_proto()
assert parse_text(to_text(param), caffe_pb2.NetParameter()) == param
blob = caffe_pb2.BlobProto(data=[1, 2, 3], shape={"dim": [3]})
written = blob.SerializeToString()
# The repeated numbers are packed, as Caffe writes them.
assert written.hex() == "2a0c0000803f0000004000004040" + "3a030a0103", written.hex()
assert caffe_pb2.BlobProto.FromString(written) == blob
assert NormalizeParameter().across_spatial
old = 'layers { name: "d" type: DATA top: "d" data_param { batch_size: 2 } }'
assert caffe.upgrade.upgrade_net(parse_text(old, caffe_pb2.NetParameter())).layer[0].type == "Data"
assert caffe.Net(param, caffe.TEST).forward()["conv"].shape == (1, 2, 3, 4)
print(google.protobuf.__version__, flush=True)
"""
BOTH = """
import os, sys
import torch
assert "google.protobuf" not in sys.modules
for implementation in ("upb", "python"):
    if child := os.fork():
        if os.waitpid(child, 0)[1]:
            sys.exit(implementation)
        continue
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = implementation
    exec(sys.argv[1], {})
    from google.protobuf.internal import api_implementation
    assert api_implementation.Type() == implementation
    sys.exit()
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, install: Callable[..., None]) -> Path:
    """The folder of the generated files, made by the compiler that made the committed ones."""
    root = tmp_path_factory.mktemp("proto")
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    python = root / "venv" / "bin" / "python"
    install(python, "--only-binary", ":all:", *COMPILER)
    for proto in PROTOS:
        (root / proto).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOLDER / Path(proto).name, root / proto)
    protoc = [python, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--pyi_out=.", *PROTOS]
    subprocess.run(protoc, cwd=root, check=True)
    return root / "caffe" / "proto"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_regeneration_gives_the_committed_file(compiled, name):
    assert (compiled / name).read_text() == (FOLDER / name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.26.1", "6.33.0", "7.35.1"])
def test_round_trip_with_a_protobuf_runtime(tmp_path, install, version):
    install(Path(sys.executable), "--no-deps", "--target", tmp_path, f"protobuf=={version}")
    # Before this environment's own packages, and so its protobuf too.
    path = os.pathsep.join([str(tmp_path), str(Path(caffe.__file__).parents[1])])
    # PyTorch once for both: it takes most of the time, and has no protobuf.
    done = subprocess.run(
        [sys.executable, "-c", BOTH, ROUND_TRIP],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, [version] * 2), done.stderr


def test_importable_by_both_names():
    import caffe.proto.caffe_pb2

    assert caffe.proto.caffe_pb2 is caffe_pb2 is sys.modules["caffe.proto.caffe_pb2"]


def test_defaults():
    layer = caffe_pb2.LayerParameter()
    assert layer.inner_product_param.bias_term
    assert layer.inner_product_param.axis == 1
    assert layer.dropout_param.dropout_ratio == 0.5
    assert caffe_pb2.SolverParameter().regularization_type == "L2"
