"""Composing `conf/`: one test for each rule of `ripen.settings.compose`."""

import functools
import re
import shutil
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from ripen.core.errors import ConfigError
from ripen.core.lineage import leaves
from ripen.learn.complete import given
from ripen.learn.estimator import ESTIMATORS
from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.settings.schema import Competition, Run, Solver
from ripen.stages.settings import compose

ROOT = Path(__file__).parents[3]
CONF = ROOT / "conf"

TOAST = """
source: {generate: {}}
target: burnt
task: binary
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of conf/ with another competition, `toast`."""
    folder = tmp_path / "conf"
    shutil.copytree(CONF, folder)
    (folder / "competition/toast.yaml").write_text(TOAST)
    return folder


@functools.cache
def values(*overrides: str) -> dict[str, Any]:
    """Return what overrides compose to, without the notes."""
    return compose(overrides, CONF)[0]


def toast(conf: Path) -> dict[str, Any]:
    """Return what the file of the competition `toast` composes to."""
    composed: dict[str, Any] = compose(["competitions=[toast]"], conf)[0]["competition"]["toast"]
    return composed


def differing(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    here, there = dict(leaves(first)), dict(leaves(second))
    return {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}


# --- params.yaml ---------------------------------------------------------------------------------


def test_params_yaml_is_what_conf_composes_to() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text == yaml_files.dump(values())
    assert config.load_run(ROOT / "params.yaml").overrides == []


def test_params_yaml_holds_the_chosen_competitions_alone() -> None:
    composed = values("competitions=[digits]")
    assert list(composed["competition"]) == composed["competitions"] == ["digits"]
    for stage in ("generate", "prepare", "sweep", "evaluate", "predict", "report"):
        assert list(composed["graph"][stage]) == ["digits"]
    models = {item["name"] for item in composed["graph"]["fit"].values()}
    assert models == set(composed["competition"]["digits"]["models"])


def test_the_competitions_are_the_files(conf: Path) -> None:
    known = {path.stem for path in (CONF / "competition").glob("*.yaml")}
    assert set(config.available(CONF)) == known
    assert set(config.available(conf)) == known | {"toast"}
    assert toast(conf)["target"] == "burnt"


def test_a_file_without_defaults_is_a_table(conf: Path) -> None:
    composed = toast(conf)
    assert composed["reader"] == "table"
    assert composed["validation"] == {"split": "stratified", "folds": 5}


def test_sections_that_only_serve_interpolations_are_left_out() -> None:
    for competition in values()["competition"].values():
        assert {"solver", "net", "train"}.isdisjoint(competition)
        assert competition["models"]["net"]["solver"]["max_iter"] > 0


def test_what_an_estimator_has_by_itself_is_filled_in() -> None:
    models = values()["competition"]["avocado"]["models"]
    assert models["svm"]["calibration_folds"] == 5
    assert models["random_forest"]["min_samples_leaf"] == 2
    assert "max_depth" not in models["random_forest"]  # null: not given


# --- Overrides -----------------------------------------------------------------------------------


def test_an_override_holds_for_every_competition_that_has_the_setting() -> None:
    found = differing(values(), values("solver.base_lr=0.5"))
    nets = ("avocado.models.net", *(f"digits.models.{name}" for name in ("net", "head", "scratch")))
    assert found == {"overrides"} | {f"competition.{net}.solver.base_lr" for net in nets}
    assert values("solver.base_lr=0.5")["overrides"] == ["solver.base_lr=0.5"]


def test_an_override_of_one_competition_changes_no_other() -> None:
    override = "competition.avocado.solver.base_lr=0.5"
    found = differing(values(), values(override))
    assert found == {"overrides", "competition.avocado.models.net.solver.base_lr"}


def test_an_override_that_some_competitions_lack_is_noted() -> None:
    changed, notes = compose(["net.hidden_layers=[3]"], CONF)
    assert notes == ["'net.hidden_layers' does not apply to digits"]
    key = "competition.avocado.models.net.net.hidden_layers"
    assert differing(values(), changed) == {"overrides", key}


def test_another_metric_takes_none_of_the_formers_settings() -> None:
    first, second = "{metric: f_beta, beta: 2}", "{metric: top_k, k: 3}"
    found = values(f"competition.avocado.metric={first}", f"competition.digits.metric={second}")
    assert found["competition"]["avocado"]["metric"] == {"metric": "f_beta", "beta": 2}
    assert found["competition"]["digits"]["metric"] == {"metric": "top_k", "k": 3}
    again = values(f"competition.avocado.metric={first}", "competition.avocado.metric=f1")
    assert again["competition"]["avocado"]["metric"] == "f1"


def test_a_preset_is_of_the_competitions_that_have_its_settings() -> None:
    with pytest.raises(ConfigError, match=r"^'preset=fast' does not apply to imagenet$"):
        values("preset=fast", "competitions=[imagenet]")
    assert differing(values(), values("preset=default")) == {"overrides"}


def test_a_group_swaps_a_whole_section() -> None:
    net = values("solver=head", "competitions=[avocado]")["competition"]["avocado"]["models"]["net"]
    head = yaml.safe_load((CONF / "solver/head.yaml").read_text())
    assert {key: net["solver"][key] for key in head} == head
    assert "gamma" not in net["solver"]  # sgd's, which head has not
    sweep = values("competition.digits.sweep=nodes")["competition"]
    assert (sweep["digits"]["sweep"]["name"], sweep["avocado"]["sweep"]["name"]) == (
        "nodes",
        "learning_rate",
    )
    assert values("launcher=joblib")["launcher"]["name"] == "joblib"


def test_a_part_of_an_interpolated_section_can_be_overridden() -> None:
    """`models.net.solver` is `${solver}`: a deeper override changes it there, and nowhere else."""
    found = differing(values(), values("models.net.solver.max_iter=7"))
    assert found == {"overrides"} | {
        f"competition.{name}.models.net.solver.max_iter" for name in ("avocado", "digits")
    }


def test_the_deeper_override_wins_over_the_section_that_it_is_taken_from() -> None:
    both = values("models.net.solver.max_iter=7", "solver.max_iter=9", "solver.base_lr=0.5")
    models = both["competition"]["digits"]["models"]
    assert [models[name]["solver"]["max_iter"] for name in ("net", "head")] == [7, 9]
    assert models["net"]["solver"]["base_lr"] == 0.5


@pytest.mark.parametrize("override", ["models.svm=null", "~models.svm"])
def test_a_model_is_removed(override: str) -> None:
    composed = values(override)
    for name, competition in composed["competition"].items():
        assert "svm" not in competition["models"]
        assert f"{name}.svm" not in composed["graph"]["fit"]


def test_a_model_is_added() -> None:
    composed = values("competition.avocado.models.wide={estimator: svm, C: 30}")
    assert composed["competition"]["avocado"]["models"]["wide"]["C"] == 30
    assert "avocado.wide" in composed["graph"]["fit"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["validation={split: kfold, folds: 3}"],
        ["validation.split=kfold", "validation.folds=3"],
    ],
)
def test_another_splitter_takes_none_of_the_formers_settings(overrides: list[str]) -> None:
    for competition in values(*overrides)["competition"].values():
        assert competition["validation"] == {"split": "kfold", "folds": 3}


