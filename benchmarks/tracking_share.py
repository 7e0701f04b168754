"""What share of a sweep's time is MLflow's: the same sweep with it and without, in turn.

python -m benchmarks.tracking_share
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.batched_sweep import avocado, parts
from ripen.competition import index as indexes
from ripen.core.layout import Layout
from ripen.learn.sweeps import sweep_tables
from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study, define
from ripen.settings.compose import as_mapping, changed, load_run
from ripen.settings.schema import Run
from ripen.stages import sweep as stage
from ripen.track.experiments import open_experiment

ROOT = Path(__file__).parents[1]
RATES = "solver.base_lr=0.003,0.01,0.03,0.1,0.2,0.3,0.4,0.5"


def prepare(folder: Path) -> None:
    """Make a folder the root of a repository with avocados of the settings' numbers, and go there.

    MLflow's store is made as well: only the first sweep of all would pay for it.
    """
    for name in ("conf", "src", "packages", "models", "constraints.txt", "dvc.yaml", "params.yaml"):
        (folder / name).symlink_to(ROOT / name)
    os.chdir(folder)
    layout = Layout("avocado")
    layout.prepared.mkdir(parents=True)
    layout.raw.mkdir()
    train, validation = parts(avocado())
    table = pd.concat([train, validation], ignore_index=True)
    n, target = len(table), table.pop("ripe").astype(str)
    fold = [-1] * len(train) + [0] * len(validation)
    rows = {"id": map(str, range(n)), "part": "train", "target": target, "group": "", "fold": fold}
    index = pd.DataFrame(rows | {"problem": ""})
    indexes.write(layout.prepared, index, {"0": "not ripe", "1": "ripe"})
    table.to_parquet(layout.prepared / "table.parquet", index=False)
    open_experiment(load_run(), "avocado")


def settings(turn: int) -> Run:
    """Return the settings of a turn, with a store of trials of its own."""
    study = {"uri": f"sqlite:///{Path.cwd()}/{turn}.db", "timeout": 30}
    return changed(load_run(), study=study)


def planned(turn: int, trials: int, iterations: int, single: bool) -> Study:
    """Return the study of a turn: eight learning rates, the seeds that make up the trials."""
    whole = ["train.tolerance=0", "train.early_stopping=1000000"]  # none ends early
    # Nets with another solver than SGD are not stacked.
    solver = ["solver.type=Nesterov"] if single else []
    competition = avocado(f"solver.max_iter={iterations}", *whole, *solver)
    seeds = ",".join(map(str, range(1, trials // 8 + 1)))
    parameters = [RATES, f"seed={seeds}" if trials > 8 else "seed=1"]
    assert competition.sweep is not None
    sweep = as_mapping(competition.sweep) | {"name": f"turn{turn}", "parameters": parameters}
    return define("avocado", changed(competition, sweep=sweep))


def tracked(study: Study, run: Run, folder: Path) -> None:
    """Sweep as the stage does."""
    stage.sweep(study, run, folder)


def untracked(study: Study, run: Run, folder: Path) -> None:
    """Sweep as the stage does, but for MLflow."""
    store = Store(study, run.study)
    finished = run_study(store, run.launcher, lambda store, finished: None)
    sweep_tables.write(folder, study, finished)
    stage.draw(folder, study, finished)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep in turn with MLflow and without; print the medians and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=64, help="a multiple of 8")
    parser.add_argument("--iterations", type=int, default=2000, help="of each trial")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single", action="store_true", help="one after the other, not stacked")
    given = parser.parse_args(arguments)
    sweeps: dict[str, Callable[[Study, Run, Path], None]] = {"without": untracked, "with": tracked}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sweeps}
    with tempfile.TemporaryDirectory(prefix="ripen-benchmark-") as temporary:
        prepare(Path(temporary))
        for turn in range(2 * given.rounds + 2):  # the first two read what is read once
            name = list(sweeps)[turn % 2]
            run, study = settings(turn), planned(turn, given.trials, given.iterations, given.single)
            folder = Path(temporary) / f"turn{turn}"
            folder.mkdir()
            started, used = time.perf_counter(), time.process_time()
            sweeps[name](study, run, folder)
            took = time.perf_counter() - started, time.process_time() - used
            if turn > 1:
                times[name].append(took)
            print(f"{name:8}{took[0]:9.2f} s{took[1]:9.2f} cpu s", flush=True)
        os.chdir(ROOT)
    for place, what in enumerate(("time", "processor time")):
        without, with_ = (statistics.median(t[place] for t in times[name]) for name in sweeps)
        print(
            f"{what}: {without:.2f} s without, {with_:.2f} s with MLflow: "
            f"{(with_ - without) / given.trials * 1000:.0f} ms a trial, "
            f"{1 - without / with_:.1%} of it"
        )


if __name__ == "__main__":
    main()
