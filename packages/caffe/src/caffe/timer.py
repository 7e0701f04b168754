"""A stopwatch."""

import time


class Timer:
    """Measures wall-clock time.

    Attributes
    ----------
    ms : float
        Milliseconds from `start` to `stop`; reading it stops a running timer.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._elapsed = 0.0

    def start(self) -> None:
        """Start from 0."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop, and keep the measured time."""
        if self._started is not None:
            self._elapsed = time.perf_counter() - self._started
            self._started = None

    @property
    def ms(self) -> float:
        self.stop()
        return self._elapsed * 1e3
