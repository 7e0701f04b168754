"""dvc.yaml's plots follow the competition that is chosen, and compare two versions of it."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ripen.settings import compose as config
from ripen.settings.graph import drawn
from tests.ripen.conftest import ROOT

EVALUATE = Path("data/cats_vs_dogs/evaluate")
CURVE = {"iteration": [25, 50]}
TABLES = {
    "ways.csv": CURVE | {way: [0.7, 0.5] for way in ("full", "head", "scratch")},
    "net/error.csv": CURVE | {"loss": [0.6, 0.4], "validation_loss": [0.7, 0.5]},
    "net/roc.csv": {"false_positive_rate": [0, 1], "true_positive_rate": [0, 1]},
    "net/reliability.csv": {"predicted": [0.2, 0.8], "observed": [0.1, 0.9]},
    "net/confusion.csv": {"actual": ["cat", "dog"], "predicted": ["cat", "cat"]},
}


def run(*command: str) -> str:
    """Run a command in the working folder; return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the test in a repository of plots alone, for cats_vs_dogs, with tables committed."""
    monkeypatch.chdir(tmp_path)
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    own = [each for each in plots if "graph.plots" in str(each)]
    Path("dvc.yaml").write_text(yaml.safe_dump({"plots": own}))
    values = config.compose(["competitions=[avocado,cats_vs_dogs]"], ROOT / "conf")
    Path("params.yaml").write_text(config.dump(values))
    for name, table in TABLES.items():
        (EVALUATE / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(table).to_csv(EVALUATE / name, index=False)
    for name in ("mistakes", "filters", "activations", "saliency"):
        (EVALUATE / f"net/{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    run("git", "add", ".")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")


@pytest.mark.usefixtures("repository")
def test_two_versions_of_a_competition_that_is_chosen() -> None:
    changed = pd.DataFrame(TABLES["ways.csv"] | {"full": [0.6, 0.2]})
    changed.to_csv(EVALUATE / "ways.csv", index=False)
    command = (sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "workspace", "--json")
    answer = json.loads(run(*command, "--split"))
    assert "errors" not in answer, answer["errors"]
    shown = answer["data"]
    assert {name.replace(f"{EVALUATE}/", "") for name in shown} == {
        "three ways at the same budget",
        *(f"the net's {what}" for what in ("error against iterations", "ROC")),
        *(f"the net's {what}" for what in ("reliability", "confusion")),
        *(f"net/{name}.svg" for name in ("mistakes", "filters", "activations", "saliency")),
    }
    (ways,) = shown["three ways at the same budget"]
    points = ways["anchor_definitions"]["<DVC_METRIC_DATA>"]
    last = {
        point["rev"]: float(point["dvc_inferred_y_value"])
        for point in points
        if point["field"] == "full" and point["iteration"] == "50"
    }
    assert last == {"HEAD": 0.5, "workspace": 0.2}


@pytest.mark.parametrize(
    ("competitions", "expected"),
    [
        (["avocado", "digits"], "digits"),
        (["avocado"], "digits"),
        (["digits", "cats_vs_dogs"], "cats_vs_dogs"),
        (["imagenet_subset", "imagenet"], "imagenet_subset"),
    ],
)
def test_the_competition_whose_figures_are_shown(competitions: list[str], expected: str) -> None:
    assert drawn(competitions) == expected
    values = config.compose([f"competitions=[{','.join(competitions)}]"], ROOT / "conf")
    assert values["graph"]["plots"] == expected
