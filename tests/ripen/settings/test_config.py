from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

from ripen.core.errors import ConfigError
from ripen.settings import compose as config
from ripen.settings.schema.net import Solver

ROOT = Path(__file__).parents[3]
CONF = ROOT / "conf"


def test_params_yaml_is_what_conf_composes_to() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text == config.dump(config.compose((), CONF))
    assert config.load(ROOT / "params.yaml").overrides == []


def test_an_override_changes_its_key_and_is_recorded() -> None:
    plain, changed = config.compose((), CONF), config.compose(["solver.base_lr=0.5"], CONF)
    assert changed["solver"]["base_lr"] == 0.5
    assert changed["overrides"] == ["solver.base_lr=0.5"]
    differs = {
        key for key, value in config.leaves(changed) if dict(config.leaves(plain))[key] != value
    }
    # Also where the competition that uses it takes it in, so that no other runs again.
    own = "competition.avocado.train.solver.base_lr"
    assert differs == {"solver.base_lr", own, "overrides"}


def test_the_stages_run_for_the_competitions_that_are_chosen() -> None:
    graph = config.compose(["competitions=[digits]"], CONF)["graph"]
    assert graph["train"] == graph["fetch"] == ["digits"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("solver.bse_lr=0.1", r"unknown key 'solver\.bse_lr'; did you mean 'solver\.base_lr'\?"),
        ("train.base_lr=0.1", r"unknown key 'train\.base_lr'; did you mean 'solver\.base_lr'\?"),
        ("solver.base_lr=fast", r"solver\.base_lr is 'fast': input should be a valid number"),
        ("solver.base_lr=-1", r"solver\.base_lr is -1: input should be greater than 0"),
        ("seed=1.5", r"seed is 1\.5: input should be a valid integer"),
        ("engine=reel", r"has no 'reel'; did you mean 'real'\?"),
        ("engine.name=caffe2", r"engine\.name is 'caffe2': input should be 'torch' or 'real'"),
        ("net=mpl", r"has no 'mpl'; did you mean 'mlp'\?"),
        ("net.activation=sigmoyd", r"net\.activation is 'sigmoyd': input should be 'sigmoid'"),
        ("competitions=[avocdo]", r"competitions\.0 is 'avocdo'.*did you mean 'avocado'\?"),
        ("competitions=[]", r"competitions is \[\]: .*at least 1 item"),
        ("prepare.validation_size=1.0", r"prepare\.validation_size is 1\.0: .*less than 1"),
        ("+net.layers=3", r"unknown key 'net\.layers'"),
        (
            "~competition.cats_vs_dogs.features.nets.efficientnet_lite2",
            r"competition\.cats_vs_dogs: train\.heads\.net\.nets names 'efficientnet_lite2', "
            r"which features\.nets has not: squeezenet",
        ),
        (
            "competition.cats_vs_dogs.baselines.nets=[vgg]",
            r"baselines\.nets names 'vgg', which features\.nets has not: efficientnet_lite2, squ",
        ),
        (
            "competition.avocado.train.solver.base_lr=0.5",
            r"'competition\.avocado\.train\.solver\.base_lr' is that of 'solver\.base_lr'",
        ),
        ("net.activation=${net.activaton}", r"cannot be composed: Interpolation key 'net\.activat"),
        (
            "competition.cats_vs_dogs.train.heads.nett.batch_size=1",
            r"cannot be composed: Could not override '.*\.heads\.nett\.batch_size'",
        ),
    ],
)
def test_a_wrong_override_is_an_error_that_names_the_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config.compose([override], CONF)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    values = config.compose((), CONF)
    del values["train"]["patience"]
    with pytest.raises(ConfigError, match=r"params\.yaml: key 'train\.patience' is missing"):
        config.from_mapping(values, "params.yaml")


def test_a_password_in_the_tracking_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.uri") as caught:
        config.compose(["tracking.uri='http://ann:s3cret@host:5000'"], CONF)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"is missing\. Run: ripen compose"),
        ("a: [", r"params\.yaml: while parsing"),
        ("- 1\n", r"a mapping of settings is needed"),
    ],
)
def test_an_unreadable_params_yaml(tmp_path: Path, text: str | None, message: str) -> None:
    params = tmp_path / "params.yaml"
    if text is not None:
        params.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        config.load(params)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["solver.lr_policy=poly"], r"solver: lr_policy 'poly' needs 'power'"),
        (["solver.lr_policy=multistep"], r"solver: lr_policy 'multistep' needs 'stepvalue'"),
        (
            ["competition.cats_vs_dogs.train.ways.folds=6"],
            r"cats_vs_dogs: train\.ways\.folds is 6\. Allowed: up to prepare\.folds, which is 5",
        ),
        (["solver.type=RMSProp"], r"solver: type 'RMSProp' takes no momentum"),
    ],
)
def test_a_solver_that_lacks_what_it_needs(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config.compose(overrides, CONF)
    assert "\n" not in str(caught.value)
    assert "base_lr" not in str(caught.value)  # nor the whole section repeated


def test_a_key_that_python_keeps_to_itself() -> None:
    override = "competition.cats_vs_dogs.train.ways.finetune.from=caffenet"
    composed = config.from_mapping(config.compose([override], CONF), "test")
    finetune = composed.competition.cats_vs_dogs.train.ways.finetune
    assert finetune.from_ == "caffenet"
    assert config.as_mapping(finetune)["from"] == "caffenet"
    assert "competition.cats_vs_dogs.train.ways.finetune.from" in set(config.keys())


def test_every_key_of_the_schema_that_has_no_default_is_in_conf() -> None:
    composed = yaml.safe_load(config.dump(config.compose((), CONF)))
    schema = set(config.keys())
    sections = {key for key in schema if any(other.startswith(f"{key}.") for other in schema)}
    # What is in a section whose keys are names of one's own counts as that section.
    there = {
        next((known for known in schema - sections if key.startswith(f"{known}.")), key)
        for key, _ in config.leaves(composed)
    }
    solver = {key.name for key in fields(Solver) if key.default is not MISSING}
    assert there <= schema - sections
    assert {key.rpartition(".")[2] for key in schema - sections - there} <= solver
