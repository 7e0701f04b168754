"""The contracts in models/, and invalid ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from ripen.core.errors import ConfigError, UsageError
from ripen.nets.contract import contract, folder, inputs, labels
from ripen.nets.zoo import DEFINITIONS

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_net_has_a_contract() -> None:
    names = {path.parent.name for path in Path("models").glob("*/readme.md")}
    assert names >= set(DEFINITIONS)
    imported = [contract(name).weights for name in names - set(DEFINITIONS)]
    assert all(weights is not None and weights.format == "pytorch" for weights in imported)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_contract_agrees_with_the_definition(name: str) -> None:
    promised, deploy = contract(name), DEFINITIONS[name].deploy()
    channels = 1 if promised.input.channel_order == "grey" else 3
    shape = list(deploy.layer[0].input_param.shape[0].dim)
    assert shape[1:] == [channels, promised.input.height, promised.input.width]
    assert len(promised.input.mean) in (0, channels)
    assert (promised.weights is None) == (promised.caffemodel is None)
    if promised.weights is not None:
        assert (promised.weights.url is None) != (promised.weights.wheel is None)
        assert (promised.weights.url or "https://").startswith(("http://", "https://"))
        assert (promised.weights.sha1 is None) != (promised.weights.sha256 is None)


def test_the_classes_of_imagenet() -> None:
    found = labels("squeezenet")
    assert len(found) == len({label.synset for label in found}) == 1000
    assert (found[281].synset, found[281].name) == ("n02123045", "tabby, tabby cat")
    assert [found[i].name.partition(",")[0] for i in (0, 277, 282, 285, 287)] == [
        "tench",
        "red fox",
        "tiger cat",
        "Egyptian cat",
        "lynx",
    ]


def test_synsets_include_those_of_the_sample_images(mirror: Path) -> None:
    names = {label.synset: label.name for label in labels("caffenet")}
    files = list((mirror / "EliSchwartz/imagenet-sample-images").glob("*.JPEG"))
    assert len(files) == 256
    assert {file.name.partition("_")[0] for file in files} <= set(names)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_class_names_are_as_many_as_the_scores(name: str) -> None:
    found = labels(name)
    assert (contract(name).classes is None) == (not found)
    if found:
        layers = DEFINITIONS[name].deploy().layer
        dense = [layer for layer in layers if layer.type in ("InnerProduct", "Convolution")][-1]
        settings = dense.inner_product_param, dense.convolution_param
        assert len(found) == max(each.num_output for each in settings)


def test_inputs_are_the_contract_and_the_weights() -> None:
    home = Path("models/squeezenet")
    assert inputs("squeezenet") == [home / "readme.md", home / "squeezenet.caffemodel"]
    assert inputs("lenet") == [Path("models/lenet/readme.md")]


def test_contracts_are_read_without_pytorch() -> None:
    code = "import sys, ripen.nets.contract; print({'torch', 'caffe'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_unknown_net_suggests_a_known_one() -> None:
    with pytest.raises(UsageError, match="no net 'cafenet' in models/; did you mean 'caffenet'"):
        folder("cafenet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", "no front matter between"),
        ("---\nname: x\n", "no front matter between"),
        ("---\nname: x\nlicense: y\n---\n", "key 'input' is missing"),
        ("---\nname: x\nlicense: y\ninput: {}\nmeen: 3\n---\n", "key 'input.height' is missing"),
        ("---\nname: [\n---\n", "expected the node content"),
    ],
)
def test_invalid_readmes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "readme.md").write_text(text)
    with pytest.raises(ConfigError, match=rf"models/mine/readme.md: .*{message}"):
        contract("mine")


def test_missing_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    grey = "{height: 8, width: 8, channel_order: grey, raw_scale: 1.0}"
    text = f"---\nname: x\nlicense: y\nclasses: styles\ninput: {grey}\n---\n"
    (tmp_path / "models" / "mine" / "readme.md").write_text(text)
    with pytest.raises(
        ConfigError, match=r"readme\.md: classes: models/classes/styles\.csv not fo"
    ):
        labels("mine")
