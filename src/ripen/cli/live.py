"""DVC's stages in view: which runs, which are unchanged, for how long, and how much is left.

A terminal shows what is done above one line that moves; elsewhere each stage is a plain line. How
long a stage took is kept in `.ripen/`, for the next run's guess. Several processes of DVC's may run
side by side (`ripen.cli.lanes`); each is called a lane.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, current_thread, main_thread
from typing import Any, NoReturn

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ripen.cli.command import INTERRUPTED
from ripen.cli.lanes import Phase
from ripen.core.atomic import write_text
from ripen.core.lineage import competition_of
from ripen.core.processes import end

# DVC locks its files for moments, so that processes take turns.
REPRO = (sys.executable, "-m", "dvc", "--wait-for-lock", "repro")
TIMES = Path(".ripen") / "stage_seconds.json"
"""How long each stage took when it last ran."""
GRACE = 10.0  # seconds to end, before a stopped stage is killed
RUNS = re.compile(r"Running stage '([^']+)'")
SAME = re.compile(r"Stage '([^']+)' (didn't change|is cached)")
OWN_ERROR = re.compile(r"[a-z]+@\S+: (?!warning|excluded)")  # as `ripen.stages` prints them
PASSED = ("warning:", "excluded:", "note:")  # in lines of stages that are shown at once
DVCS = (
    "> ",
    "Updating lock file",
    "Use `dvc push`",
    "To track the changes",
    "To enable auto",
    "\t",
)


def read_times(file: Path) -> dict[str, float]:
    """Return how long each stage took when it last ran; nothing of a file that cannot be read."""
    try:
        return {str(k): float(v) for k, v in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_times(times: Mapping[str, float], file: Path) -> None:
    """Keep how long stages took, for `read_times` of the next run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(times, indent=1, sort_keys=True) + "\n")


@dataclass
class Lane:
    """What one process of DVC's does: the stage that runs, since when, and what it has printed."""

    stage: str = ""
    since: float = 0.0
    last: str = ""
    output: list[str] = field(default_factory=list)


