"""Folds of one model spread over processes or a Ray cluster, by the launcher that spreads sweeps.

A worker opens the model's data itself and returns a fold's files, which are kept as those of a fit
that was killed; the fit then goes on from there. So the launcher changes no byte of the result.
A worker that is killed loses its own fold, which is run again.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from ripen.core.atomic import replacing
from ripen.core.errors import TrainingError
from ripen.settings.schema import Launcher

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
    if launcher.name == "ray" and len(missing) > 1:
        _on_ray(missing, launcher, fold, kept, files())
    elif launcher.name == "joblib" and len(missing) > 1:
        _in_processes(missing, launcher.workers or os.cpu_count() or 1, fold, kept)


def _on_ray(
    missing: list[int],
    launcher: Launcher,
    fold: Callable[[int], Content],
    kept: Path,
    files: list[Path],
) -> None:
    from ripen.learn.sweeps.on_ray import Ray  # only here: it is an extra

    cluster = Ray(fold, files, launcher.workers, launcher.address)
    waiting, running, lost = list(reversed(missing)), 0, Counter[int]()
    try:
        while waiting or running:
            while waiting and cluster.room > 0:
                cluster.submit(waiting[-1], waiting.pop())
                running += 1
            for place, found in cluster.done():
                running -= 1
                if found is not None:
                    _write(found, kept)
                    continue
                lost[place] += 1
                if lost[place] == ATTEMPTS:
                    raise _lost(place)
                waiting.append(place)
    finally:
        cluster.close()


def _in_processes(
    missing: list[int], workers: int, fold: Callable[[int], Content], kept: Path
) -> None:
    """Give each worker a pool of one process: a pool that loses a process is broken as a whole."""
    if (workers := min(workers, len(missing))) < 2:
        return
    waiting: SimpleQueue[int] = SimpleQueue()
    for place in missing:
        waiting.put(place)
    with ThreadPoolExecutor(workers) as threads:
        running = [threads.submit(_work, waiting, fold, kept) for _ in range(workers)]
        for each in running:
            each.result()


def content(folder: Path) -> Content:
    """Read the files of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _work(waiting: "SimpleQueue[int]", fold: Callable[[int], Content], kept: Path) -> None:
    """Fit folds one after the other in a process, until none waits."""
    with closing(_Process()) as process:
        for place in _each(waiting):
            _write(process.fit(fold, place), kept)


class _Process:
    """A process that fits folds; where it is lost, another one takes its place."""

    def __init__(self) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        self._open = partial(ProcessPoolExecutor, max_workers=1)
        self._pool = self._open()

    def fit(self, fold: Callable[[int], Content], place: int) -> Content:
        for _ in range(ATTEMPTS):
            try:
                found: Content = self._pool.submit(fold, place).result()
                return found
            except BrokenProcessPool:
                self.close()
                self._pool = self._open()
        raise _lost(place)

    def close(self) -> None:
        self._pool.shutdown(kill_workers=True)


def _lost(place: int) -> TrainingError:
    return TrainingError(
        f"fold {place} lost its worker {ATTEMPTS} times: is there too little memory? The finished "
        "folds are kept. Choose fewer launcher.workers"
    )


def _each(waiting: "SimpleQueue[int]") -> Iterator[int]:
    while True:
        try:
            yield waiting.get_nowait()
        except Empty:
            return


def _write(found: Content, kept: Path) -> None:
    for name in sorted(found, key=lambda name: name.endswith(MARK) and "/" not in name):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept / name) as temporary:
            temporary.write_bytes(found[name])