def test_another_splitter_in_a_file_takes_none_of_its_kinds_settings(conf: Path) -> None:
    file = conf / "competition/toast.yaml"
    file.write_text(TOAST + "validation: {split: holdout, size: 0.4}\n")
    composed = toast(conf)
    assert composed["validation"] == {"split": "holdout", "size": 0.4}
    file.write_text(TOAST + "validation: {folds: 3}\n")
    composed = toast(conf)
    assert composed["validation"] == {"split": "stratified", "folds": 3}


def test_another_source_replaces_the_former() -> None:
    override = "competition.avocado.source={generate: {n_train: 50}}"
    assert values(override)["competition"]["avocado"]["source"] == {"generate": {"n_train": 50}}
    for competition in values("source={folder: x}")["competition"].values():
        assert competition["source"] == {"folder": "x"}


def test_a_part_of_a_splitters_settings_keeps_the_others() -> None:
    for override in ("validation={size: 0.5}", "validation.split=holdout", "validation.size=0.5"):
        competition = values(f"competition.avocado.{override}")["competition"]["avocado"]
        assert competition["validation"]["split"] == "holdout"
        assert competition["validation"]["size"] == (0.2 if "split=" in override else 0.5)


# --- Errors --------------------------------------------------------------------------------------

FILE = r"conf/competition/avocado\.yaml: "


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("solver.bse_lr=0.1", r"unknown key 'solver\.bse_lr'; did you mean 'solver\.base_lr'\?"),
        ("train.base_lr=0.1", r"unknown key 'train\.base_lr'; did you mean 'solver\.base_lr'\?"),
        ("solver.base_lr=fast", r"solver\.base_lr is 'fast': input should be a valid number"),
        ("solver.base_lr=-1", r"solver\.base_lr is -1: input should be greater than 0"),
        ("seed=1.5", rf"{FILE}seed is 1\.5: input should be a valid integer"),
        ("sed=1", r"'sed' is no setting of avocado, digits; did you mean 'seed'\?"),
        ("model.svm=null", r"'model\.svm' is no setting of .*; did you mean 'models\.svm"),
        (
            "images.crop=0.5",
            r"'images\.crop' is no setting of avocado, digits\. Allowed: blend, budget, classes, ",
        ),
        ("engine=reel", r"engine is 'reel': input should be 'torch' or 'real'"),
        ("net=mpl", r"has no 'mpl'; did you mean 'mlp'\?"),
        ("preset=bst", r"has no 'bst'; did you mean 'best'\?"),
        ("launcher=jolib", r"has no 'jolib'; did you mean 'joblib'\?"),
        ("launcher.workers=0", r"launcher\.workers is 0: input should be greater than"),
        ("net.activation=sigmoyd", r"net\.activation is 'sigmoyd': input should be 'sigmoid'"),
        ("competitions=[avocdo]", r"competitions: there is no .*avocdo\.yaml; did you mean 'avoc"),
        ("competitions=[]", r"competitions is \[\]: .*at least 1 item"),
        ("validation.size=1.0", r"validation: size is 1\.0: .*less than 1"),
        ("validation.split=kfold", rf"{FILE}validation: key 'folds' is missing"),
        ("validation.split=kfolds", rf"{FILE}unknown splitter 'kfolds'; did you mean 'kfold'\?"),
        ("+net.layers=3", r"unknown key 'net\.layers'"),
        ("models.svm.D=3", rf"{FILE}models\.svm: unknown key 'D'\. Allowed: .*calibration_folds"),
        ("models.svm.C=-3", rf"{FILE}models\.svm: C is -3: input should be greater than 0"),
        ("models.svm.estimator=smv", rf"{FILE}models\.svm: unknown estimator 'smv'; .*'svm'\?"),
        ("models.svm.inputs=[tabel]", r"models\.svm\.inputs names 'tabel', which is not in f"),
        ("metric=log_los", rf"{FILE}unknown metric 'log_los'; did you mean 'log_loss'\?"),
        ("metric=rmse", r"metric 'rmse' needs a value, which task 'binary' does not give"),
        ("task=regression", r"metric 'log_loss' needs a probability, which task 'regression' doe"),
        ("metric={metric: f_beta, betta: 2}", r"metric 'f_beta': unknown key 'betta'; did you"),
        ("metric=f1_samples", rf"{FILE}metric 'f1_samples' is not for task 'binary'\. It is f"),
        ("metric=metric.py", r"metric: there is no src/ripen/competitions/avocado/metric\.py"),
        ("task=binry", rf"{FILE}unknown task 'binry'; did you mean 'binary'\?"),
        ("reader=tabel", rf"{FILE}unknown reader 'tabel'; did you mean 'table'\?"),
        ("reader=images", rf"{FILE}reader 'images' needs the section 'images'"),
        ("source={kagle: x", r"cannot be composed for avocado: no viable alternative at input"),
        ("source={kagle: x}", rf"{FILE}unknown source 'kagle'; did you mean 'kaggle'\?"),
        ("predict.model=smv", r"predict\.model is 'smv': no such model; did you mean 'svm'\?"),
        (
            "competition.digit.seed=1",
            r"'competition\.digit\.seed': digit is not chosen\. Chosen: a",
        ),
        ("net.activation=${net.activaton}", r"cannot be composed for avocado: Interpolation key"),
        ("solver.lr_policy=poly", r"solver: lr_policy 'poly' needs 'power'"),
        ("solver.lr_policy=multistep", r"solver: lr_policy 'multistep' needs 'stepvalue'"),
        ("solver.type=RMSProp", r"solver: type 'RMSProp' takes no momentum"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_the_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        compose([override], CONF)
    assert "\n" not in str(caught.value)
    # Nor is a whole section repeated, as pydantic would.
    if "lr_policy" in override or "type" in override:
        assert "base_lr" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("taget: burnt", r"unknown key 'taget'; did you mean 'target'\?"),
        ("files: {trian: a.csv}", r"unknown key 'files\.trian'; did you mean 'files\.train'\?"),
        ("columns: {types: {a: {mim: 0}}}", r"unknown key 'columns\.types\.a\.mim'; .*min'\?"),
        ("columns: {drop: id}", r"columns\.drop is 'id': input should be a valid array"),
        ("submission: odds", r"submission is 'odds': input should be 'label', 'probability', 'v"),
        ("models: {svm: {estimator: svm, c: 1}}", r"models\.svm: unknown key 'c'"),
        ("evaluate: null", r"evaluate is None"),
        ("defaults: /kind/table", r"defaults must be a list, for instance \[/kind/table\]"),
        ("a: [", r"while parsing"),
    ],
)
def test_a_wrong_line_in_a_file_is_an_error_that_names_the_file(
    conf: Path, line: str, message: str
) -> None:
    (conf / "competition/toast.yaml").write_text(f"{TOAST}{line}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        toast(conf)
    assert f"{conf}/competition/toast.yaml: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_fact_is_named(conf: Path) -> None:
    (conf / "competition/toast.yaml").write_text(TOAST.replace("target: burnt\n", ""))
    with pytest.raises(ConfigError, match=r"toast\.yaml: key 'target' is missing"):
        toast(conf)


@pytest.mark.parametrize(
    ("section", "address"),
    [
        ("tracking", "http://ann:s3cret@host:5000"),
        ("tracking", "http://host:5000/?password=s3cret"),
        ("tracking", "http://host:5000/?a=1&token=s3cret"),
        ("tracking", "http://host:5000/?ACCESS_TOKEN=s3cret"),
        ("study", "postgresql://ann:s3cret@host/ripen"),
        ("study", "postgresql://host/ripen?user=ann&password=s3cret"),
        ("study", "postgresql://host/ripen?%70assword=s3cret"),
        ("study", "postgresql://host/ripen?sslpassword=s3cret"),
        ("study", "host=db password=s3cret"),
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(section: str, address: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.uri must be an address without") as caught:
        compose([f"{section}.uri='{address}'"], CONF)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "tracking=http://ann:s3cret@h",
        "tracking={uri: 'http://ann:s3cret@h'}",
        "tracking.uri=['http://ann:s3cret@h']",
        'tracking.uri="http://ann:s3cret@h',
        "tracking.url=http://ann:s3cret@h",
        "study='postgresql://h?password=s3cret'",
        "+study.uri.password=s3cret",
        "launcher.address='ray://ann:s3cret@h'",
        "launcher.workers='http://ann:s3cret@h'",
        "overrides=['http://ann:s3cret@h']",
        "competitions=['http://ann:s3cret@h']",
        "http://ann:s3cret@h",
        "source={url: 'http://ann:s3cret@h/x.zip'}",
        "source={url: 'http://h/x.zip?X-Amz-Signature=s3cret'}",
    ],
)
def test_a_secret_in_any_setting_is_refused_and_not_repeated(override: str) -> None:
    with pytest.raises(ConfigError, match=r"^\S") as caught:
        compose(["competitions=[avocado]", override], CONF)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_may_have_parameters() -> None:
    address = "postgresql://host/ripen?sslmode=require&connect_timeout=3"
    assert values(f"study.uri='{address}'")["study"]["uri"] == address


# --- Reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"is missing\. Run: ripen compose"),
        ("a: [", r"params\.yaml: while parsing"),
        ("- 1\n", r"a mapping of settings is needed"),
        (
            "competition: {digits: {}}\n",
            r"holds no avocado\. Run: ripen compose 'competitions=\[av",
        ),
        (
            "competition: {avocado: {seed: 1}}\n",
            r"params\.yaml: competition\.avocado: key '\w+' is",
        ),
    ],
)
def test_an_unreadable_params_yaml(tmp_path: Path, text: str | None, message: str) -> None:
    params = tmp_path / "params.yaml"
    if text is not None:
        params.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        config.load_competition("avocado", params)


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    composed = values("solver.base_lr=1e-5", "about={title: 'ä: b # c', source: '', licence: 'n'}")
    assert composed["competition"]["avocado"]["about"]["title"] == "ä: b # c"
    params = tmp_path / "params.yaml"
    params.write_text(yaml_files.dump(composed), encoding="utf-8")
    assert yaml_files.read(params) == composed
    competition = config.load_competition("avocado", params)
    again = config.as_mapping(competition)
    again["columns"]["types"] = given(again["columns"]["types"])  # null: not given
    assert again == composed["competition"]["avocado"]
    assert competition.models["net"]["solver"]["base_lr"] == 1e-5


