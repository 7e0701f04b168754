import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs import reference
from ripen import cli
from ripen.cli import runs
from ripen.cli.command import COMMANDS
from ripen.cli.runs import changes
from ripen.core.errors import DataError
from ripen.core.locks import hold
from ripen.judge import terminal
from ripen.settings import compose as config
from ripen.track import experiments
from tests.ripen import empty_store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("conf", "models", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compose_writes_params_yaml(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compose", "solver.base_lr=0.25"]) == 0
    for name in ("avocado", "digits"):
        net = config.load_competition(name).models["net"]
        assert net["solver"]["base_lr"] == 0.25
    assert config.load_run().overrides == ["solver.base_lr=0.25"]
    assert capsys.readouterr().out == "params.yaml: written\n"


def test_compose_names_the_competitions_that_an_override_does_not_apply_to(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compose", "net.hidden_layers=[3]"]) == 0
    noted = "note: 'net.hidden_layers' does not apply to digits\n"
    assert capsys.readouterr().out.startswith(noted)
    net = config.load_competition("avocado").models["net"]
    assert net["net"]["hidden_layers"] == [3]


def test_an_invalid_override_leaves_params_yaml_as_it_was(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["compose"])
    before = (repository / "params.yaml").read_bytes()
    assert cli.main(["compose", "solver.bse_lr=0.25"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ripen: ")
    assert line.endswith("unknown key 'solver.bse_lr'; did you mean 'solver.base_lr'?")
    assert (repository / "params.yaml").read_bytes() == before
    assert not [path for path in repository.iterdir() if path.name.startswith("params.yaml.")]


def test_the_leaderboard_of_a_competition_that_params_yaml_no_longer_holds(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compose", "competitions=[digits]"]) == 0
    found = {"models": {"svm": {"validation": {"accuracy": 0.75}}}}
    (repository / "metrics").mkdir()
    text = json.dumps(found | {"best": "svm", "best_by": "validation/accuracy"})
    (repository / "metrics/titanic.json").write_text(text)
    empty_store.put(repository)
    experiments.Client("sqlite:///mlflow.db").create_experiment("titanic")
    assert cli.main(["leaderboard", "titanic"]) == 0
    assert "svm (best)" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["compose", "run"])
def test_a_second_run_in_one_clone_is_refused(
    command: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hold(runs.RUNNING, DataError("")):
        assert cli.main([command, "solver.base_lr=0.25"]) == 1
    assert capsys.readouterr().err.startswith("ripen: another `ripen run` is at work in this")
    assert not Path("params.yaml").exists()


@pytest.mark.parametrize(
    "arguments",
    [["compose", "competitions=[avocdo]"], ["leaderboard", "avocdo"], ["submit", "avocdo"]],
)
def test_an_unknown_competition_is_one_line_with_the_nearest_name(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "avocdo" in line
    assert line.endswith("; did you mean 'avocado'?")
    assert not (repository / "params.yaml").exists()


def test_run_changes_every_chosen_competition_that_has_the_setting(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC itself and the table are elsewhere tested: here, what they are given."""
    started, shown = [], []

    def repro(command: list[str], **settings: object) -> "subprocess.CompletedProcess[str]":
        started.append(command[1:])
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", repro)
    monkeypatch.setattr(terminal, "show", lambda name, seconds: shown.append(name))
    assert cli.main(["run", "-v", "solver.base_lr=0.01", "competitions=[digits]"]) == 0
    assert started[0] == ["-m", "dvc", "repro"]
    assert shown == ["digits"]
    params = yaml.safe_load((repository / "params.yaml").read_text())
    assert list(params["competition"]) == params["competitions"] == ["digits"]
    models = params["competition"]["digits"]["models"]
    for name in ("net", "head", "scratch"):
        assert models[name]["solver"]["base_lr"] == 0.01
    assert set(params["graph"]["predict"]) == {"digits"}


def test_the_exit_code_of_dvc_is_that_of_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], 255)
    monkeypatch.setattr(subprocess, "run", lambda command, **settings: failed)
    assert cli.main(["run", "-v", "competitions=[digits]"]) == 255


def test_compose_says_what_it_changed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for overrides, said in (
        ([], ["params.yaml: written"]),
        ([], ["params.yaml: unchanged"]),
        (
            ["competition.avocado.seed=3"],
            ["params.yaml: changed", '  overrides: [] -> ["competition.avocado.seed=3"]'],
        ),
    ):
        assert cli.main(["compose", *overrides]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[: len(said)] == said
    assert "  competition.avocado.seed: 2016 -> 3" in lines
    assert changes({"a": 1, "graph.x": 1}, {"b": [2], "graph.x": 2}) == [
        "params.yaml: changed", "  a: 1 -> not set", "  b: not set -> [2]",
    ]  # fmt: skip
    old, new = {"competition.a.seed": 1, "competition.b.seed": 1}, {"competition.b.seed": 2}
    assert changes(old, new | {"competition.c.seed": 1, "competition.c.id": "x"}) == [
        "params.yaml: changed",
        "  competition.b.seed: 1 -> 2",
        "  competition.a: taken out",
        "  competition.c: added",
    ]
    many = changes({}, {f"k{i}": i for i in range(12)})
    assert many[-2:] == ["  k9: not set -> 9", "  and 2 more: git diff params.yaml"]


def test_a_truncated_lock_file_is_removed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "dvc.lock").write_text("")
    failed: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], 255)
    monkeypatch.setattr(subprocess, "run", lambda command, **settings: failed)
    cli.main(["run", "-v", "competitions=[digits]"])
    assert not (repository / "dvc.lock").exists()
    assert capsys.readouterr().out.endswith("dvc.lock was truncated and is written anew\n")
    (repository / "dvc.lock").write_text("schema: '2.0'\n")
    cli.main(["run", "-v", "competitions=[digits]"])
    assert (repository / "dvc.lock").exists()


def test_outside_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compose"]) == 2
    assert "has no conf/. Run ripen in its repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "message"),
    [("bake", "'bake'. Allowed: bundle, check"), ("rum", "'rum'; did you mean 'run'?")],
)
def test_an_unknown_command_is_a_usage_error(
    typed: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([typed])
    assert f"error: unknown command {message}" in capsys.readouterr().err


def test_bare_ripen_lists_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([]) == 2
    shown = capsys.readouterr()
    assert {"run", "sweep", "submit", "doctor"} <= set(shown.out.split())
    assert shown.err == ""


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == "ripen 0.1.0\n"


def test_a_command_runs_from_any_folder_of_the_clone(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = repository / "notebooks" / "mine"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert cli.main(["compose"]) == 0
    assert (repository / "params.yaml").is_file()
    assert not list(deep.iterdir())


def test_paths_are_relative_to_where_the_command_was_typed() -> None:
    parser = cli.parser(Path("notebooks"))
    assert parser.parse_args(["classify", "cat.jpg", "-"]).images == ["notebooks/cat.jpg", "-"]
    weights = parser.parse_args(["import-net", "x", "--weights", "/tmp/w.pth"]).weights
    assert weights == Path("/tmp/w.pth")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_examples_of_a_commands_help_are_valid(name: str) -> None:
    for line in COMMANDS[name].examples:
        words = shlex.split(line.partition(" > ")[0])
        assert words[0] == name
        cli.parser().parse_args(words)


def test_help_fits_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = cli.parser()
    helps = {"": parser, **reference.commands(parser)}
    wide = {name: max(map(len, each.format_help().splitlines())) for name, each in helps.items()}
    assert len(wide) == 1 + len(COMMANDS)
    assert {name: width for name, width in wide.items() if width > 80} == {}


def test_a_run_says_how_to_go_back(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["compose"])
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "as it was"]):
        author = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", *author, *command], check=True)
    assert runs._changed() == []
    (repository / "params.yaml").write_text("changed: true\n")
    (repository / "metrics").mkdir()
    (repository / "metrics" / "new.json").write_text("{}")
    assert runs._changed() == ["params.yaml"]


def test_completion_knows_commands_and_competitions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert f"_shtab_ripen_subparsers=({' '.join(COMMANDS)})" in script
    for name in ("dag", "serve", "submit"):
        assert f"_shtab_ripen_{name}_pos_0_COMPGEN=_ripen_competitions" in script


def test_reading_commands_and_settings_leaves_numpy_alone() -> None:
    # `bundle`, `sweep` and `serve` set its environment before it is imported (`hold`).
    program = (
        "import sys; from ripen.cli import parser; from ripen.settings import compose; parser(); "
        "compose.load_competition('avocado'); print({'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
