"""`ripen import-net NAME --weights model.onnx`."""

from pathlib import Path

import numpy as np
import pytest
import torch

import caffe
from caffe.onnx_export import export
from ripen import cli
from ripen.nets import published
from ripen.nets.contract import contract
from ripen.nets.importing import convert
from tests.ripen.nets.importing.networks import SHAPE, SIZE, network, outputs


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an ONNX model."""
    for file in ("conf/config.yaml", "models/lenet/readme.md"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    export(convert(network("vgg"), SHAPE).filled(), "vgg.onnx")
    return tmp_path


def test_a_model_becomes_a_net(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.3"]
    assert cli.main(["import-net", "mine", "--weights", "vgg.onnx", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["deploy.prototxt", "train_val.prototxt", "mine.caffemodel", "readme.md"]
    assert [line.split()[0] for line in lines[:4]] == [f"models/mine/{name}" for name in names]
    assert lines[4].startswith("its outputs for random images agree with ONNX Runtime's within ")
    promised = contract("mine")
    assert promised.input.mean == [76.5, 102, 127.5]
    assert (promised.input.height, promised.input.channel_order) == (SIZE, "BGR")
    bgr = np.random.default_rng(0).uniform(-99, 99, (2, *SHAPE)).astype(np.float32)
    deviation = 255 * np.array([0.2, 0.25, 0.3], np.float32).reshape(3, 1, 1)
    expected = outputs(network("vgg"), torch.from_numpy(bgr[:, ::-1] / deviation)).softmax(1)
    assert promised.weights is not None
    assert promised.weights.format == "onnx"
    net = published.load("mine")
    net.blobs["data"].reshape(*bgr.shape)
    np.testing.assert_allclose(net.forward(data=bgr)["prob"], expected.numpy(), rtol=1e-4)
    train = caffe.Net(_without_data("models/mine/train_val.prototxt"), caffe.TEST)
    train.copy_from("models/mine/mine.caffemodel")
    assert [layer.type for layer in train.layers][-2:] == ["Accuracy", "SoftmaxWithLoss"]


def _without_data(path: str) -> caffe.proto.caffe_pb2.NetParameter:
    """Return a net for training with Input layers in the place of its databases."""
    net = caffe.formats.read_text(path, caffe.proto.caffe_pb2.NetParameter())
    del net.layer[:2]
    for name, shape in (("data", (2, *SHAPE)), ("label", (2,))):
        layer = net.layer.add(name=name, type="Input", top=[name])
        layer.input_param.shape.add(dim=shape)
        net.layer.insert(0, net.layer.pop())
    return net


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mine", "--std", "0,1,1"], 2, "--std 0: allowed: above 0"),
        (["mine", "--mean", "1,2"], 2, "--mean has 2 numbers. Allowed: 1 or 3"),
        (["lenet"], 2, "'lenet' is a net of the zoo; choose another name"),
        (["mine", "--outputs", "4"], 2, "--outputs and --size go with --arch"),
        (["mine", "--arch", "timm:x"], 2, "--arch goes with weights of PyTorch; vgg.onnx has its"),
    ],
)
def test_usage_errors(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert cli.main(["import-net", *arguments, "--weights", "vgg.onnx"]) == code
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"ripen: {message}")
    assert not Path("models/mine").exists()


def test_other_models_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.onnx").write_bytes(Path("vgg.onnx").read_bytes()[:99])
    rows = 'layer { name: "r" type: "Input" top: "r" input_param { shape { dim: 2 dim: 3 } } } '
    rows += 'layer { name: "s" type: "Sigmoid" bottom: "r" top: "s" }'
    Path("rows.prototxt").write_text(rows)
    export(caffe.Net("rows.prototxt", caffe.TEST), "rows.onnx")
    for file, message in {
        "broken.onnx": "is no ONNX model, or is truncated",
        "rows.onnx": "its input is r (2, 3). Allowed: images (N, 3, H, W) or grey ones",
        "none.onnx": "cannot be read: No such file or directory",
    }.items():
        assert cli.main(["import-net", "mine", "--weights", file]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error == f"ripen: {file}: {message}"


def test_a_model_names_its_net(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("vgg.onnx").rename("Small VGG-1.onnx")
    assert cli.main(["import-net", "Small VGG-1.onnx"]) == 0
    promised = contract("small_vgg_1")
    assert promised.input.mean == [103.53, 116.28, 123.675]
    assert "taken for ImageNet's, as torchvision has it" in capsys.readouterr().out
