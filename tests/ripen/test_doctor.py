from pathlib import Path

import pytest

from ripen import doctor

ROOT = Path(__file__).parents[2]


def found(environment: dict[str, str], home: Path) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(environment, home)}


def test_this_machine_has_what_a_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert doctor.run({}, tmp_path) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "A run has all that it needs."
    assert lines[0].startswith("✓ Python ")
    # Whatever does not work is followed by what mends it.
    broken = [k for k, line in enumerate(lines) if line[0] in "✗–"]
    assert all(lines[k + 1].strip().startswith("→ ") for k in broken)


def test_outside_a_repository_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.run({}, tmp_path) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "missing: git, repository"


@pytest.mark.parametrize(
    ("environment", "file", "place"),
    [
        ({"KAGGLE_API_TOKEN": "secret"}, None, "KAGGLE_API_TOKEN (not tried)"),
        ({"KAGGLE_USERNAME": "ann"}, None, "none found"),
        ({"KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "secret"}, None, "KAGGLE_USERNAME and"),
        ({}, ".kaggle/access_token", "~/.kaggle/access_token"),
        ({}, ".kaggle/kaggle.json", "kaggle.json (not tried)"),
    ],
)
def test_kaggles_credentials_are_found_and_not_shown(
    tmp_path: Path, environment: dict[str, str], file: str | None, place: str
) -> None:
    if file:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("secret", encoding="utf-8")
    login = found(environment, tmp_path)["Kaggle's login"]
    assert place in login.found
    assert "secret" not in str(login)


def test_a_mirror_that_is_no_folder(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert found({"RIPEN_MIRROR": gone}, tmp_path)["mirror"].state == "optional"
    assert found({"RIPEN_MIRROR": str(tmp_path)}, tmp_path)["mirror"].state == "works"
