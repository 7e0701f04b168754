"""Runs each case in a forked child, with a limit on its memory and an alarm.

A child runs one case after the other and writes each outcome to a pipe. If a case ends the child,
by a signal or the alarm, the next child goes on behind it. Time is the processor's, so that a busy
machine makes no finding; what only waits is ended after ten minutes by the clock.
"""

import contextlib
import faulthandler
import os
import pickle
import resource
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from caffe.errors import CaffeError
from ripen.core.errors import RipenError

MEGABYTE = 1 << 20
ROOM = 2048 * MEGABYTE  # of addresses beyond those of the warm parent
ALLOWED = 256 * MEGABYTE  # of memory above the valid file's
SECONDS = 30  # of the processor
WAITING = 600  # by the clock

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A damaged file: its name, its bytes, and what reads it."""

    name: str
    content: bytes
    read: Read


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes
    ----------
    kind : str
        ``value``, ``error`` (one of ours), or a finding: ``exception``, ``crash``, ``hang``,
        ``memory``, ``partial file``.
    text : str
        Type and message of the exception, or the name of the signal.
    memory : int
        Bytes that the case took at its worst.
    """

    kind: str
    text: str = ""
    memory: int = 0

    @property
    def found(self) -> bool:
        return self.kind not in ("value", "error")


def run(cases: Sequence[Case]) -> Iterator[tuple[Case, Outcome]]:
    """Yield every case with its outcome."""
    done = 0
    while done < len(cases):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            for outcome in _batch(cases[done:], folder):
                yield cases[done], outcome
                done += 1


def _batch(cases: Sequence[Case], folder: str) -> Iterator[Outcome]:
    """Run cases in one child, until one ends it."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.close(reading)
        _child(cases, folder, writing)
    os.close(writing)
    count = 0
    with os.fdopen(reading, "rb") as answers:
        while count < len(cases):
            try:
                outcome: Outcome = pickle.load(answers)
            except (EOFError, pickle.UnpicklingError):
                break
            count += 1
            yield outcome
    _, status = os.waitpid(child, 0)
    if count < len(cases):
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        hung = number in (signal.SIGALRM, signal.SIGPROF)
        text = signal.Signals(number).name if number else f"exit {os.WEXITSTATUS(status)}"
        yield Outcome("hang" if hung else "crash", text)


def _child(cases: Sequence[Case], folder: str, writing: int) -> None:
    try:
        faulthandler.disable()  # pytest enables it
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter("ignore")
        with os.fdopen(writing, "wb") as answers:
            for case in cases:
                _answer(case, folder, answers)
        os._exit(0)
    finally:
        os._exit(70)


def _answer(case: Case, folder: str, answers: BinaryIO) -> None:
    scratch = Path(tempfile.mkdtemp(dir=folder))
    try:
        path = scratch / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.content)
        before = _memory("VmRSS")
        with contextlib.suppress(OSError):  # where the kernel keeps one peak for all cases
            Path("/proc/self/clear_refs").write_text("5")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        kind, text = _tried(case.read, path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        memory = max(0, _memory("VmHWM") - before)
        left = {each for each in scratch.rglob("*") if each.is_file()} - {path}
        if kind != "value" and left:
            kind, text = "partial file", f"{min(left).name}: {text}"
        elif kind in ("value", "error") and memory > ALLOWED:
            kind, text = "memory", f"{memory // MEGABYTE} MB: {text}"
        pickle.dump(Outcome(kind, text, memory), answers)
        answers.flush()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _tried(read: Read, path: Path) -> tuple[str, str]:
    try:
        read(path)
    except (CaffeError, RipenError) as error:
        return "error", f"{type(error).__name__}: {error}"[:500]
    except BaseException as error:
        return "exception", f"{type(error).__name__}: {error}"[:500]
    return "value", ""


def _memory(name: str) -> int:
    """Return a line of the kernel's account of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024
