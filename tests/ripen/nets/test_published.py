"""Fetching a net's weights: from the mirror, and when no source has them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError
from ripen.core.errors import ConfigError, DataError, SourceError, UsageError
from ripen.nets import published as weights
from ripen.nets.opening import ALLOWED, open_net
from ripen.nets.zoo import DEFINITIONS

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the contracts in a fresh working folder."""
    ignore = shutil.ignore_patterns("*.prototxt", "*.caffemodel", "*.net", "*.pth")
    shutil.copytree(MODELS, tmp_path / "models", ignore=ignore)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not answer, as on a machine without a network."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


def test_squeezenet_from_the_mirror(mirror: Path, models: Path) -> None:
    assert mirror.is_dir()
    net = weights.load("squeezenet")
    files = {file.name for file in (models / "squeezenet").iterdir()}
    assert files >= {"squeezenet.caffemodel", "deploy.prototxt", "train_val.prototxt"}
    again = caffe.Net(
        str(models / "squeezenet/deploy.prototxt"),
        str(models / "squeezenet/squeezenet.caffemodel"),
        caffe.TEST,
    )
    for name, blobs in net.params.items():
        for ours, theirs in zip(blobs, again.params[name], strict=True):
            assert np.array_equal(ours.data, theirs.data)
            assert ours.data.any()


def test_weights_that_no_source_has(
    models: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.delenv("RIPEN_MIRROR", raising=False)
    with pytest.raises(
        SourceError,
        match=r"^bvlc_reference_caffenet\.caffemodel not found\. Tried mirror: RIPEN_MIRROR is "
        r"not set; url: http://dl\.caffe\S+: no connection\. Set RIPEN_MIRROR to a folder .*; or: "
        r"Put http://dl\S+ at models/caffenet/bvlc_reference_caffenet\.caffemodel yourself$",
    ):
        weights.caffemodel("caffenet")
    left = {file.name for file in (models / "caffenet").iterdir()}
    assert left == {"readme.md", "deploy.prototxt", "train_val.prototxt", "solver.prototxt"}


def test_a_mirror_with_another_file(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    file = tmp_path / "m/github.com/songhan/SqueezeNet-Deep-Compression/compressed_SqueezeNet.net"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"other")
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "m"))
    with pytest.raises(SourceError, match=r"has sha256 d9298a10d1b0\w+\. Expected: e4ab6960\w+"):
        weights.caffemodel("squeezenet")
    assert not (models / "squeezenet/squeezenet.caffemodel").exists()


def test_nets_without_weights(models: Path) -> None:
    with pytest.raises(UsageError, match="net 'lenet' has no published weights"):
        weights.caffemodel("lenet")


def test_a_caffemodel_of_another_net(models: Path) -> None:
    caffe.Net(DEFINITIONS["lenet"].deploy(), caffe.TEST).save(
        str(models / "squeezenet/squeezenet.caffemodel")
    )
    with pytest.raises(DataError, match=r"squeezenet.caffemodel: has no weights for layer 'conv_f"):
        weights.load("squeezenet")


def test_a_format_that_the_net_cannot_decode(mirror: Path, models: Path) -> None:
    assert mirror.is_dir()
    readme = models / "squeezenet" / "readme.md"
    readme.write_text(readme.read_text().replace("deep_compression", "shallow_compression"))
    with pytest.raises(
        ConfigError,
        match=r"weights\.format is 'shallow_compression'\. Allowed: caffemodel and deep_comp",
    ):
        weights.caffemodel("squeezenet")


def test_a_net_of_somebody_else_runs_no_python_layer_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text(
        "import caffe\nopen('ran', 'w').close()\nclass Layer(caffe.Layer): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text(
        'layer { name: "x" type: "Python" top: "x" '
        'python_param { module: "stranger" layer: "Layer" } }'
    )
    with pytest.raises(
        CaffeError, match=rf"runs the code of module 'stranger'\. If .* {ALLOWED}=1"
    ):
        open_net(str(deploy), caffe.TEST)
    assert not Path("ran").exists()
    monkeypatch.setenv(ALLOWED, "1")
    open_net(str(deploy), caffe.TEST)
    assert Path("ran").exists()
