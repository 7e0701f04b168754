"""Every command, given every wrong kind of argument and file, ends in one line and no traceback."""

import os
import re
from functools import partial
from pathlib import Path

import pytest

from ripen import cli
from ripen.cli.command import COMMANDS
from ripen.core.errors import ConfigError, DataError, line
from ripen.judge.leaderboard import read_metrics
from ripen.nets import contract
from ripen.settings import compose

ROOT = Path(__file__).parents[2]
WRONG = {
    "nul": "a\0b",
    "long": "x" * 300,
    "deep": "a/" * 3000,
    "control": "a\x1b[2Jb\nc",
    "surrogate": os.fsdecode(b"\xff\xfe"),
    "empty": "",
    "digits": "9" * 5000,
    "above": "../../x",
    "folder": "folder",
    "bytes": "bytes.csv",
    "brackets": "[" * 3000,
    "interpolation": "a=${b}",
    "equals": "=",
}
FILES = {
    "list": b"- a\n",
    "text": b"words",
    "not UTF-8": b"a: \xff\xfe",
    "recursive": b"a: &a\n  b: *a\n",
    "aliases": b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "brackets": b"[" * 400,
    "control": b"a: \x1b[2J\x00",
    "digits": b"a: " + b"9" * 5000,
    "empty": b"",
    "half": b"competitions: [avocado\n",
    "numbers": b"1: 2\ncompetition: 3\ncompetitions: 4\n",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave the test in a folder with conf/ and models/, and with odd files."""
    for name in ("conf", "models", "dvc.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00id,a\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "folder"))
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path))
    return tmp_path


def called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line on standard error of a command that must fail."""
    try:
        code = cli.main(arguments)
    except SystemExit as error:  # of argparse
        code = error.code  # type: ignore[assignment]
    err = capsys.readouterr().err
    assert code in (1, 2), (arguments, code, err)
    lines = err.splitlines()
    assert lines, arguments
    assert "\x1b" not in err
    assert len(lines[-1]) < 2000
    return lines[-1]


def words(command: str, wrong: str) -> list[list[str]]:
    """Return the command lines of a command in which each argument in turn is wrong."""
    example = COMMANDS[command].examples[-1]
    given = example.partition(" > ")[0].split()[1:]
    if not given:
        return [[command, wrong]]
    return [[command, *given[:i], wrong, *given[i + 1 :]] for i in range(len(given))]


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"doctor", "ui", "run", "serve"}))
def test_a_wrong_argument_is_one_line(
    command: str,
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A sweep may set the environment of numpy, which the tests have imported.
    monkeypatch.setattr("ripen.core.reproducibility.hold", lambda *_: None)
    before = {path.name for path in checkout.iterdir()}
    wrongs = ("control",) if command in ("compose", "sweep") else WRONG  # Hydra takes its time
    for wrong in map(WRONG.__getitem__, wrongs):
        for arguments in words(command, wrong):
            monkeypatch.chdir(checkout)
            last = called(arguments, capsys)
            assert last.startswith(("ripen", "ripen ")), arguments
    after = {path.name for path in checkout.iterdir()} - {".ripen"}  # has the lock of a run
    assert after == before


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_wrong_file_of_settings_or_contract_is_one_line(content: bytes, checkout: Path) -> None:
    file = checkout / "params.yaml"
    file.write_bytes(content)
    for load in (compose.load_run, partial(compose.load_competition, "avocado")):
        with pytest.raises(ConfigError, match=r"^params\.yaml") as caught:
            load()
        assert line(caught.value)
    (checkout / "models").unlink()
    (checkout / "models" / "evil").mkdir(parents=True)
    readme = checkout / "models" / "evil" / "readme.md"
    readme.write_bytes(b"---\n" + content + b"\n---\n")
    with pytest.raises(ConfigError, match=r"^models/evil/readme\.md: \S") as caught:
        contract.contract("evil")
    assert line(caught.value)


@pytest.mark.parametrize("key", ["caffemodel", "classes"])
def test_a_contract_names_no_file_elsewhere(key: str, checkout: Path) -> None:
    text = (ROOT / "models/squeezenet/readme.md").read_text()
    (checkout / "models").unlink()
    (checkout / "models" / "evil").mkdir(parents=True)
    changed = re.sub(rf"^{key}: .*$", f"{key}: ../../x", text, flags=re.MULTILINE)
    assert changed != text
    (checkout / "models" / "evil" / "readme.md").write_text(changed)
    with pytest.raises(
        ConfigError, match=rf"evil/readme\.md: {key} is '../../x': string should match"
    ):
        contract.contract("evil")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 10**5, b'{"models": 1, "best": "a"}', b"null"]
)
def test_damaged_metrics_are_one_line(
    content: bytes, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "params.yaml").write_text("competitions: [avocado]\n")
    (checkout / "metrics").mkdir()
    (checkout / "metrics" / "avocado.json").write_bytes(content)
    with pytest.raises(DataError, match=r"^metrics/avocado\.json: .*(dvc repro)$"):
        read_metrics("avocado")


def test_an_error_is_short_and_printable() -> None:
    error = DataError("a\x1b[2J\n" + "x" * 10_000)
    text = line(error) or ""
    assert text.isprintable()
    assert len(text) < 1600
    assert line(PermissionError(13, "Permission denied", "a/b")) == "a/b: Permission denied"
    assert line(KeyError("of ours")) is None
