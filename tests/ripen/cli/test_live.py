"""What `ripen run` shows of DVC's stages: made of the lines that DVC prints."""

import io
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import pytest
import yaml
from rich.console import Console

from ripen.cli import live
from ripen.cli.live import View, lanes, names, ordered, read_times, repro
from ripen.settings import compose as config
from ripen.stages import settings
from tests.ripen.conftest import ROOT

STAGES = ["settings", "fetch@a", "fit@a.svm", "fit@a.net", "fit@b.svm"]
DVC = [
    "Stage 'settings' didn't change, skipping",
    "Stage 'fetch@a' is cached - skipping run, checking out outputs",
    "Running stage 'fit@a.svm':",
    "> PYTHONPATH=src python -m ripen.stages fit a svm",
    "fit svm: 3/5 fold 2",
    "fit@a.svm: warning: a column is empty",
    "",
    "Running stage 'fit@a.net':",
]


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)


def printed(where: Console) -> list[str]:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue().splitlines()


def test_the_stages_are_those_of_dvc() -> None:
    values, _ = settings.compose(["competitions=[avocado]"], ROOT / "conf")
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    found = names(pipeline, values["graph"])
    locked = config.read(ROOT / "dvc.lock")["stages"]
    assert set(found) == {name for name in locked if "digits" not in name}
    assert (found[0], found[-1]) == ("settings", "report@avocado")


def test_each_stage_is_a_plain_line_where_there_is_no_terminal() -> None:
    where, clock = console(), Clock()
    view = View(where, STAGES, {"fit@a.net": 40.0}, clock)
    for line in DVC:
        clock.now += 1
        view.line(line)
    clock.now += 61
    view.done()
    assert printed(where) == [
        "[2/5] fetch@a: from the cache",
        "[3/5] fit@a.svm: runs",
        "[3/5] fit@a.svm: warning: a column is empty",
        "[3/5] fit@a.svm: 5.0 s",
        "[4/5] fit@a.net: runs (took 40 s last time)",
        "[4/5] fit@a.net: 1 min 1 s",
    ]
    assert view.times == {"fit@a.net": 61.0, "fit@a.svm": 5.0}
    assert view.summary() == "2 stages ran, 2 were unchanged or cached, in 1 min 9 s"


def test_the_rest_is_guessed_from_the_last_run() -> None:
    clock = Clock()
    known = {"fit@a.svm": 10.0, "fit@a.net": 40.0, "fit@b.svm": 7.0}
    view = View(console(terminal=True), STAGES, known, clock)
    assert view.guess() is None  # nothing has run yet
    for line in DVC[:5]:
        view.line(line)
    clock.now = 4.0
    # By hand: 6 of 10 seconds of this stage, and the net of the same competition.
    assert view.guess() == 46.0
    line = view.__rich__().plain
    assert line.endswith(
        "3 of 5  fit@a.svm 4.0 s  4.0 s in all  at most 46 s left  fit svm: 3/5 fold 2"
    )
    clock.now = 15.0
    assert view.guess() == 40.0
    view.times.pop("fit@a.net")
    assert view.guess() == 0.0
    fresh = View(console(terminal=True), STAGES, {}, clock)
    fresh.line(DVC[2])
    assert fresh.guess() is None


def run(lines: list[str], code: int, where: Console, file: Path) -> int:
    script = f"import sys; print({chr(10).join(lines)!r}); sys.exit({code})"
    return repro(where, STAGES, [[sys.executable, "-c", script]], {}, file)


def test_times_are_kept_for_the_next_run(tmp_path: Path) -> None:
    where, file = console(terminal=True), tmp_path / ".ripen" / "times.json"
    assert run(DVC, 0, where, file) == 0
    assert set(read_times(file)) == {"fit@a.svm", "fit@a.net"}
    assert "2 stages ran, 2 were unchanged or cached, in " in printed(where)[-1]
    file.write_text("[broken")
    assert read_times(file) == read_times(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["fit net: 1", "fit@a.net: training diverged"], ["fit@a.net: training diverged"]),
        (["Traceback (most", "KeyError: 'x'"], ["Traceback (most", "KeyError: 'x'"]),
    ],
)
def test_a_stage_that_fails_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: list[str], expected: list[str]
) -> None:
    assert run([*DVC, *said], 255, console(), tmp_path / "times.json") == 255
    lines = capfd.readouterr().err.splitlines()
    assert lines == [*expected, "What is done is kept. All that DVC says: ripen run -v"]
    assert "fit@a.net" not in json.loads((tmp_path / "times.json").read_text())


