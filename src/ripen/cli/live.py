"""DVC's stages in view: which runs, which are unchanged, for how long, and how much is left.

A terminal shows what is done above one line that moves; elsewhere each stage is a plain line. How
long a stage took is kept in `.ripen/`, for the next run's guess.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ripen.core.atomic import write_text
from ripen.settings import compose as config

TIMES = Path(".ripen") / "stage_seconds.json"
"""How long each stage took when it last ran."""
INTERRUPTED = 130  # the exit code after Ctrl-C
RUNS = re.compile(r"Running stage '([^']+)'")
SAME = re.compile(r"Stage '([^']+)' (didn't change|is cached)")
OWN_ERROR = re.compile(r"[a-z]+@\S+: (?!warning|excluded)")  # as `ripen.stages` prints them
PASSED = ("warning:", "excluded:")  # in lines of stages that are shown at once
DVCS = (
    "> ",
    "Updating lock file",
    "Use `dvc push`",
    "To track the changes",
    "To enable auto",
    "\t",
)


def names(pipeline: Mapping[str, Any], graph: Mapping[str, Any]) -> list[str]:
    """Return the stages of a pipeline as DVC names them.

    Parameters
    ----------
    pipeline : mapping
        The content of `dvc.yaml`.
    graph : mapping
        The instances of its stages, `graph` of `params.yaml`.
    """
    found: list[str] = []
    for name, stage in pipeline["stages"].items():
        if "foreach" not in stage:
            found.append(name)
        else:
            found += [
                f"{name}@{key}" for key in graph[stage["foreach"].removeprefix("${graph.")[:-1]]
            ]
    return found


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
        self._ran: set[str] = set()  # the competitions, of which a stage ran
        self._unchanged = 0
        self._stage, self._since = "", 0.0
        self._last, self._spinner = "", Spinner("dots")
        self.output: list[str] = []

    def line(self, line: str) -> None:
        """Take in a line that DVC or a stage has printed."""
        if found := RUNS.match(line):
            self.done()
            self._stage, self._since, self.output = found[1], self._clock(), []
            self._left.pop(self._stage, None)
            self._ran.add(_competition(self._stage))
            if not self._console.is_terminal:
                usual = self.times.get(self._stage)
                took = f" (took {shown(usual)} last time)" if usual and usual > 5 else ""
                self._say(f"{self._stage}: runs{took}")
        elif found := SAME.match(line):
            self.done()
            self._left.pop(found[1], None)
            self._unchanged += 1
            if found[2] == "is cached":
                self._say(f"{found[1]}: from the cache", "dim")
        elif line and not line.startswith(DVCS):
            self._last = line
            self.output.append(line)
            if any(word in line for word in PASSED):
                self._say(line, "yellow")

    def done(self) -> None:
        """End the stage that runs, if one does."""
        if self._stage:
            took = self._clock() - self._since
            self.times[self._stage] = round(took, 1)
            self._say(f"{self._stage}: {shown(took)}", "green")
        self._stage = self._last = ""

    def summary(self) -> str:
        """Return how many stages ran, and how many did not need to."""
        ran = self._total - len(self._left) - self._unchanged
        took = shown(self._clock() - self._start)
        return f"{ran} stages ran, {self._unchanged} were unchanged or cached, in {took}"

    def guess(self) -> float | None:
        """Return the seconds that are left at most, None where nothing is known.

        Of a competition of which a stage ran, all later ones are taken to run: DVC looks at each
        only when its turn comes.
        """
        waiting = [stage for stage in self._left if _competition(stage) in self._ran]
        known = [self.times[stage] for stage in waiting if stage in self.times]
        usual = self.times.get(self._stage)
        if usual is None and len(known) < len(waiting) or not (known or usual):
            return None
        here = max(0.0, (usual or 0.0) - (self._clock() - self._since)) if self._stage else 0.0
        return sum(known) + here

    def __rich__(self) -> Text:
        """The line that moves."""
        now = self._clock()
        parts = [f"{self._total - len(self._left)} of {self._total}"]
        if self._stage:
            parts.append(f"{self._stage} {shown(now - self._since)}")
        parts.append(f"{shown(now - self._start)} in all")
        if (left := self.guess()) is not None:
            parts.append(f"at most {shown(left)} left")
        frame = self._spinner.render(now)
        line = Text.assemble(
            str(frame), " ", ("  ".join(parts), "bold"), (f"  {self._last}", "dim")
        )
        line.truncate(self._console.width - 1, overflow="ellipsis")
        return line

    def _say(self, line: str, style: str = "") -> None:
        place = f"[{self._total - len(self._left)}/{self._total}]"
        # Not the style of `print`: the line that moves would have it too.
        self._console.print(Text(f"{place} {line}", style), soft_wrap=True)


def repro(
    console: Console,
    stages: Sequence[str],
    command: Sequence[str],
    environment: Mapping[str, str],
    file: Path = TIMES,
) -> int:
    """Run DVC's command, show its stages, and return its exit code.

    A stage that fails is one line on standard error, if it said what is wrong, or all its output.

    Parameters
    ----------
    console : Console
    stages : sequence of str
        From `names`.
    command : sequence of str
    environment : mapping
        The command's.
    file : Path
        Seconds of earlier runs; is written anew.
    """
    view = View(console, stages, read_times(file))
    moving = Live(view, console=console, refresh_per_second=8, transient=True)
    try:
        with (
            # Unbuffered, or a stage's lines would come at its end.
            subprocess.Popen(
                command, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace",
            ) as process,
            moving if console.is_terminal else nullcontext(),
        ):  # fmt: skip
            for line in process.stdout or ():
                view.line(line.rstrip())
            code = process.wait()
            if not code:
                view.done()
    except KeyboardInterrupt:  # Ctrl-C has reached DVC too
        print("stopped. What is done is kept: ripen run goes on from there", file=sys.stderr)
        return INTERRUPTED
    finally:
        write_times(view.times, file)
    if code:
        for line in _reasons(view.output):
            print(line, file=sys.stderr)
        print("What is done is kept. All that DVC says: ripen run -v", file=sys.stderr)
    else:
        console.print(view.summary(), highlight=False)
    return code


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


def stages_of_run() -> list[str]:
    """Return the stages of `dvc.yaml` with the instances of `params.yaml`."""
    return names(config.read(Path("dvc.yaml")), config.read(config.PARAMS)["graph"])


def _reasons(output: Iterable[str]) -> list[str]:
    """Return the lines that say why a stage failed: its own error, or else everything."""
    lines = list(output)
    own = [line for line in lines if OWN_ERROR.match(line)]
    return own or lines


def _competition(stage: str) -> str:
    return stage.partition("@")[2].partition(".")[0]
