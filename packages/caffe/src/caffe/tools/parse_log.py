"""`caffe parse_log`: a training log as two tables, `<log>.train` and `<log>.test`, and a plot.

The columns are those of pycaffe's parse_log.py: NumIters, Seconds (since the line 'Solving'),
LearningRate, then the net's outputs by name. Of an output with several numbers the last is kept.
"""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from caffe.errors import FormatError
from caffe.formats import read_file, replacing
from caffe.tools.flags import Flags

Row = dict[str, float]

_NUMBER = r"[-+]?(?:nan|inf|\d+\.?\d*(?:[eE][-+]?\d+)?)"
_STAMP = re.compile(r"^[IWEF](?:\d{4})?(\d{2})(\d{2}) (\d{1,2}):(\d{1,2}):(\d{1,2})\.(\d{1,6}) ")
_ITERATION = re.compile(r"Iteration (\d+)")
_RATE = re.compile(rf"Iteration \d+, lr = ({_NUMBER})")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (\S+) = ({_NUMBER})")


@dataclass
class Log:
    """The rows of a log: one for each iteration that shows training or test outputs."""

    train: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)


def main(argv: Sequence[str]) -> int:
    """Write the tables, and the plot if requested."""
    flags = Flags("parse_log", "Turn a training log into tables and a plot.")
    flags.add_argument("logfile_path", help="the log of caffe train")
    flags.add_argument("output_dir", nargs="?", default=".", help="folder for the tables")
    flags.add("verbose", False, "print the paths of the tables")
    flags.add("delimiter", ",", "separator of columns")
    flags.add("plot", "", "also write a plot to this .svg, .png or .pdf file")
    found = flags.parse(argv)
    if len(found.delimiter) != 1:
        flags.error(f"--delimiter is '{found.delimiter}'. Allowed: one character")
    log = read(found.logfile_path)
    for name, rows in (("train", log.train), ("test", log.test)):
        path = Path(found.output_dir) / f"{Path(found.logfile_path).name}.{name}"
        write_table(path, rows, found.delimiter)
        if found.verbose:
            print(f"Wrote {path}")
    if found.plot:
        plot(log, found.plot)
    return 0


def read(path: str) -> Log:
    """Read a log file.

    Raises
    ------
    FormatError
        If it cannot be read, or is not a training log.
    """
    lines = read_file(path).decode("utf-8", "replace").splitlines()
    if not any("Solving" in line for line in lines):
        raise FormatError(f"{path}: is not a training log: no line contains 'Solving'")
    return parse(lines)


def parse(lines: Iterable[str]) -> Log:
    """Collect the outputs of each iteration from a log's lines.

    A row has the learning rate of its iteration, or else the last one logged before it.
    """
    log = Log()
    clock = _Clock()
    iteration = seconds = rate = float("nan")
    rates: dict[float, float] = {}
    for line in lines:
        clock.see(line)
        if found := _ITERATION.search(line):
            iteration, seconds = float(found[1]), clock.seconds
        if found := _RATE.search(line):
            rate = float(found[1])
            rates[iteration] = rate
        if (found := _OUTPUT.search(line)) and not math.isnan(iteration):
            rows = log.train if found[1] == "Train" else log.test
            if not rows or rows[-1]["NumIters"] != iteration:
                rows.append({"NumIters": iteration, "Seconds": seconds, "LearningRate": rate})
            rows[-1][found[2]] = float(found[3])
    for row in (*log.train, *log.test):
        row["LearningRate"] = rates.get(row["NumIters"], row["LearningRate"])
    return log


class _Clock:
    """The seconds since the line 'Solving'. Stamps have no year, so a new year may begin once."""

    def __init__(self) -> None:
        self._start: datetime | None = None
        self._now: datetime | None = None

    def see(self, line: str) -> None:
        found = _STAMP.match(line)
        if not found:
            return
        month, day, hour, minute, second, micro = map(int, found.groups())
        year = self._now.year if self._now else 2000  # a leap year
        try:
            moment = datetime(year, month, day, hour, minute, second, micro)
            if self._now and moment < self._now - timedelta(days=180):
                moment = moment.replace(year=year + 1)
        except ValueError:  # not a time: a line that only looks like the log's
            return
        self._now = moment
        if self._start is None and "Solving" in line:
            self._start = moment

    @property
    def seconds(self) -> float:
        if self._start is None or self._now is None:
            return float("nan")
        return (self._now - self._start).total_seconds()


def write_table(path: Path, rows: Sequence[Row], delimiter: str) -> None:
    """Write rows as CSV; without rows the file is empty.

    Raises
    ------
    FormatError
        If it cannot be written.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)


def plot(log: Log, path: str) -> None:
    """Plot every output over the iterations: a panel per name, with train and test together.

    Raises
    ------
    FormatError
        If there is nothing to draw, the file cannot be written, or its extension is unknown.
    """
    from matplotlib.figure import Figure  # slow to import, and needed only here

    shown = ("NumIters", "Seconds")
    names = list(dict.fromkeys(n for row in (*log.train, *log.test) for n in row if n not in shown))
    if not names:
        raise FormatError("the log shows no outputs of a net: nothing to draw")
    figure = Figure(figsize=(8, 2.5 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        for kind, rows in (("train", log.train), ("test", log.test)):
            points = [(row["NumIters"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(
                    *zip(*points, strict=True), label=kind, marker="." if len(points) < 50 else ""
                )
        axes.set_ylabel(name)
        axes.legend()
    axes.set_xlabel("iterations")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png")
