"""`ripen dag`: a node for each stage of a competition, below the last one that it waits for."""

import io

import pytest
from rich.console import Console

from ripen import cli
from ripen.cli.dag import Node, mermaid, nodes, tree
from tests.ripen.conftest import ROOT

# As DVC has the graph: with every file that a stage reads, so with edges that others imply.
EDGES = {
    "settings": [],
    "weights@net_a": [],
    "weights@other": [],
    "fetch@cats": [],
    "fetch@cats_two": [],
    "prepare@cats": ["fetch@cats"],
    "features@cats.a": ["fetch@cats", "prepare@cats", "weights@net_a"],
    "sweep@cats": ["fetch@cats", "prepare@cats", "features@cats.a"],
    "fit@cats.svm": ["prepare@cats", "features@cats.a"],
    "fit@cats.net": ["prepare@cats", "features@cats.a"],
    "evaluate@cats": ["fetch@cats", "prepare@cats", "fit@cats.svm", "fit@cats.net", "sweep@cats"],
    "report@cats": ["evaluate@cats", "sweep@cats", "fit@cats.svm"],
}


def test_a_node_is_all_instances_of_a_stage_after_those_it_waits_for() -> None:
    found = nodes(EDGES, "cats")
    assert list(found.values()) == [
        Node("weights", ["net_a"], []),
        Node("fetch", [], []),
        Node("prepare", [], ["fetch"]),
        Node("features", ["a"], ["weights", "prepare"]),
        Node("sweep", [], ["features"]),
        Node("fit", ["svm", "net"], ["features"]),
        Node("evaluate", [], ["sweep", "fit"]),
        Node("report", [], ["evaluate"]),
    ]
    written = io.StringIO()
    Console(file=written, width=80).print(tree(found, "cats"))
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "cats",
        "├── weights net_a",
        "└── fetch",
        "    └── prepare",
        "        └── features a  (also after weights)",
        "            ├── sweep",
        "            └── fit svm, net",
        "                └── evaluate  (also after sweep)",
        "                    └── report",
    ]
    drawn = mermaid({"cats": found}).splitlines()
    assert drawn[:4] == [
        "```mermaid",
        "flowchart TD",
        "  subgraph cats",
        '    cats.weights["weights<br/>net_a"]',
    ]
    assert "    cats.fit --> cats.evaluate" in drawn
    assert "    cats.fetch --> cats.evaluate" not in drawn


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:_NoneStep.value will:DeprecationWarning")  # DVC's
def test_the_pipeline_of_this_repository_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["dag", "avocado"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = [line.lstrip("│├└─ ").split()[:1] for line in lines]
    stages = ["avocado", "generate", "prepare", "sweep", "fit", "evaluate", "predict", "report"]
    assert [word for word in words if word and word[0] in stages] == [[word] for word in stages]
    assert cli.main(["dag", "titanic"]) == 2
    assert capsys.readouterr().err == (
        "ripen: params.yaml holds no titanic. Run: ripen compose "
        "'competitions=[avocado,digits,titanic]'\n"
    )
