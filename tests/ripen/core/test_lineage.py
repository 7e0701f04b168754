from pathlib import Path

import pytest

from ripen.core import lineage
from ripen.core.errors import DataError
from ripen.settings import yaml_files
from tests.ripen.conftest import ROOT

DVC = """
stages:
  settings: {cmd: check, deps: [params.yaml]}
  prepare:
    foreach: ${graph.prepare}
    do:
      cmd: prepare ${key}
      deps: ["${item.code}", "data/${key}/raw"]
      params: [seed, "competition.${key}"]
      outs: ["data/${key}/prepared"]
  evaluate:
    foreach: ${graph.evaluate}
    do:
      cmd: evaluate ${key}
      deps: [other.py, "data/${key}/prepared/y"]
      params: [evaluate]
      metrics: ["m/${key}.json": {cache: false}]
"""
GRAPH = "{prepare: {a: {code: code.py}, b: {code: code.py}}, evaluate: {a: {}, b: {}}}"
PARAMS = (
    f"{{graph: {GRAPH}, seed: 1, competition: {{a: {{n: 3}}, b: {{n: 4}}}}, evaluate: {{k: 5}}}}"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(PARAMS)
    for name in ("code.py", "other.py", "data/a/raw/x", "data/a/prepared/y", "data/b/raw/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def both(repository: Path) -> tuple[str, str]:
    return lineage.stage_hash("prepare", "a", repository), lineage.pipeline_hash("a", repository)


@pytest.mark.parametrize(
    ("file", "content", "stage_changes", "pipeline_changes"),
    [
        ("code.py", "new", True, True),
        ("other.py", "new", False, True),
        ("data/a/raw/x", "new", True, True),
        ("data/a/raw/more", "new", True, True),
        ("data/a/prepared/y", "new", False, False),
        ("data/b/raw/x", "new", False, False),
        ("params.yaml", PARAMS.replace("seed: 1", "seed: 2"), True, True),
        ("params.yaml", PARAMS.replace("n: 3", "n: 5"), True, True),
        ("params.yaml", PARAMS.replace("n: 4", "n: 5"), False, False),
        ("params.yaml", PARAMS.replace("k: 5", "k: 6"), False, True),
        ("data/a/raw/__pycache__/x.pyc", "new", False, False),
    ],
)
def test_what_changes_a_hash(
    repository: Path, file: str, content: str, stage_changes: bool, pipeline_changes: bool
) -> None:
    stage, pipeline = both(repository)
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text(content)
    new_stage, new_pipeline = both(repository)
    assert (new_stage != stage, new_pipeline != pipeline) == (stage_changes, pipeline_changes)


def test_the_stages_are_those_of_dvc() -> None:
    found = list(lineage.stages(ROOT))
    assert set(found) == {*yaml_files.read(ROOT / "dvc.lock")["stages"]}
    assert (found[0], found[-1]) == ("settings", "report@digits")


def test_a_missing_dependency_is_named(repository: Path) -> None:
    (repository / "other.py").unlink()
    with pytest.raises(DataError, match=r"other\.py is missing\. Run: dvc repro"):
        lineage.stage_hash("evaluate", "a", repository)


def test_a_hash_does_not_know_where_it_stands(repository: Path, tmp_path: Path) -> None:
    before = both(repository)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    repository.rename(moved)
    assert both(moved) == before


def test_competitions_have_hashes_of_their_own(repository: Path) -> None:
    a, b = (lineage.stage_hash("prepare", name, repository) for name in "ab")
    assert a != b


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stages: {fit: {foreach: x", r"dvc\.yaml: is damaged.*git checkout dvc\.yaml$"),
        ("stages: []", r"dvc\.yaml: is damaged.*git checkout dvc\.yaml$"),
        ("stages: {}", r"dvc\.yaml: no stage fits net of avocado"),
    ],
)
def test_a_damaged_pipeline_is_one_line(content: str, message: str, repository: Path) -> None:
    (repository / "dvc.yaml").write_text(content)
    with pytest.raises(DataError, match=message):
        lineage.model_stage("avocado", "net", repository)


def test_the_files_of_a_stage_are_all_that_another_machine_needs(repository: Path) -> None:
    compiled = repository / "data/a/raw/__pycache__/x.pyc"
    compiled.parent.mkdir()
    compiled.write_text("compiled")
    found = [file.as_posix() for file in lineage.files("prepare", "a", repository)]
    assert found == ["code.py", "data/a/raw/x", "dvc.yaml", "params.yaml"]
