"""dvc.yaml's plots follow the chosen competitions, and compare two versions of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from ripen.settings import yaml_files
from ripen.stages import settings
from tests.ripen.conftest import ROOT

DATA = Path("data/cats_vs_dogs")
CURVE = {"iteration": [25, 50]}
TABLES = {
    "models/net/curve.csv": CURVE | {"loss": [0.6, 0.4], "validation_loss": [0.7, 0.5]},
    "sweep/best_curve.csv": CURVE | {"loss": [0.6, 0.4], "validation_loss": [0.7, 0.5]},
    "sweep/converged_at.csv": {"log10_learning_rate": [-2, -1], "iterations": [900, 200]},
    "evaluate/trainings.csv": CURVE | {net: [0.7, 0.5] for net in ("full", "head", "scratch")},
    "evaluate/net/roc.csv": {"false_positive_rate": [0, 1], "true_positive_rate": [0, 1]},
    "evaluate/net/reliability.csv": {"predicted": [0.2, 0.8], "observed": [0.1, 0.9]},
    "evaluate/net/confusion.csv": {"actual": ["cat", "dog"], "predicted": ["cat", "cat"]},
}
FIGURES = ("roc", "net/mistakes", "net/filters", "net/activations")


def run(*command: str) -> str:
    """Run a command in the working folder; return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def plots(*competitions: str) -> dict[str, Any]:
    """Return what the plots show where competitions are chosen."""
    values, _ = settings.compose([f"competitions=[{','.join(competitions)}]"], ROOT / "conf")
    found: dict[str, Any] = values["graph"]["plots"]
    return found


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the test in a repository of plots alone, for cats_vs_dogs, with tables committed."""
    values, _ = settings.compose(["competitions=[cats_vs_dogs]"], ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    own = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    Path("dvc.yaml").write_text(yaml.safe_dump({"plots": own}))
    Path("params.yaml").write_text(yaml_files.dump(values))
    learning = {model: [0.6, 0.8] for model in values["graph"]["plots"]["learning"]}
    curves = {"evaluate/learning_curve.csv": {"n_train": [100, 200]} | learning}
    for name, table in (TABLES | curves).items():
        (DATA / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(table).to_csv(DATA / name, index=False)
    for figure in [f"evaluate/{name}" for name in FIGURES] + ["sweep/figures/curves"]:
        (DATA / f"{figure}.svg").parent.mkdir(parents=True, exist_ok=True)
        (DATA / f"{figure}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    run("git", "add", ".")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")


@pytest.mark.slow
@pytest.mark.usefixtures("repository")
def test_two_versions_of_a_chosen_competition() -> None:
    changed = pd.DataFrame(TABLES["evaluate/trainings.csv"] | {"full": [0.6, 0.2]})
    changed.to_csv(DATA / "evaluate/trainings.csv", index=False)
    command = (sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "workspace", "--json")
    answer = json.loads(run(*command, "--split"))
    assert "errors" not in answer, answer["errors"]
    shown = answer["data"]
    assert {name.replace(f"{DATA}/", "") for name in shown} == {
        "accuracy against training rows",
        "validation error of nets at the same budget",
        "the sweep's best trial, error against iterations",
        "the sweep's trials converged at",
        *(f"the net's {what}" for what in ("error against iterations", "ROC")),
        *(f"the net's {what}" for what in ("reliability", "confusion")),
        *(f"evaluate/{name}.svg" for name in FIGURES),
        "sweep/figures/curves.svg",
    }
    (trainings,) = shown["validation error of nets at the same budget"]
    points = trainings["anchor_definitions"]["<DVC_METRIC_DATA>"]
    last = {
        point["rev"]: float(point["dvc_inferred_y_value"])
        for point in points
        if point["field"] == "full" and point["iteration"] == "50"
    }
    assert last == {"HEAD": 0.5, "workspace": 0.2}


@pytest.mark.parametrize(
    ("competitions", "first", "nets"),
    [
        (["avocado", "digits"], "avocado", "digits"),
        (["avocado"], "avocado", "avocado"),
        (["digits", "cats_vs_dogs"], "digits", "digits"),
        (["imagenet", "imagenet_subset"], "imagenet", "imagenet_subset"),
    ],
)
def test_the_competitions_that_are_shown(competitions: list[str], first: str, nets: str) -> None:
    found = plots(*competitions)
    assert (found["first"], found["nets"]) == (first, nets)


def test_nets_of_one_estimator_are_compared() -> None:
    assert plots("digits")["trainings"] == ["net", "head", "scratch"]
    assert plots("cats_vs_dogs")["trainings"] == ["scratch", "head", "full"]


def test_a_learning_curve_has_a_line_for_each_model_that_has_one() -> None:
    assert "net" in plots("avocado")["learning"]
    assert "random_forest" in plots("avocado")["learning"]
    assert "full" not in plots("cats_vs_dogs")["learning"]  # too slow to train once for each size
