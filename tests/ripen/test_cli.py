from pathlib import Path

import pytest

from ripen import cli
from ripen.settings import compose as config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compose_writes_params_yaml(repository: Path) -> None:
    assert cli.main(["compose", "solver.base_lr=0.25"]) == 0
    written = config.load(repository / "params.yaml")
    assert (written.solver.base_lr, written.overrides) == (0.25, ["solver.base_lr=0.25"])


def test_a_wrong_override_leaves_params_yaml_as_it_was(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["compose"])
    before = (repository / "params.yaml").read_bytes()
    assert cli.main(["compose", "solver.bse_lr=0.25"]) == 2
    message = capsys.readouterr().err
    assert message == ("ripen: unknown key 'solver.bse_lr'; did you mean 'solver.base_lr'?\n")
    assert (repository / "params.yaml").read_bytes() == before
    assert sorted(path.name for path in repository.iterdir()) == ["conf", "params.yaml"]


def test_outside_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compose"]) == 2
    assert "has no conf/. Run ripen in its repository" in capsys.readouterr().err


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["bake"])
    assert "invalid choice: 'bake'" in capsys.readouterr().err
