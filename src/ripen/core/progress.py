"""Progress of a long step: a bar on a terminal, an occasional plain line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 2.0


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Yield a callback `advance(message, steps=1)` that displays progress.

    Parameters
    ----------
    description : str
        Name of the step.
    total : int or None
        Number of steps, or None if unknown.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    # A bar would fill the logs of DVC and CI with control characters.
    if not sys.stdout.isatty():
        yield _plain(description, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[message]}"))
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(description, total=total, message="")
        yield lambda message, steps=1: bar.update(task, advance=steps, message=message)


def _plain(description: str, total: int | None) -> Callable[..., None]:
    done, shown = 0, time.monotonic()

    def advance(message: str, steps: int = 1) -> None:
        nonlocal done, shown
        done += steps
        at_end = total is not None and done >= total
        if at_end or time.monotonic() - shown > SECONDS_BETWEEN_LINES:
            shown = time.monotonic()
            whole = "" if total is None else f"/{total}"
            print(f"{description}: {done}{whole} {message}", flush=True)

    return advance
