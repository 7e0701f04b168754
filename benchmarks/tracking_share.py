"""What share of a sweep's time is MLflow's: the same sweep with it and without, in turn.

python -m benchmarks.tracking_share
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.batched_sweep import parts
from ripen.competition.datasets.prepared import write_part
from ripen.core.layout import Layout
from ripen.learn.sweeps import report, results
from ripen.learn.sweeps.plan import Plan, plan
from ripen.learn.sweeps.run import run
from ripen.settings import compose as config
from ripen.settings.schema import Config
from ripen.track.experiments import open_experiment

ROOT = Path(__file__).parents[1]
RATES = "solver.base_lr=0.003,0.01,0.03,0.1,0.2,0.3,0.4,0.5"


def prepare(folder: Path) -> None:
    """Make a folder the root of a repository with avocados of the settings' numbers, and go there.

    MLflow's store is made as well: that is paid once, and by no sweep after the first.
    """
    for name in ("conf", "src", "dvc.yaml", "params.yaml"):
        (folder / name).symlink_to(ROOT / name)
    os.chdir(folder)
    prepared = Layout("avocado").prepared
    prepared.mkdir(parents=True)
    settings = made(0, 1, [])
    for name, part in zip(("train", "validation"), parts(settings), strict=True):
        write_part(prepared, name, part)
    open_experiment(settings, "avocado")


def made(turn: int, iterations: int, overrides: Sequence[str]) -> Config:
    """Return the settings of a turn, with a store of trials of its own."""
    own = [f"study.uri=sqlite:///{Path.cwd()}/{turn}.db", f"solver.max_iter={iterations}"]
    whole = ["train.tolerance=0", "train.early_stopping=1000000"]  # none ends early
    return config.from_mapping(config.compose([*own, *whole, *overrides]), "conf")


def planned(turn: int, trials: int, iterations: int, single: bool) -> Plan:
    """Return the sweep of a turn: eight learning rates, the seeds that make up the trials."""
    # Nets with another solver than SGD are not stacked.
    settings = made(turn, iterations, ["solver.type=Nesterov"] if single else [])
    seeds = ",".join(map(str, range(1, trials // 8 + 1)))
    parameters = [RATES, f"seed={seeds}" if trials > 8 else "seed=1"]
    sweep = replace(settings.sweep, name=f"turn{turn}", parameters=parameters)
    return plan(settings, "avocado", sweep)


def tracked(made: Plan, folder: Path) -> None:
    """Sweep as the stage does."""
    report.swept(made, folder)


def untracked(made: Plan, folder: Path) -> None:
    """Sweep as the stage does, but for MLflow."""
    prepared, launcher = Layout("avocado").prepared, made.config.launcher
    finished = run(made, made.config.study, launcher, prepared, lambda store, finished: None)
    results.write(folder, made, finished)
    report.draw(folder, made, finished)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep in turn with MLflow and without; print the medians and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=64, help="a multiple of 8")
    parser.add_argument("--iterations", type=int, default=2000, help="of each trial")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single", action="store_true", help="one after the other, not stacked")
    given = parser.parse_args(arguments)
    ways: dict[str, Callable[[Plan, Path], None]] = {"without": untracked, "with": tracked}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="ripen-benchmark-") as temporary:
        prepare(Path(temporary))
        for turn in range(2 * given.rounds + 2):  # the first two read what is read once
            name = list(ways)[turn % 2]
            made = planned(turn, given.trials, given.iterations, given.single)
            folder = Path(temporary) / f"turn{turn}"
            folder.mkdir()
            started, used = time.perf_counter(), time.process_time()
            ways[name](made, folder)
            took = time.perf_counter() - started, time.process_time() - used
            if turn > 1:
                times[name].append(took)
            print(f"{name:8}{took[0]:9.2f} s{took[1]:9.2f} cpu s", flush=True)
        os.chdir(ROOT)
    for place, what in enumerate(("time", "processor time")):
        without, with_ = (statistics.median(t[place] for t in times[name]) for name in ways)
        print(
            f"{what}: {without:.2f} s without, {with_:.2f} s with MLflow: "
            f"{(with_ - without) / given.trials * 1000:.0f} ms a trial, "
            f"{1 - without / with_:.1%} of it"
        )


if __name__ == "__main__":
    main()