class View:
    """What a run shows, made of the lines that DVC and its stages print.

    Parameters
    ----------
    console : Console
    stages : sequence of str
        All of them.
    times : dict of str to float
        Seconds of their last runs. Those of this run are added to it.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        console: Console,
        stages: Sequence[str],
        times: dict[str, float],
        clock: Any = time.monotonic,
    ) -> None:
        self._console, self.times, self._clock = console, times, clock
        self._left = dict.fromkeys(stages)
        self._total, self._start = len(stages), clock()
        self._ran: dict[str, int] = {}  # the lane of each competition that has run a stage
        self._count = 0
        self._lanes = defaultdict[int, Lane](Lane)
        self._spinner = Spinner("dots")

    def line(self, line: str, lane: int = 0) -> None:
        """Take in a line that DVC or a stage has printed."""
        now = self._lanes[lane]
        if found := RUNS.match(line):
            self.done(lane)
            self._lanes[lane] = Lane(found[1], self._clock())
            self._left.pop(found[1], None)
            self._count += 1
            self._ran[competition_of(found[1])] = lane
            if not self._console.is_terminal:
                usual = self.times.get(found[1])
                took = f" (took {shown(usual)} last time)" if usual and usual > 5 else ""
                self._say(f"{found[1]}: runs{took}")
        elif found := SAME.match(line):
            self.done(lane)
            if found[1] not in self._left:  # an earlier phase ran it
                return
            del self._left[found[1]]
            if found[2] == "is cached":
                self._say(f"{found[1]}: from the cache", "dim")
        elif line and not line.startswith(DVCS):
            now.last = line
            now.output.append(line)
            if any(word in line for word in PASSED):
                self._say(line, "yellow")

    def done(self, lane: int = 0) -> None:
        """End the stage that runs in a lane, if one does."""
        now = self._lanes[lane]
        stage, now.stage, now.last = now.stage, "", ""  # the line that moves is drawn in between
        if stage:
            took = self._clock() - now.since
            self.times[stage] = round(took, 1)
            self._say(f"{stage}: {shown(took)}", "green")

    def start(self) -> None:
        """Begin with new lanes."""
        self._lanes.clear()

    def stage(self, lane: int) -> str:
        """Return the stage that runs in a lane; "" of none."""
        return self._lanes[lane].stage

    def output(self, lane: int = 0) -> list[str]:
        """Return what the last stage of a lane has printed."""
        return self._lanes[lane].output

    def summary(self) -> str:
        """Return how many stages ran, and how many did not need to."""
        took = shown(self._clock() - self._start)
        rest = self._total - self._count
        return f"{self._count} stages ran, {rest} unchanged or cached, in {took}"

    def guess(self) -> float | None:
        """Return the seconds that are left at most, None where nothing is known.

        Once a stage of a competition has run, all its later stages are expected to run: DVC checks
        each only when its turn comes.
        """
        found = [
            self._guess(lane, [s for s in self._left if self._ran.get(competition_of(s)) == number])
            for number, lane in self._lanes.items()
        ]
        known = [left for left in found if left is not None]
        return max(known) if known and len(known) == len(found) else None

    def _guess(self, lane: Lane, waiting: Sequence[str]) -> float | None:
        """Return the seconds that are left of a lane: of the stage that runs, and those waiting."""
        if not lane.stage and not waiting and len(self._lanes) > 1:
            return 0.0  # it has ended, and others have not
        known = [self.times[stage] for stage in waiting if stage in self.times]
        usual = self.times.get(lane.stage)
        if usual is None and len(known) < len(waiting) or not (known or usual):
            return None
        here = max(0.0, (usual or 0.0) - (self._clock() - lane.since)) if lane.stage else 0.0
        return sum(known) + here

    def __rich__(self) -> Text:
        """The line that moves."""
        now = self._clock()
        parts = [f"{self._total - len(self._left)} of {self._total}"]
        running = [lane for lane in self._lanes.values() if lane.stage]
        parts += [f"{lane.stage} {shown(now - lane.since)}" for lane in running]
        parts.append(f"{shown(now - self._start)} in all")
        if (left := self.guess()) is not None:
            parts.append(f"at most {shown(left)} left")
        frame = self._spinner.render(now)
        said = next((lane.last for lane in running if lane.last), "")
        line = Text.assemble(str(frame), " ", ("  ".join(parts), "bold"), (f"  {said}", "dim"))
        line.truncate(self._console.width - 1, overflow="ellipsis")
        return line

    def _say(self, line: str, style: str = "") -> None:
        place = f"[{self._total - len(self._left)}/{self._total}]"
        # Not the style of `print`: the line that moves would have it too.
        self._console.print(Text(f"{place} {line}", style), soft_wrap=True)


def repro(
    console: Console,
    stages: Sequence[str],
    phases: Sequence[Phase],
    dvc: Callable[[Phase, Sequence[str]], Sequence[str]],
    environment: Mapping[str, str],
    file: Path = TIMES,
) -> int:
    """Run DVC's processes, show their stages, and return the first exit code not 0.

    A stage that fails is one line on standard error, if it said what is wrong, or all its output.
    The other competitions go on.

    Parameters
    ----------
    console : Console
    stages : sequence of str
        From `ripen.core.lineage.stages`.
    phases : sequence of Phase
        One after the other.
    dvc : callable
        Returns the command for the stages of a lane.
    environment : mapping
        The commands'.
    file : Path
        Seconds of earlier runs; is written anew.
    """
    view, code, failed = View(console, stages, read_times(file)), 0, set[str]()
    moving = Live(view, console=console, refresh_per_second=8, transient=True)
    try:
        with _terminated(), moving if console.is_terminal else nullcontext():
            for phase in phases:
                kept = [
                    [s for s in lane if competition_of(s) not in failed] for lane in phase.lanes
                ]
                left = [lane for lane in kept if lane]
                commands = [dvc(phase, lane) for lane in left]
                for lane, found in _follow(view, commands, environment):
                    code = code or found
                    unmade = [view.stage(lane)] if phase.alone else left[lane]
                    failed |= {competition_of(stage) for stage in unmade}
    except KeyboardInterrupt:
        print("stopped. Finished stages are kept; ripen run continues after them", file=sys.stderr)
        return INTERRUPTED
    finally:
        write_times(view.times, file)
    if code:
        print("Finished stages are kept. For DVC's full output: ripen run -v", file=sys.stderr)
    else:
        console.print(view.summary(), highlight=False)
    return code


def _follow(
    view: View, commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """Run commands side by side, and show what they print; yield the codes of those that fail."""
    view.start()
    running = len(commands)
    with _side_by_side(commands, environment) as said:
        while running:
            lane, found = said.get()
            if isinstance(found, str):
                view.line(found, lane)
                continue
            running -= 1
            if found == 0:
                view.done(lane)
                continue
            for line in _reasons(view.output(lane)):
                print(line, file=sys.stderr)
            yield lane, found


@contextmanager
def _side_by_side(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Iterator["SimpleQueue[tuple[int, str | int]]"]:
    """Run commands; yield the lines that they print, and at last exit codes, with their numbers.

    None of them outlives the context.
    """
    said: SimpleQueue[tuple[int, str | int]] = SimpleQueue()

    def follow(lane: int, process: "subprocess.Popen[str]") -> None:
        with process:
            for line in process.stdout or ():
                said.put((lane, line.rstrip()))
        said.put((lane, process.returncode))

    processes = list[subprocess.Popen[str]]()
    try:
        for lane, command in enumerate(commands):
            # Unbuffered, or a stage's lines would come at its end.
            process = subprocess.Popen(
                command, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
            processes.append(process)
            Thread(target=follow, args=(lane, process), daemon=True).start()
        yield said
    except KeyboardInterrupt:  # Ctrl-C has reached DVC and its stages too, which now end
        latest = time.monotonic() + GRACE
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, latest - time.monotonic()))
        raise
    finally:
        for process in processes:
            stop(process)


def stop(process: "subprocess.Popen[Any]") -> None:
    """End DVC and its stage, if they run; the folds that the stage has finished are kept."""
    end(process, signal.SIGINT, GRACE)


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end what is running, as every exception does. Only the main thread can."""
    if current_thread() is not main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def shown(seconds: float) -> str:
    """Return a time for a reader.

    >>> [shown(seconds) for seconds in (0.24, 9.96, 59.6, 61, 3725)]
    ['0.2 s', '10 s', '60 s', '1 min 1 s', '1 h 2 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 60.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _reasons(output: Iterable[str]) -> list[str]:
    """Return the lines that say why a stage failed: its own error, or else everything."""
    lines = list(output)
    own = [line for line in lines if OWN_ERROR.match(line)]
    return own or lines
