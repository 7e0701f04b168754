"""The effect of Ctrl-C and SIGHUP on a running command: stop, snapshot or none."""

import signal
from types import FrameType
from typing import Any

from caffe.errors import SolverError
from caffe.solver import SolverAction

# Windows has no SIGHUP.
_SIGNALS = tuple(
    number
    for number in (getattr(signal, name, None) for name in ("SIGHUP", "SIGINT"))
    if number is not None
)


class Signals:
    """A context in which signals are recorded instead of ending the process.

    Parameters
    ----------
    sigint, sighup : str
        Effect of each: stop, snapshot or none.

    Raises
    ------
    SolverError
        If an effect is unknown.
    """

    def __init__(self, sigint: str, sighup: str) -> None:
        self._effects = {"SIGINT": action(sigint), "SIGHUP": action(sighup)}
        self._came: set[str] = set()
        self._before: dict[signal.Signals, Any] = {}

    def requested(self) -> SolverAction:
        """Return the effect of a signal that arrived since the last call."""
        for name in ("SIGHUP", "SIGINT"):
            if name in self._came:
                self._came.discard(name)
                return self._effects[name]
        return SolverAction.NONE

    def __enter__(self) -> "Signals":
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.add(signal.Signals(number).name)


def action(name: str) -> SolverAction:
    """Return the action of that name.

    Raises
    ------
    SolverError
        If the name is unknown.
    """
    try:
        return SolverAction(name)
    except ValueError:
        allowed = ", ".join(each.value for each in SolverAction)
        raise SolverError(f"invalid signal effect '{name}'. Allowed: {allowed}") from None
