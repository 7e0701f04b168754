"""A stop watch."""

import time


class Timer:
    """Measures wall-clock time.

    Attributes
    ----------
    ms : float
        Milliseconds from `start` to `stop`; asking while it runs stops it.
    """

    def __init__(self) -> None:
        self._started: float | None = None
        self._elapsed = 0.0

    def start(self) -> None:
        """Begin at 0."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Keep what was measured."""
        if self._started is not None:
            self._elapsed = time.perf_counter() - self._started
            self._started = None

    @property
    def ms(self) -> float:
        self.stop()
        return self._elapsed * 1e3