def test_a_key_that_python_keeps_to_itself() -> None:
    override = "competition.digits.models.net.finetune.from=elsewhere"
    finetune = values(override)["competition"]["digits"]["models"]["net"]["finetune"]
    assert finetune["from"] == "elsewhere"
    assert "from_" not in finetune


def test_every_key_of_the_schema_that_has_no_default_is_composed() -> None:
    composed = values()
    solver = {key.name for key in fields(Solver) if key.default is not MISSING}
    for schema, found in (
        (Run, composed),
        *((Competition, c) for c in composed["competition"].values()),
    ):
        assert {key.name for key in fields(schema)} <= set(found)
    nets = [c["models"]["net"]["solver"] for c in composed["competition"].values()]
    needed = {key.name for key in fields(Solver)} - solver
    for net in nets:
        assert {
            key for key in needed if not re.match(r"stepvalue|power|gamma|stepsize", key)
        } <= set(net)


# --- The pool of a table -------------------------------------------------------------------------


def test_what_only_classifies_or_only_regresses_is_left_out_without_a_word(conf: Path) -> None:
    kinds = {name: ESTIMATORS[name].does for name in ESTIMATORS}
    for task, other in (("binary", "regresses"), ("regression", "classifies")):
        text = TOAST.replace("binary", task) + "metric: rmse\n" * (task == "regression")
        (conf / "competition/toast.yaml").write_text(text)
        composed, notes = compose(["competitions=[toast]"], conf)
        models = composed["competition"]["toast"]["models"]
        assert {"net", "svm", "k_nearest_neighbors", "hist_gradient_boosting"} <= set(models)
        assert other not in {kinds[section["estimator"]] for section in models.values()}
        assert not [note for note in notes if "left out" in note]


