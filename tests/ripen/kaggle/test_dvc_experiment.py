"""A DVC experiment's files, from its commit and the cache, beside another working tree."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from scmrepo.git import Git

from ripen.core.errors import DataError, UsageError
from ripen.kaggle import dvc_experiment

FILE, METRICS = Path("data/submission.csv"), Path("metrics.json")
DVC = """
stages:
  predict: {cmd: predict, outs: [data/submission.csv]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose experiment `gusty-hoke` has another submission, and other metrics."""
    root = tmp_path_factory.mktemp("repository")
    Git.init(str(root)).close()  # type: ignore[no-untyped-call]
    with (root / ".git/config").open("a") as config:
        config.write("[user]\nname = cook\nemail = cook@example.org\n")
    with pytest.MonkeyPatch.context() as patched, Repo.init(str(root)) as repo:
        patched.chdir(root)
        (root / "dvc.yaml").write_text(DVC)
        (root / ".gitignore").write_text("/data/\n")
        FILE.parent.mkdir()
        write(repo, "0.5", "[")
        repo.scm.add([".gitignore", "dvc.yaml", "dvc.lock", str(METRICS), ".dvc"])
        repo.scm.commit("first")
        write(repo, "0.75", '{"best": "net"}')
        repo.experiments.save(name="gusty-hoke")
        repo.scm.checkout("HEAD", force=True)
        repo.checkout(force=True)
    return root


def write(repo: Repo, value: str, metrics: str) -> None:
    """Write what a run would, and put it into DVC's cache."""
    FILE.write_text(f"id,label\n1,{value}\n")
    METRICS.write_text(metrics)
    repo.commit(force=True)


@pytest.fixture
def repository(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_files_of_an_experiment_are_read_beside_another_working_tree(repository: Path) -> None:
    found = dvc_experiment.find("gusty-hoke")
    assert found.read(FILE) == b"id,label\n1,0.75\n"
    assert found.json(METRICS) == {"best": "net"}
    assert dvc_experiment.find(found.commit[:10]).commit == found.commit
    assert FILE.read_text() == "id,label\n1,0.5\n"
    with pytest.raises(DataError, match=r"^other\.csv of experiment 'gusty-hoke' cannot be r"):
        found.read(Path("other.csv"))
    with pytest.raises(DataError, match=r"^dvc\.yaml of experiment 'gusty-hoke' is not a JSON obj"):
        found.json(Path("dvc.yaml"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gusty-hok", r"^unknown DVC experiment 'gusty-hok'; did you mean 'gusty-hoke'\?$"),
        ("", r"^unknown DVC experiment ''"),
        ("../x", r"^unknown DVC experiment '\.\./x'\. Allowed: gusty-hoke$"),
        ("a b\n@{", r"^unknown DVC experiment 'a b\\n@\{'\. Allowed: gusty-hoke$"),
    ],
)
def test_an_unknown_experiment(repository: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dvc_experiment.find(name)


def test_a_submission_that_the_cache_lost(repository: Path, tmp_path: Path) -> None:
    found, cache = dvc_experiment.find("gusty-hoke"), repository / ".dvc/cache"
    shutil.move(cache, tmp_path / "cache")
    try:
        with pytest.raises(DataError, match=r"dvc exp pull REMOTE gusty-hoke\. If not: dvc exp ap"):
            found.read(FILE)
    finally:
        shutil.move(tmp_path / "cache", cache)


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^DVC: you are not inside of a DVC repository"):
        dvc_experiment.find("gusty-hoke")
