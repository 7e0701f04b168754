"""The README and the talk's pages: their commands can be typed, their numbers are the results."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ripen import cli
from ripen.cli.command import COMMANDS as OURS
from ripen.settings import compose as config
from ripen.stages import fetch, prepare
from ripen.stages.settings import compose
from tests.ripen.conftest import ROOT, Clone

PAGES = ["README.md", *sorted(f"docs/tutorial/{p.name}" for p in ROOT.glob("docs/tutorial/*.md"))]
EVERY = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]
COMMANDS = ("make", "ripen", "dvc", "caffe", "mlflow", "git", "curl", ".")
# The avocados' net with other settings: validation log loss and test accuracy, as the pages have
# them. The last test trains each.
MEASURED = {
    ("solver.base_lr=0.001",): (0.5910, 0.7444),
    ("solver.base_lr=30", "solver.lr_policy=fixed"): (1.1205, 0.4622),
    ("solver.base_lr=30",): (0.1878, 0.9323),
    ("net.weights=ones",): (0.6239, 0.7045),
}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "") -> list[str]:
    """Return a page's code blocks of one language; those without one hold commands."""
    parts = re.split(r"(?m)^ *```(.*)\n", read(page))  # text, "", block, "", text, "text", block, …
    return [b for name, b in zip(parts[1::4], parts[2::4], strict=True) if name == language]


def commands(page: str) -> Iterator[str]:
    """Yield the commands of a page: lines of its blocks, and its tables' code, as they stand."""
    for block in blocks(page):
        for line in block.splitlines():
            command = line.strip().removeprefix(".venv/bin/").partition("  #")[0].strip()
            yield command.removeprefix("$ ")
    for row in re.findall(r"(?m)^\|.*\|$", read(page)):
        yield from (code for code in re.findall(r"`([^`]+)`", row) if " " in code)


def typed(program: str) -> list[tuple[str, list[str]]]:
    """Return a program's commands in all pages, each with its words after the program."""
    found = []
    for page in PAGES:
        for command in commands(page):
            words = shlex.split(command)
            if words[:1] == [program]:
                found.append((page, words[1:]))
    return found


def test_every_block_without_a_language_is_of_commands() -> None:
    for page in PAGES:
        for block in blocks(page):
            for line in block.strip().splitlines():
                word = line.strip().removeprefix(".venv/bin/").split()[0]
                assert word in COMMANDS, f"{page}: {line}"


def test_commands_of_ripen_are_valid_as_they_stand() -> None:
    found = typed("ripen")
    assert len(found) > 20
    known = cli.parser()
    for _, words in found:
        chosen = known.parse_args(words)
        overrides = [*getattr(chosen, "overrides", []), *(getattr(chosen, "multirun", None) or [])]
        if words[:1] == ["run"] and "competitions=[my_titanic]" not in overrides:
            compose(overrides, ROOT / "conf")


@pytest.mark.parametrize("page", EVERY)
def test_commands_of_ripen_on_every_page_are_valid(page: str) -> None:
    known, shipped = cli.parser(), config.available(ROOT / "conf")
    for block in blocks(page):
        for line in block.replace("\\\n", "").splitlines():
            command = line.strip().removeprefix("$ ").partition(" #")[0]
            if not command.startswith("ripen "):
                continue
            chosen = known.parse_args(shlex.split(command)[1:])
            if chosen.run is OURS["new"].run:
                assert chosen.name not in shipped, f"{page}: the name of {command} is taken"
            overrides = [each for each in getattr(chosen, "overrides", []) if "budget=" not in each]
            named = re.search(r"competitions=\[(\w+)", command)
            if chosen.run is OURS["run"].run and (not named or named[1] in shipped):
                compose(overrides, ROOT / "conf")


def test_brackets_are_quoted_for_zsh() -> None:
    for page in [*PAGES, "docs/competition.md", "docs/how-to/experiments.md"]:
        for command in commands(page):
            if command.startswith(("ripen", "dvc")):
                assert not re.search(r"(^|\s)[^\s']*[\[\]*?]", command), f"{page}: {command}"


def test_make_is_called_with_its_own_variables() -> None:
    targets = re.findall(r"(?m)^(\w+):", read("Makefile"))
    for page, (target, *variables) in typed("make"):
        assert target in targets, page
        for variable in variables:
            name, _, value = variable.partition("=")
            assert name == "COMPETITIONS", page
            assert (ROOT / "conf" / "competition" / f"{value}.yaml").is_file(), page


def results() -> list[dict[str, Any]]:
    return [json.loads(read(f"metrics/{name}.json")) for name in ("avocado", "digits")]


