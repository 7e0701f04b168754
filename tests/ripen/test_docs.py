"""What the tracked text files say: packages that exist for us, and places of today's layout."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docs import reference
from ripen.learn.complete import complete, pool
from ripen.settings.compose import compose
from tests.ripen.conftest import ROOT

BUILD = {"grpcio-tools", "setuptools"}  # make `caffe_pb2`, as its source says
# pycaffe has names of scikit-image where it is installed; dvc-s3 is DVC's own, for remotes; a
# benchmark's peer has an environment of its own.
OPTIONAL = {"autogluon", "dvc-s3", "scikit-image"}
DISTRIBUTIONS = ("pyproject.toml", "packages/caffe/pyproject.toml")
# A line with an example of what is wrong would be found as well.
EXCEPT = ("CHANGELOG.md", "tests/ripen/test_docs.py")
REMOVED = {
    "folders of models": r"models/(train|baselines|heads|ways|sweep)\b",
    "lists of the prepared rows": r"inputs/prepared/(train|validation|test)\.",
    "stages": r"\b(baselines|train|heads|ways)@",
    "sections of a competition": r"competition\.\w+\.(train\.solver|baselines|fetch|prepare)\b",
    "modules": r"(?<![\w./])ripen\.(datasets|schema|config|graph|training|preparing|evaluation"
    r"|images|zoo|sweeps|tracking|models|engines|photos)\b",
    "folders of code": r"src/ripen/(datasets|schema|training|preparing|evaluation|images|zoo|sweeps"
    r"|models|engines)\b",
}


def texts() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each tracked text file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in filter(None, listed.stdout.split("\0")):
        if Path(path).name in EXCEPT or path in EXCEPT or not (ROOT / path).is_file():
            continue
        try:
            yield path, (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image


def ours() -> set[str]:
    """Return our distributions and all that they and `constraints.txt` name."""
    found: set[str] = set()
    for file in DISTRIBUTIONS:
        project = tomllib.loads((ROOT / file).read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
        found |= {canonicalize_name(Requirement(each).name) for each in wanted}
        found.add(canonicalize_name(project["name"]))
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            found.add(canonicalize_name(Requirement(line).name))
    return found


def installed(text: str) -> Iterator[str]:
    """Yield the names of packages that a text tells its reader to install."""
    for command in re.findall(r"\bpip install((?:[ \t]+(?:'[^'\n]*'|[^\s`'\")]+))+)", text):
        words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]
        for before, word in zip(["", *words], words, strict=False):
            if word.startswith("#") or word in ("&&", ";", "|", "…"):
                break
            takes = before in ("-c", "-r", "-e", "--index-url", "--only-binary")
            if takes or word.startswith(("-", ".", "/", "$", "{")) or "/" in word:
                continue
            yield canonicalize_name(re.split(r"[\[<>=!~;.,:]", word)[0])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Run: .venv/bin/pip install -e '.[ray]'", []),
        ("`pip install 'ripen[ray]'`", ["ripen"]),
        ("pip install -c constraints.txt torch==2.13.0 scikit_learn", ["torch", "scikit-learn"]),
        ("pip install ./packages/caffe  # from a clone", []),
        ("The function runs `pip install` on some Python", []),
    ],
)
def test_the_packages_of_a_command(text: str, names: list[str]) -> None:
    assert list(installed(text)) == names


def test_nobody_is_told_to_install_a_strangers_package() -> None:
    # `ripen` on PyPI is somebody else's: our distribution has another name.
    known = ours() | BUILD | OPTIONAL
    assert "ripen" not in known
    strangers = {path: set(installed(text)) - known for path, text in texts()}
    assert {path: names for path, names in strangers.items() if names} == {}


@pytest.mark.parametrize("what", REMOVED)
def test_no_file_names_a_place_of_the_removed_layout(what: str) -> None:
    found = [
        f"{path}: {match[0]}"
        for path, text in texts()
        for match in re.finditer(REMOVED[what], text)
    ]
    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    missing = []
    for path, text in texts():
        if path.endswith(".md"):
            for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
                target = os.path.normpath((ROOT / path).parent / link)
                # The reference is made when the site is built.
                made = os.path.relpath(target, ROOT / "docs") in reference.PAGES
                if not made and not Path(target).exists():
                    missing.append(f"{path}: {link}")
    assert missing == []


def test_the_readmes_competition_is_complete(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own competition")
    example = section[2].partition("```yaml\n")[2].partition("```")[0]
    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (conf / "competition" / "titanic.yaml").write_text(example, encoding="utf-8")
    composed = compose(["competitions=[titanic]"], conf)
    values, _ = pool("titanic", composed.competitions["titanic"], composed.named["titanic"])
    competition = complete("titanic", values, "titanic")
    assert competition.models["random_forest"]["n_estimators"] == 500
    assert "gaussian_nb" not in competition.models
    assert (competition.id, competition.submission) == ("PassengerId", "label")
