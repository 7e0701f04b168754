"""settings: params.yaml and conf/ agree, and folders hold only what the settings still have."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ripen.core.errors import ConfigError
from ripen.core.layout import Layout
from ripen.settings import compose as composing
from ripen.stages import settings

ROOT = Path(__file__).parents[3]
CONF = ROOT / "conf"
PARAMS = composing.PARAMS
RATE = "solver.base_lr=0.5"
Here = Callable[..., dict[str, Any]]


def net(values: dict[str, Any]) -> dict[str, Any]:
    """Return the avocado's net among the values of params.yaml."""
    section: dict[str, Any] = values["competition"]["avocado"]["models"]["net"]
    return section


def test_values_with_their_overrides_agree_with_conf(here: Here) -> None:
    assert net(here(RATE))["solver"]["base_lr"] == 0.5
    settings.run(PARAMS, CONF)
    assert composing.load_run().overrides == [RATE]


def test_drift_names_the_key_and_both_values(here: Here) -> None:
    values = here()
    net(values)["solver"]["momentum"] = 0.5
    PARAMS.write_text(composing.dump(values), encoding="utf-8")
    key = r"competition\.avocado\.models\.net\.solver\.momentum"
    with pytest.raises(ConfigError, match=rf"disagree on '{key}': 0\.5 and 0\.9\. .*{key}=0\.5$"):
        settings.run(PARAMS, CONF)


def test_a_key_that_only_one_of_them_has_is_named(here: Here) -> None:
    values = here()
    del values["competition"]["avocado"]["models"]["svm"]["C"]
    PARAMS.write_text(composing.dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"disagree on '\S+models\.svm\.C': None and 3\.0"):
        settings.run(PARAMS, CONF)


def test_inside_an_experiment_params_yaml_is_the_truth(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = here()
    net(values)["solver"]["momentum"] = 0.5
    PARAMS.write_text(composing.dump(values), encoding="utf-8")
    monkeypatch.setitem(os.environ, "DVC_EXP_BASELINE_REV", "0" * 40)
    settings.run(PARAMS, CONF)
    net(values)["solver"]["momentun"] = 0.5
    PARAMS.write_text(composing.dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown key 'solver\.momentun'; did you mean 'sol"):
        settings.run(PARAMS, CONF)


def test_inside_an_experiment_params_yaml_keeps_its_form(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ruamel.yaml

    here(RATE)
    expected = PARAMS.read_text(encoding="utf-8")
    values = ruamel.yaml.YAML().load(expected)  # as DVC reads and writes it
    with PARAMS.open("w", encoding="utf-8") as file:
        ruamel.yaml.YAML().dump(values, file)
    assert PARAMS.read_text(encoding="utf-8") != expected
    monkeypatch.setitem(os.environ, "DVC_EXP_BASELINE_REV", "0" * 40)
    settings.run(PARAMS, CONF)
    assert PARAMS.read_text(encoding="utf-8") == expected


def test_inside_an_experiment_the_graph_must_follow(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "DVC_EXP_BASELINE_REV", "0" * 40)
    values = here("competitions=[avocado]")
    PARAMS.write_text(composing.dump(values | {"competitions": ["digits"]}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"dvc exp run -S cannot choose competitions, models or"):
        settings.run(PARAMS, CONF)
    del values["competition"]["avocado"]["models"]["svm"]
    PARAMS.write_text(composing.dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"dvc exp run -S cannot choose competitions, models or"):
        settings.run(PARAMS, CONF)


def test_models_and_features_that_are_no_longer_there_are_removed(here: Here) -> None:
    here("competitions=[cats_vs_dogs]", "models.scratch=null", "features.old=null")
    layout = Layout("cats_vs_dogs")
    for name in ("scratch", "full"):
        layout.model(name).mkdir(parents=True)
        (layout.model(name) / "predictions.csv").write_text("")
    layout.features.mkdir(parents=True)
    for name in ("old", "squeezenet"):
        (layout.features / f"{name}.h5").write_bytes(b"")
    settings.run(PARAMS, CONF)
    assert [path.name for path in layout.models.iterdir()] == ["full"]
    assert [path.name for path in layout.features.iterdir()] == ["squeezenet.h5"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["metric=log_los"], r"unknown metric 'log_los'; did you mean 'log_loss'\?"),
        (["task=binry"], r"unknown task 'binry'; did you mean 'binary'\?"),
        (["reader=tables"], r"unknown reader 'tables'; did you mean 'table'\?"),
        (["metric=rmse"], r"metric 'rmse' needs a value, which task 'binary' does not give"),
        (["predict.model=smv"], r"predict\.model is 'smv': no such model; did you mean 'svm'"),
        (["models.svm.estimator=svn"], r"unknown estimator 'svn'; did you mean 'svm'"),
        (["models.svm.inputs=[tables]"], r"models\.svm\.inputs names 'tables', which is not in"),
        (["models.svm.C=-1"], r"models\.svm: C is -1: input should be greater than 0"),
        (["models.svm.D=1"], r"models\.svm: unknown key 'D'"),
        (["validation.split=k_fold"], r"unknown splitter 'k_fold'; did you mean 'kfold'"),
        (["validation.size=2"], r"validation: size is 2\S*: input should be less than 1"),
        (
            ["~source.generate", "source.kagle=x"],
            r"source 'kagle'; did you mean 'kaggle'\?",
        ),
    ],
)
def test_what_a_registry_lacks_is_an_error_before_anything_runs(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings.compose(["competitions=[avocado]", *overrides], CONF)
    assert "\n" not in str(caught.value)


def test_the_graph_has_an_instance_for_each_model_and_for_each_set_of_features(here: Here) -> None:
    here()  # to be in a folder of its own, which has the competitions' code
    Path("src").symlink_to(ROOT / "src")
    graph = here("competitions=[avocado,cats_vs_dogs]")["graph"]
    assert (list(graph["generate"]), list(graph["fetch"])) == (["avocado"], ["cats_vs_dogs"])
    assert list(graph["prepare"]) == list(graph["report"]) == ["avocado", "cats_vs_dogs"]
    assert set(graph["colours"]) == {"cats_vs_dogs.histogram", "cats_vs_dogs.thumbnail"}
    assert set(graph["features"]) == {"cats_vs_dogs.efficientnet_lite2", "cats_vs_dogs.squeezenet"}
    assert set(graph["finetune"]) == {f"cats_vs_dogs.{x}" for x in ("scratch", "head", "full")}
    assert graph["fit"]["avocado.svm"]["reads"] == "inputs/prepared"
    assert graph["fit"]["cats_vs_dogs.net"]["reads"] == "inputs"
    assert graph["generate"]["avocado"]["code"] == "src/ripen/competitions/avocado"
    assert graph["evaluate"]["cats_vs_dogs"]["code"] == "src/ripen/competitions/__init__.py"
    weights = {net: item["file"] for net, item in graph["weights"].items()}
    assert set(weights) == {"efficientnet_lite2", "squeezenet"}
