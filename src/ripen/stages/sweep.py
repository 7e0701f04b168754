"""sweep: trainings of one net with other settings, and the best of them by validation."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ripen.core.atomic import fresh_folder
from ripen.core.errors import TrainingError
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.judge import plots, sweep_figures, terminal
from ripen.learn.complete import complete, pool
from ripen.learn.sweeps import sweep_tables
from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.space import SWEPT
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study, define
from ripen.learn.sweeps.trial import FinishedTrial
from ripen.settings.compose import CONF, load_competition, load_run, run_of
from ripen.settings.schema import Run
from ripen.settings.yaml_files import read
from ripen.track.experiments import repository_root
from ripen.track.sweep_runs import SweepRuns

SHOWN = 10  # trials in the table


def run(name: str) -> None:
    """Read `inputs/`; write `sweep/`, `inputs/sweep.json`, the trials' store and MLflow runs."""
    competition, layout = load_competition(name), Layout(name)
    study = define(name, competition)
    with fresh_folder(layout.sweep) as folder:
        sweep(study, load_run(), folder)
    sweep_tables.write_swept(layout.sweep, layout.swept, study.sweep.train_best)


def sweep(study: Study, settings: Run, folder: Path) -> list[FinishedTrial]:
    """Run the trials that have not ended yet; write tables and figures into a folder.

    Raises
    ------
    TrainingError
        If all trials diverged. Their curves are left in `.ripen/`.
    """
    with (
        SweepRuns(study, settings, plots.PALETTE) as runs,
        progress(f"sweep {study.sweep.name}", study.count) as advance,
    ):
        shown = 0

        def callback(store: Store, finished: list[FinishedTrial]) -> None:
            nonlocal shown
            runs.log(store, finished, now=len(finished) == study.count)
            if len(finished) > shown:
                last = finished[-1]
                advance(f"trial {last.index} {last.result.ended}", len(finished) - shown)
                shown = len(finished)

        store = Store(study, settings.study, repository_root())
        finished = run_study(store, settings.launcher, callback)
        sweep_tables.write(folder, study, finished)
        draw(folder, study, finished)
        runs.parent.log_artifacts(folder, "sweep")
    if all(one.result.ended == "diverged" for one in finished):
        if folder != kept(study):  # DVC keeps no outputs of a stage that fails
            shutil.copytree(folder, kept(study), dirs_exist_ok=True)
        raise TrainingError(
            f"all {len(finished)} trials of '{study.sweep.name}' diverged: their curves are in "
            f"{kept(study)}. Try smaller learning rates"
        )
    return finished


def draw(folder: Path, study: Study, finished: Sequence[FinishedTrial]) -> None:
    """Write a sweep's figures into the folder's `figures/`."""
    trials = sweep_tables.trials(study, finished)
    curves = sweep_tables.curves(finished, study.sweep.curve_points)
    drawn = folder / "figures"
    drawn.mkdir(exist_ok=True)
    for name, figure in sweep_figures.figures(trials, curves, study.space.axes):
        plots.save(figure, drawn / f"{name}.svg")


def kept(study: Study) -> Path:
    """Return the folder of a sweep that is no stage of DVC."""
    folder = repository_root() / ".ripen" / "sweeps" / study.competition_name / study.sweep.name
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


# --- The command `ripen sweep` -------------------------------------------------------------------


def show(
    name: str,
    run_values: dict[str, Any],
    values: dict[str, Any],
    confirm: Callable[[int], bool],
) -> None:
    """Run a sweep; print its best trials, and how to train with the best settings.

    Parameters
    ----------
    name : str
        The competition.
    run_values, values : dict
        From `ripen.learn.sweeps.space.compose`.
    confirm : callable
        Returns whether so many trials may begin.

    Raises
    ------
    ConfigError
        If a setting is not allowed, or `params.yaml` does not hold the competition.
    """
    settings = run_of(run_values, CONF)
    chosen, _ = pool(name, values, named=())
    competition = complete(name, chosen, f"{CONF}/competition/{name}.yaml")
    load_competition(name)  # its data is prepared by the stages that params.yaml has
    study = define(name, competition, confirm)
    folder = kept(study)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    finished = sweep(study, settings, folder)
    console = terminal.console()
    console.print(table(study, finished))
    console.print(f"curves and figures: {folder}", soft_wrap=True)
    best = sweep_tables.best(study, finished)["settings"]
    if not best:
        console.print("no best: the trials differ in the seed alone, or were pruned", markup=False)
        return
    written = " ".join(f"{key}={value}".replace(" ", "") for key, value in best.items())
    console.print(f"best by validation: {written}", soft_wrap=True, markup=False)
    console.print(f"train it: {training(name, best)}", soft_wrap=True, markup=False)


def table(study: Study, finished: Sequence[FinishedTrial]) -> Table:
    """Return the table of the best trials, the lowest validation loss first."""
    rows = sweep_tables.trials(study, finished).sort_values("validation_loss", kind="stable")
    shown = Table(title=f"{study.competition_name}: {study.sweep.name}, {len(rows)} trials")
    names = ["trial", *(axis.key for axis in study.space.axes)]
    for name in (*names, "ended", "validation loss", "validation accuracy"):
        shown.add_column(name, justify="left" if name == "ended" else "right")
    for _, row in rows.head(SHOWN).iterrows():
        shown.add_row(
            *(_short(row[name]) for name in names),
            f"{row.ended} at {row.iterations}",
            f"{row.validation_loss:.4f}",
            f"{row.validation_accuracy:.4f}",
        )
    return shown


def training(name: str, best: dict[str, Any]) -> str:
    """Return the command that trains a competition's net with the best settings."""
    words = ["ripen run"]
    if name not in read(CONF / "config.yaml")["competitions"]:
        words.append(f"'competitions=[{name}]'")
    for key, value in best.items():
        # A group has no place inside the model: its file is chosen for the competition.
        place = "" if (CONF / key).is_dir() else f"models.{SWEPT}."
        words.append(f"competition.{name}.{place}{key}={value}".replace(" ", ""))
    return " ".join(words)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
