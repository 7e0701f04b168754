"""The guard: `params.yaml` and `conf/` agree, or DVC is running an experiment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ripen.core.errors import ConfigError
from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.stages import settings

CONF = Path(__file__).parents[3] / "conf"
NET = "competition.digits.models.net.solver"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that composes overrides, changes the values, and writes params.yaml."""
    (tmp_path / "models").symlink_to(CONF.parent / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_BASELINE_REV", raising=False)

    def written(*overrides: str, change: Callable[[dict[str, Any]], Any] = id) -> Path:
        values, _ = settings.compose(["competitions=[digits]", *overrides], CONF)
        change(values)
        config.PARAMS.write_text(yaml_files.dump(values), encoding="utf-8")
        return config.PARAMS

    return written


def slower(values: dict[str, Any]) -> None:
    values["competition"]["digits"]["models"]["net"]["solver"]["momentum"] = 0.5


def test_agreement_is_silent(write: Callable[..., Path]) -> None:
    settings.run(write("solver.base_lr=0.5"), CONF)
    net = config.load_competition("digits").models["net"]
    assert net["solver"]["base_lr"] == 0.5


def test_drift_names_the_key_both_values_and_two_ways_out(write: Callable[..., Path]) -> None:
    message = (
        rf"disagree on '{NET}\.momentum': 0\.5 and 0\.9\. To take .*conf/: ripen compose\. "
        rf"To keep the value: ripen run {NET}\.momentum=0\.5$"
    ).replace("digits.models.net.solver", r"digits\.models\.net\.solver")
    with pytest.raises(ConfigError, match=message):
        settings.run(write(change=slower), CONF)


def test_a_model_that_conf_lacks_is_drift(write: Callable[..., Path]) -> None:
    def more(values: dict[str, Any]) -> None:
        values["competition"]["digits"]["models"]["other"] = {"estimator": "svm"}

    with pytest.raises(ConfigError, match=r"disagree on 'competition\.digits\.models\.other\."):
        settings.run(write(change=more), CONF)


def test_inside_an_experiment_params_yaml_is_the_truth(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    settings.run(write(change=slower), CONF)
    assert config.load_competition("digits").models["net"]["solver"]["momentum"] == 0.5


def test_inside_an_experiment_params_yaml_keeps_its_form(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ruamel.yaml

    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    params = write(change=slower)
    expected = params.read_text()
    values = ruamel.yaml.YAML().load(expected)  # as DVC reads and writes it
    with params.open("w") as file:
        ruamel.yaml.YAML().dump(values, file)
    assert params.read_text() != expected
    settings.run(params, CONF)
    assert params.read_text() == expected


def test_inside_an_experiment_the_graph_must_follow(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)

    def another(values: dict[str, Any]) -> None:
        values["competitions"] = ["avocado"]

    def fewer(values: dict[str, Any]) -> None:
        del values["competition"]["digits"]["models"]["svm"]

    for change in (another, fewer):
        with pytest.raises(ConfigError, match=r"dvc exp run -S cannot choose competitions, model"):
            settings.run(write(change=change), CONF)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bse_lr", 0.1, r"unknown key 'solver\.bse_lr'; did you mean 'solver\.base_lr'\?"),
        ("base_lr", "abc", r"solver\.base_lr is 'abc': input should be a valid number"),
    ],
)
def test_inside_an_experiment_the_schema_holds(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: object,
    message: str,
) -> None:
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)

    def change(values: dict[str, Any]) -> None:
        values["competition"]["digits"]["models"]["net"]["solver"][name] = value

    where = r"params\.yaml: competition\.digits: models\.net: "
    with pytest.raises(ConfigError, match=where + message):
        settings.run(write(change=change), CONF)


def test_models_that_the_settings_no_longer_have_are_removed(write: Callable[..., Path]) -> None:
    models = Path("data/digits/models")
    for name in ("svm", "old"):
        (models / name).mkdir(parents=True)
    settings.run(write(), CONF)
    assert [path.name for path in models.iterdir()] == ["svm"]
