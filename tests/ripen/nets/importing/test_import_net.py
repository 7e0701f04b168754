"""`ripen import-net`, with a small library in the place of torchvision."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import caffe
from ripen import cli
from ripen.nets import published as weights
from ripen.nets.contract import contract
from tests.ripen.nets.importing.networks import SHAPE, SIZE, network, outputs

ROOT = Path(__file__).parents[4]
# Like PyPI's torchvision beside another PyTorch, it lacks two of its own operators.
INIT = """
import torch
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        raise RuntimeError(f"operator torchvision::{name} does not exist")
from torchvision import models
"""
MODELS = """
from types import SimpleNamespace
from tests.ripen.nets.importing.networks import network

def list_models(module):
    return ["vgg", "resnet"]

def get_model(name, weights):
    assert weights is None
    return network(name)

def get_model_weights(name):
    def published(version, resized):
        made = SimpleNamespace(crop_size=[21], resize_size=[resized], mean=[0.5, 0.4, 0.3],
            std=[0.2, 0.25, 0.3], interpolation=SimpleNamespace(value="bilinear"))
        return SimpleNamespace(url=f"https://x.org/{name}-{version}.pth", transforms=lambda: made)
    return [published("v1", 24), published("v2", 42)]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with contracts, a library, and the weights of its networks."""
    ignore = shutil.ignore_patterns("*.prototxt", "*.caffemodel", "*.net", "*.pth")
    shutil.copytree(ROOT / "models", tmp_path / "models", ignore=ignore)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").touch()
    library = tmp_path / "library" / "torchvision"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(INIT)
    (library / "models.py").write_text(MODELS)
    for name in ("vgg", "resnet"):
        torch.save(network(name).state_dict(), tmp_path / f"{name}-v2.pth")
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(library.parent)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(*more: str) -> int:
    return cli.main(["import-net", "mine", "--arch", "torchvision:vgg", *more])


def test_a_network_becomes_a_net(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("--weights", "vgg-v2.pth") == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["deploy.prototxt", "train_val.prototxt", "mine.caffemodel", "readme.md"]
    assert [line.split()[0] for line in lines[:4]] == [f"models/mine/{name}" for name in names]
    assert all(len(line.split()[2]) == 64 for line in lines[:4])
    assert lines[4].startswith("its outputs for random images agree with PyTorch's within ")
    promised = contract("mine")
    assert promised.input.mean == [76.5, 102, 127.5]
    assert promised.input.crop == 0.5  # of version 2, which the file's name identifies
    assert (promised.input.height, promised.input.channel_order) == (SIZE, "BGR")
    assert promised.weights is not None
    assert promised.weights.architecture == "torchvision:vgg"
    bgr = np.random.default_rng(0).uniform(-99, 99, (1, *SHAPE)).astype(np.float32)
    deviation = 255 * np.array([0.2, 0.25, 0.3], np.float32).reshape(3, 1, 1)
    expected = outputs(network("vgg"), torch.from_numpy(bgr[:, ::-1] / deviation)).softmax(1)
    found = weights.load("mine").forward(data=bgr)["prob"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_its_train_val_can_be_fine_tuned(home: Path) -> None:
    assert imported("--weights", "vgg-v2.pth") == 0
    definition = weights.definition("mine").train_val
    assert definition is not None
    layers = definition().layer
    assert [layer.type for layer in layers[:2]] == ["Data", "Data"]
    assert [layer.type for layer in layers[-2:]] == ["Accuracy", "SoftmaxWithLoss"]
    last = next(layer for layer in layers if layer.name == "12")
    assert [param.lr_mult for param in last.param] == [1, 2]
    assert last.inner_product_param.weight_filler.type == "xavier"


def test_a_net_of_the_zoo(mirror: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    file = mirror / "songhan/SqueezeNet-Deep-Compression/compressed_SqueezeNet.net"
    assert cli.main(["import-net", "squeezenet", "--weights", str(file)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rpartition("/")[2] for line in shown[:3]] == [
        "deploy.prototxt",
        "squeezenet.caffemodel",
        "train_val.prototxt",
    ]
    assert shown[3] == "try it: ripen classify IMAGE --net squeezenet"
    assert not list(home.glob("models/squeezenet/*.net"))
    net = caffe.Net(
        "models/squeezenet/deploy.prototxt", "models/squeezenet/squeezenet.caffemodel", caffe.TEST
    )
    assert net.params["conv1"][0].data.any()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mine", "--arch", "torchvision:vgg"], 2, "--arch torchvision:vgg needs --weights FILE"),
        (["lenet", "--arch", "torchvision:vgg"], 2, "'lenet' is a net of the zoo"),
        (["../x", "--arch", "torchvision:vgg"], 2, "'../x' is not a valid name. Allowed: a-z"),
        (["x", "--arch", "keras:vgg"], 2, "--arch keras:vgg: allowed: torchvision:NAME and timm"),
        (["x", "--arch", "torchvision:vgh"], 2, "torchvision has no network 'vgh'; did you mean v"),
        (
            ["x", "--arch", "torchvision:resnet"],
            1,
            "vgg-v2.pth: '0.weight' has shape (6, 3, 3, 3); expected",
        ),
        (["cafenet"], 2, "no net 'cafenet' in models/; did you mean 'caffenet'?"),
        (["squeezenet"], 1, "vgg-v2.pth has sha256"),
        (["squeezenet", "--size", "9"], 2, "--outputs and --size go with --arch"),
    ],
)
def test_usage_errors(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    given = [] if "needs" in message else ["--weights", "vgg-v2.pth"]
    assert cli.main(["import-net", *arguments, *given]) == code
    assert capsys.readouterr().err.startswith(f"ripen: {message}")
    assert not list(home.glob("models/*/*.caffemodel"))


def test_a_library_that_is_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert imported("--weights", "vgg-v2.pth") == 2
    assert "Run .venv/bin/pip install -e '.[import]'" in capsys.readouterr().err
