"""Running a sweep for those who look on: progress, MLflow, a table, and what to do next."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ripen.core.atomic import write_text
from ripen.core.errors import TrainingError
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.judge import plots
from ripen.learn.sweeps import results
from ripen.learn.sweeps.outcome import Finished
from ripen.learn.sweeps.pictures import lines, pictures
from ripen.learn.sweeps.plan import Plan
from ripen.learn.sweeps.run import run
from ripen.learn.sweeps.runs import SweepRuns
from ripen.learn.sweeps.store import Store
from ripen.track.experiments import repository_root

SHOWN = 10  # trials in the table


def swept(plan: Plan, folder: Path) -> list[Finished]:
    """Run what is left of a sweep, and leave its tables in a folder.

    Raises
    ------
    TrainingError
        If all trials diverged; their curves are left in `.ripen/`.
    """
    with (
        SweepRuns(plan) as runs,
        progress(f"sweep {plan.sweep.name}", plan.count) as advance,
    ):
        shown = 0

        def listener(store: Store, finished: list[Finished]) -> None:
            nonlocal shown
            runs.log(store, finished, now=len(finished) == plan.count)
            last = finished[-1] if finished else None
            if len(finished) > shown and last:
                advance(f"trial {last.index} {last.outcome.ended}", len(finished) - shown)
                shown = len(finished)

        layout = Layout(plan.competition)
        launcher = plan.config.launcher
        finished = run(plan, plan.config.study, launcher, layout.prepared, listener)
        results.write(folder, plan, finished)
        draw(folder, plan, finished)
        runs.parent.log_artifacts(folder, "sweep")
    if all(one.outcome.ended == "diverged" for one in finished):
        if folder != kept(plan):  # DVC keeps nothing of a stage that fails
            shutil.copytree(folder, kept(plan), dirs_exist_ok=True)
        raise TrainingError(
            f"all {len(finished)} trials of '{plan.sweep.name}' diverged: their curves are in "
            f"{kept(plan)}. Try smaller learning rates"
        )
    return finished


def draw(folder: Path, plan: Plan, finished: Sequence[Finished]) -> None:
    """Leave a sweep's pictures in `pictures/`, and the lines that DVC draws beside the tables."""
    trials = results.trials(plan, finished)
    curves = results.curves(finished, plan.sweep.curve_points)
    drawn = folder / "pictures"
    drawn.mkdir(exist_ok=True)
    for name, figure in pictures(trials, curves, plan.space.axes):
        plots.save(figure, drawn / f"{name}.svg")
    for name, line in lines(trials, curves):
        write_text(folder / f"{name}.csv", line.to_csv(index=False, lineterminator="\n"))


def kept(plan: Plan) -> Path:
    """Return the folder of a sweep that no stage of DVC keeps."""
    folder = repository_root() / ".ripen" / "sweeps" / plan.competition / plan.sweep.name
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def show(plan: Plan) -> None:
    """Run a sweep; print its best trials, and what to do with the best."""
    folder = kept(plan)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    finished = swept(plan, folder)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table(plan, finished))
    console.print(f"curves and pictures: {folder}", soft_wrap=True)
    best = results.best(plan, finished)
    if not best["settings"]:
        console.print(
            "no best: the trials differ in the seed alone, or were cut short", markup=False
        )
        return
    settings = " ".join(
        f"{key}={value}".replace(" ", "") for key, value in best["settings"].items()
    )
    console.print(f"best by validation: {settings}", soft_wrap=True, markup=False)
    if plan.competition == "avocado":
        console.print(f"train it: ripen run {settings}", soft_wrap=True, markup=False)


def table(plan: Plan, finished: Sequence[Finished]) -> Table:
    """Return the table of the best trials, the lowest validation log loss first."""
    rows = results.trials(plan, finished).sort_values("validation_loss", kind="stable")
    shown = Table(title=f"{plan.competition}: {plan.sweep.name}, {len(rows)} trials")
    names = ["trial", *(axis.key for axis in plan.space.axes)]
    for name in (*names, "ended", "validation log loss", "validation accuracy"):
        shown.add_column(name, justify="left" if name == "ended" else "right")
    for _, row in rows.head(SHOWN).iterrows():
        shown.add_row(
            *(_short(row[name]) for name in names),
            f"{row.ended} at {row.iterations}",
            f"{row.validation_loss:.4f}",
            f"{row.validation_accuracy:.4f}",
        )
    return shown


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
