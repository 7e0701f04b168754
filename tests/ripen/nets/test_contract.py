"""The contracts in models/, and what is wrong with others."""

from pathlib import Path

import pytest

from ripen.core.errors import ConfigError, UsageError
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.contract import contract, folder, labels

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
def test_the_contract_fits_the_definition(name: str) -> None:
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


def test_the_synsets_are_those_of_the_photographs(mirror: Path) -> None:
    names = {label.synset: label.name for label in labels("caffenet")}
    files = list((mirror / "EliSchwartz/imagenet-sample-images").glob("*.JPEG"))
    assert len(files) == 256
    assert {file.name.partition("_")[0] for file in files} <= set(names)


def test_an_unknown_net() -> None:
    with pytest.raises(UsageError, match="no net 'cafenet' in models/; did you mean caffenet?"):
        folder("cafenet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no front matter", "has no front matter"),
        ("---\nname: x\n", "has no front matter"),
        ("---\nname: x\nlicense: y\n---\n", "input: Field required"),
        ("---\nname: x\nlicense: y\ninput: {}\nmeen: 3\n---\n", "input.height: Field required"),
        ("---\nname: [\n---\n", "expected the node content"),
    ],
)
def test_bad_readmes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "readme.md").write_text(text)
    with pytest.raises(ConfigError, match=rf"models/mine/readme.md: .*{message}"):
        contract("mine")