def pairs() -> set[tuple[float, float]]:
    """Return validation log loss and test accuracy of each model, and of what was measured."""
    models = [model for metrics in results() for model in metrics["models"].values()]
    known = {(m["validation"]["log_loss"], m["test"]["accuracy"]) for m in models}
    return known | set(MEASURED.values())


def ours(page: str) -> str:
    """Return a page without what is said of cats and dogs, whose results are not in git."""
    text = re.sub(r"(?ms)^\*\*Cats and dogs,\*\*.*?(?=^## )", "", read(page))
    return re.sub(r"(?m)^.*[Cc]ats against dogs.*$", "", text)


@pytest.mark.parametrize("page", PAGES)
def test_each_score_is_a_result(page: str) -> None:
    known = {number for pair in pairs() for number in pair}
    known |= {results()[0]["bayes"]["test"]["accuracy"]}
    text = ours(page)
    for number in re.findall(r"(?<![\d.])\d\.\d{4}(?!\d)", text):
        assert float(number) in known, f"{page}: {number}"
    for row in re.findall(r"(?m)^\|.*\|$", text):
        numbers = re.findall(r"(?<![\d.])\d\.\d{4}(?!\d)", row)
        if len(numbers) == 2:
            assert tuple(map(float, numbers)) in pairs(), f"{page}: {row}"


def test_what_the_pages_say_of_the_results() -> None:
    avocado, digits = results()
    net = avocado["models"]["net"]
    assert (net["stopped"], net["iterations"]) == ("early_stopping", 3500)
    best = max(model["test"]["accuracy"] for model in avocado["models"].values())
    assert net["test"]["accuracy"] < best  # "for so small a problem not the best tool"
    models = digits["models"]
    assert models["net"]["validation"]["n"] == 25
    assert models["svm"]["test"]["accuracy"] > models["net"]["test"]["accuracy"]
    losses = [pair[0] for pair in MEASURED.values()]
    default = net["validation"]["log_loss"]
    assert losses[0] > default  # crawls
    assert losses[1] > default  # sails past
    assert MEASURED["solver.base_lr=30", "solver.lr_policy=fixed"][1] < 0.5  # worse than a coin
    assert losses[2] < default  # the schedule forgives


@pytest.mark.slow
def test_other_settings_end_as_the_pages_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compose", "competitions=[avocado]"]) == 0
    fetch.run("avocado")
    prepare.run("avocado")
    # In a process of its own: libraries read what makes them portable once, when imported.
    command = [sys.executable, "-m", "docs.figures", *(" ".join(each) for each in MEASURED)]
    path = os.pathsep.join(str(ROOT / each) for each in ("", "src", "packages/caffe/src"))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    for scores, expected in zip(json.loads(done.stdout), MEASURED.values(), strict=True):
        assert (scores["validation"]["log_loss"], scores["test"]["accuracy"]) == expected


RUN = {  # commands of the README that take seconds after a run
    "ripen": [["leaderboard", "avocado"], ["completion", "bash"], []],
    "dvc": [["metrics", "diff"], ["params", "diff"], ["exp", "show"]],
    "caffe": [["time"]],
}


@pytest.mark.slow
def test_quick_commands_run_as_they_stand(reproduced: Clone) -> None:
    ran = 0
    for program, beginnings in RUN.items():
        for page, words in typed(program):
            if page == "README.md" and any(words[: len(b)] == b for b in beginnings if b):
                reproduced.run(program, *words)
                ran += 1
    assert ran >= 6
    (predict,) = [c for c in commands("README.md") if "mlflow models predict" in c]
    variable, *words = shlex.split(predict)
    assert variable == "MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
    shown = reproduced.run("env", variable, *words).stdout
    assert shown.count('"class"') == 10000


@pytest.mark.slow
def test_the_cat_of_the_readme(
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (copy,) = [c for c in commands("README.md") if c.startswith("curl")]
    address = copy.rpartition(" ")[2]
    picture = tmp_path / "cat.jpg"
    picture.write_bytes((mirror / "BVLC/caffe/examples/images/cat.jpg").read_bytes())
    assert address.removeprefix("https://github.com/").replace("/raw/master", "") == (
        "BVLC/caffe/examples/images/cat.jpg"
    )
    monkeypatch.chdir(ROOT)
    assert cli.main(["classify", str(picture)]) == 0
    shown = capsys.readouterr().out.replace(str(picture), "cat.jpg").strip()
    block = next(block for block in blocks("README.md", "text") if "kit fox" in block)
    assert [line.rstrip() for line in shown.splitlines()] == block.strip().splitlines()
