"""A training that MLflow follows: its curve while it goes on, its figures at the end."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ripen.learn.models import served
from ripen.learn.models.caffe_net import Check, Training
from ripen.track.tracking import TrackedRun

Listener = Callable[[Check], None]


def nothing(check: Check) -> None:
    """Listen to no check."""


def log_served(tracked: TrackedRun, write: Callable[[Path], None]) -> None:
    """Log the folder that `write` makes (`ripen.learn.models.served`), should the model be the best."""
    if tracked.reused:
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / served.FOLDER
        write(folder)
        tracked.log_artifacts(folder, served.FOLDER)


def followed(
    tracked: TrackedRun, train: Callable[[Listener], Training], show: Listener = nothing
) -> Training:
    """Train and log each check, why it ended, how long it took, and whose weights were kept.

    Parameters
    ----------
    tracked : TrackedRun
    train : callable
        Trains, and gives its listener each check.
    show : callable
        Is given each check too.
    """
    started = time.perf_counter()

    def listener(check: Check) -> None:
        metrics = {f"curve/{k}": v for k, v in asdict(check).items() if k != "iteration"}
        tracked.log_metrics(metrics, check.iteration)
        show(check)

    training = train(listener)
    tracked.set_tags({"stopped": training.stopped})
    tracked.log_metrics(
        {
            "training_seconds": time.perf_counter() - started,
            "iterations": training.iterations,
            "best_iteration": training.best_iteration,
        }
    )
    return training