# --- Competitions side by side -------------------------------------------------------------------

BESIDE = ["settings", "weights@squeezenet", "fetch@a", "fetch@b", "fit@a.net", "fit@b.net"]


@pytest.mark.parametrize(
    ("users", "jobs", "expected"),
    [
        ([], 1, [BESIDE]),
        ([], 4, [["settings", "weights@squeezenet", *BESIDE[2::2]], BESIDE[3::2]]),
        # Both read the weights of a net, which one of them writes.
        (["a", "b"], 4, [BESIDE]),
        (["b"], 4, [["settings", "weights@squeezenet", *BESIDE[3::2]], BESIDE[2::2]]),
    ],
)
def test_competitions_run_side_by_side_where_they_share_no_output(
    users: list[str], jobs: int, expected: list[list[str]]
) -> None:
    graph = {"features": {}, "finetune": {f"{name}.net": {"competition": name} for name in users}}
    assert lanes(BESIDE, graph, ["a", "b"], jobs) == expected


def test_each_process_has_its_stage_and_the_longest_is_what_is_left() -> None:
    where, clock = console(terminal=True), Clock()
    view = View(where, STAGES, {"fit@a.svm": 10.0, "fit@a.net": 40.0, "fit@b.svm": 70.0}, clock)
    view.line("Running stage 'fit@a.svm':", 0)
    view.line("Running stage 'fit@b.svm':", 1)
    view.line("fit svm: fold 1", 1)
    clock.now = 4.0
    assert view.guess() == 66.0
    line = view.__rich__().plain
    assert "fit@a.svm 4.0 s  fit@b.svm 4.0 s  4.0 s in all  at most 1 min 6 s left" in line
    view.done(1)
    assert view.guess() == 46.0  # of the other one
    assert view.output(1) == ["fit svm: fold 1"]


def command(*lines: str, then: str = "") -> list[str]:
    return [sys.executable, "-c", f"import os, sys, time; print({chr(10).join(lines)!r}); {then}"]


def test_one_that_fails_lets_the_other_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = command("Running stage 'fit@b.svm':", "fit@b.svm: too few rows", then="sys.exit(255)")
    goes_on = command("Running stage 'fit@a.svm':", then="sys.stdout.flush(); time.sleep(0.2)")
    file = tmp_path / "times.json"
    assert repro(console(), STAGES, [goes_on, fails], {}, file) == 255
    error = capfd.readouterr().err.splitlines()
    assert error[0] == "fit@b.svm: too few rows"
    assert set(read_times(file)) == {"fit@a.svm"}


@pytest.mark.parametrize(
    ("sent", "ended"),
    [("SIGINT", nullcontext()), ("SIGTERM", pytest.raises(SystemExit, match="143"))],
)
def test_no_process_outlives_a_stopped_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: str,
    ended: AbstractContextManager[object],
) -> None:
    monkeypatch.setattr(live, "GRACE", 0.5)
    others = psutil.Process().children(recursive=True)  # of tests before
    stops = command(then=f"import signal; os.kill(os.getppid(), signal.{sent}); time.sleep(60)")
    both = [command(then="time.sleep(60)"), stops]
    with ended:
        assert repro(console(), STAGES, both, {}, tmp_path / "times.json") == live.INTERRUPTED
    assert set(psutil.Process().children(recursive=True)) <= set(others)


def test_new_entries_of_the_lock_are_in_the_order_of_one_process() -> None:
    entries = {name: f"  {name}:\n    cmd: {name}\n    deps:\n    - path: x\n" for name in STAGES}
    head = "schema: '2.0'\nstages:\n"
    by_time = ["fit@b.svm", "settings", "fit@a.net", "fit@a.svm"]
    lock = head + "".join(entries[name] for name in by_time)
    expected = [name for name in STAGES if name in by_time]
    assert ordered(lock, "", STAGES) == head + "".join(entries[name] for name in expected)
    # What it had stays where it was.
    before = head + entries["fit@b.svm"] + entries["settings"]
    kept = ["fit@b.svm", "settings", "fit@a.svm", "fit@a.net"]
    assert ordered(lock, before, STAGES) == head + "".join(entries[name] for name in kept)
    assert ordered("", "", STAGES) == ""