def test_a_model_that_the_file_or_an_override_names_has_to_fit(conf: Path) -> None:
    text = TOAST + "models: {line: {estimator: ridge}}\n"
    (conf / "competition/toast.yaml").write_text(text)
    message = r"toast\.yaml: models\.line: estimator 'ridge' only predicts numbers\. For classes"
    with pytest.raises(ConfigError, match=message):
        compose(["competitions=[toast]"], conf)
    (conf / "competition/toast.yaml").write_text(TOAST)
    with pytest.raises(ConfigError, match=r"models\.ridge: estimator 'ridge' only predicts"):
        compose(["competitions=[toast]", "models.ridge.alpha=1"], conf)


def test_boosters_that_are_not_installed_are_left_out_or_named_with_the_command(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = values()
    monkeypatch.setattr(ESTIMATORS["lightgbm"], "needs", "no_such_package")
    composed, notes = compose(["competitions=[toast]"], conf)
    assert "lightgbm" not in composed["competition"]["toast"]["models"]
    command = r"Run: \.venv/bin/pip install -e '\.\[boosters\]'"
    assert any(re.search(rf"model 'lightgbm' is left out: .*{command}", note) for note in notes)
    with pytest.raises(ConfigError, match=rf"'lightgbm' needs the package .*{command}"):
        compose(["competitions=[toast]", "models.lightgbm.num_leaves=7"], conf)
    # What is committed does not depend on what is installed.
    assert compose((), conf)[0] == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "svm.encode=native",
            r"models\.svm: encode is 'native'\. Allowed: one_hot, ordinal, target",
        ),
        ("lightgbm.encode=nativ", r"encode is 'nativ'; did you mean 'native'"),
        (
            "lightgbm={estimator:lightgbm,components:3,encode:native}",
            r"encode is 'native'\. Allowed",
        ),
        ("net.encode=native", r"models\.net: encode is 'native'"),
        ("lightgbm.monotone={a:2}", r"models\.lightgbm: monotone\.a is 2"),
    ],
)
def test_an_estimator_names_the_encoders_that_it_takes(
    conf: Path, setting: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(["competitions=[toast]", f"models.{setting}"], conf)


def test_files_are_read_as_hydra_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "a: 1e-4\nb: 2020-01-01\nc: 1.5e+3\nd: -1E5\ne: 1_0.5\nf: 12e\ng: [yes, 0x1f, '1e3']\n"
        "h: ${a}\ni: {3: x, j: null}\n"
    )
    read = yaml_files.read(file)
    assert read == OmegaConf.to_container(OmegaConf.load(file))
    assert (read["a"], read["b"], read["h"]) == (1e-4, "2020-01-01", "${a}")
    file.write_text("a: {b: 1, b: 2}\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml.*line 1.*found duplicate key b"):
        yaml_files.read(file)
