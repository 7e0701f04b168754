"""What `ripen run` shows of DVC's stages: made of the lines that DVC prints."""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ripen.cli import live
from ripen.cli.command import INTERRUPTED
from ripen.cli.lanes import Phase
from ripen.cli.live import View, read_times, repro

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
    assert view.summary() == "2 stages ran, 3 unchanged or cached, in 1 min 9 s"


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
    # A stage that has just ended is not taken for one that runs: then 0 seconds would be left.
    view.done()
    assert view.guess() is None
    fresh = View(console(terminal=True), STAGES, {}, clock)
    fresh.line(DVC[2])
    assert fresh.guess() is None


def run(lines: list[str], code: int, where: Console, file: Path) -> int:
    script = f"import sys; print({chr(10).join(lines)!r}); sys.exit({code})"
    return repro(
        where, STAGES, [Phase([STAGES])], lambda *_: [sys.executable, "-c", script], {}, file
    )


def test_times_are_kept_for_the_next_run(tmp_path: Path) -> None:
    where, file = console(terminal=True), tmp_path / ".ripen" / "times.json"
    assert run(DVC, 0, where, file) == 0
    assert set(read_times(file)) == {"fit@a.svm", "fit@a.net"}
    assert "2 stages ran, 3 unchanged or cached, in " in printed(where)[-1]
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
    assert lines == [*expected, "Finished stages are kept. For DVC's full output: ripen run -v"]
    assert "fit@a.net" not in json.loads((tmp_path / "times.json").read_text())


# --- Side by side --------------------------------------------------------------------------------


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


def program(*lines: str, then: str = "") -> list[str]:
    return [sys.executable, "-c", f"import os, sys, time; print({chr(10).join(lines)!r}); {then}"]


def beside(programs: dict[str, list[str]], file: Path, *later: list[str]) -> int:
    """Run programs in place of DVC, each for a stage, side by side; then stages of later phases."""
    phases = [Phase([[stage] for stage in programs], alone=True), *map(Phase, [[x] for x in later])]
    return repro(
        console(), STAGES, phases, lambda _, lane: programs.get(lane[-1], printing(lane)), {}, file
    )


def printing(lane: Sequence[str]) -> list[str]:
    return program(*[f"Running stage '{stage}':" for stage in lane])


def test_a_competition_that_fails_lets_the_others_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "times.json"
    programs = {
        "fit@a.svm": program("Running stage 'fit@a.svm':", then="sys.stdout.flush()"),
        "fit@b.svm": program("Running stage 'fit@b.svm':", "fit@b.svm: few", then="sys.exit(255)"),
    }
    assert beside(programs, file, ["report@a", "report@b"]) == 255
    assert capfd.readouterr().err.splitlines()[0] == "fit@b.svm: few"
    assert set(read_times(file)) == {"fit@a.svm", "report@a"}


def test_what_an_earlier_phase_ran_counts_once(tmp_path: Path) -> None:
    where = console()
    again = program("Stage 'fit@a.svm' didn't change, skipping", "Running stage 'fit@a.net':")
    lines = {"fit@a.svm": printing(["fit@a.svm"]), "fit@a.net": again}
    phases = [Phase([["fit@a.svm"]], alone=True), Phase([["fit@a.net"]])]
    code = repro(where, STAGES, phases, lambda _, lane: lines[lane[0]], {}, tmp_path / "times.json")
    assert code == 0
    assert printed(where)[-1].startswith("2 stages ran, 3 unchanged or cached, in ")


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
    stops = program(then=f"import signal; os.kill(os.getppid(), signal.{sent}); time.sleep(60)")
    programs = {"fit@a.svm": program(then="time.sleep(60)"), "fit@b.svm": stops}
    with ended:
        assert beside(programs, tmp_path / "times.json") == INTERRUPTED
    assert set(psutil.Process().children(recursive=True)) <= set(others)
