"""Folds of one model spread over processes or a Ray cluster, by the launcher that spreads sweeps.

A worker opens the model's data itself and returns a fold's files, which are kept as those of a fit
that was killed; the fit then goes on from there. So the launcher changes no byte of the result.
A worker that is killed loses its own fold, which is run again.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ripen.core.atomic import write_bytes
from ripen.core.errors import TrainingError
from ripen.settings.schema import Launcher

if TYPE_CHECKING:  # most fits are spread by neither
    from ripen.learn.sweeps.on_processes import Processes
    from ripen.learn.sweeps.on_ray import Ray

ATTEMPTS = 3  # at a fold whose worker was lost
MARK = ".npz"  # of the file that is written last: with it the fold is whole

Content = dict[str, bytes]
"""Files by their paths in a folder."""


def spread(
    missing: list[int],
    launcher: Launcher,
    fold: Callable[[int], Content],
    kept: Path,
    files: Callable[[], list[Path]],
) -> None:
    """Fit folds in processes of this machine or of a Ray cluster; keep their files.

    Nothing is done by the launcher `basic`, nor for a single fold.

    Parameters
    ----------
    missing : list of int
        The folds to fit.
    launcher : Launcher
    fold : callable
        Fits a fold in a worker. It can be pickled.
    kept : Path
        The folder of the finished folds.
    files : callable
        Returns the files that a fold reads, for another machine.

    Raises
    ------
    TrainingError
        If a fold loses its worker again and again.
    UsageError
        If Ray is not installed, or no cluster answers.
    """
    workers = _launched(launcher, len(missing), fold, files)
    if workers is None:
        return
    waiting, running, lost = list(reversed(missing)), 0, Counter[int]()
    try:
        while waiting or running:
            while waiting and workers.room > 0:
                workers.submit(waiting[-1], waiting.pop())
                running += 1
            for place, found in workers.done():
                running -= 1
                if found is not None:
                    _write(found, kept)
                    continue
                lost[place] += 1
                if lost[place] == ATTEMPTS:
                    raise TrainingError(
                        f"fold {place} lost its worker {ATTEMPTS} times: is there too little "
                        "memory? The finished folds are kept. Choose fewer launcher.workers"
                    )
                waiting.append(place)
    finally:
        workers.close()


def _launched(
    launcher: Launcher,
    folds: int,
    fold: Callable[[int], Content],
    files: Callable[[], list[Path]],
) -> "Processes[int, Content] | Ray[int, Content] | None":
    """Return the workers; None where folds are better fitted one after the other."""
    if launcher.name == "basic" or folds < 2:
        return None
    if launcher.name == "joblib":
        from ripen.learn.sweeps.on_processes import Processes

        workers = min(launcher.workers or os.cpu_count() or 1, folds)
        return Processes(fold, workers) if workers > 1 else None
    from ripen.learn.sweeps.on_ray import Ray  # only here: it is an extra

    return Ray(fold, files(), launcher.workers, launcher.address)


def content(folder: Path) -> Content:
    """Read the files of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _write(found: Content, kept: Path) -> None:
    for name in sorted(found, key=lambda name: name.endswith(MARK) and "/" not in name):
        write_bytes(kept / name, found[name])
