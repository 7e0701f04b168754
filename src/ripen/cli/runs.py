"""Commands of a run: compose, run, leaderboard, find, sweep, ui."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from ripen.cli import budget, lanes, live
from ripen.cli.command import command, count, known, one_competition, overrides, port
from ripen.cli.submitting import refresh, show_submissions
from ripen.core import lineage, warm
from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError
from ripen.core.locks import hold
from ripen.core.repository import git
from ripen.learn.sweeps.space import SWEPT
from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.settings.schema import Competition
from ripen.stages.__main__ import WARM

RUNNING = Path(".ripen") / "run.lock"  # held while a run is at work
CHANGES, NONE = 10, object()  # settings that are named; what a missing one is compared as
LOCK = Path("dvc.lock")
SOURCES = os.pathsep.join(("src", "packages/caffe/src"))  # as in the commands of dvc.yaml
EACH = 2 << 30  # bytes that a stage may need
WRITTEN = ("params.yaml", "dvc.lock", "metrics")  # by a run, and tracked by git


@command(
    "compose",
    "compose",
    "compose solver.base_lr=0.05",
    "compose 'competitions=[digits]'",
    arguments=overrides,
)
def compose(chosen: argparse.Namespace) -> int:
    """Write params.yaml from conf/: you edit conf/, the stages read params.yaml."""
    with _alone():
        _compose(chosen)
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other run change params.yaml while this one reads it.

    Raises
    ------
    DataError
        If another runs.
    """
    busy = "another `ripen run` is at work in this folder. Wait for it, or work in another clone"
    with hold(RUNNING, DataError(busy)):
        yield


def _compose(chosen: argparse.Namespace) -> None:
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.stages import settings

    values, notes = settings.compose(chosen.overrides)
    before = _settings()
    write_text(config.PARAMS, yaml_files.dump(values))
    for note in notes:
        print(f"note: {note}")
    for line in changes(before, _settings()):
        print(line)


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """Return what differs between two versions of params.yaml, for a reader."""
    if before is None or after is None:
        return [f"{config.PARAMS}: written"]
    here, there = _competitions(before), _competitions(after)
    came_or_went = {
        name: name in there for name in [*here, *there] if (name in here) != (name in there)
    }
    lines = [
        f"  {key}: {_shown(before, key)} -> {_shown(after, key)}"
        for key in dict.fromkeys([*before, *after])
        # `graph` follows from the others, and a competition has a hundred settings.
        if not key.startswith("graph.")
        and before.get(key, NONE) != after.get(key, NONE)
        and _competition(key) not in came_or_went
    ]
    lines += [
        f"  competition.{name}: {'added' if came else 'taken out'}"
        for name, came in came_or_went.items()
    ]
    if not lines:
        return [f"{config.PARAMS}: unchanged" if before == after else f"{config.PARAMS}: written"]
    more = [f"  and {len(lines) - CHANGES} more: git diff {config.PARAMS}"][: len(lines) > CHANGES]
    return [f"{config.PARAMS}: changed", *lines[:CHANGES], *more]


def _competition(key: str) -> str:
    """Return the competition that a dotted key belongs to; "" if none."""
    first, _, rest = key.partition(".")
    return rest.partition(".")[0] if first == "competition" else ""


def _competitions(values: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys(map(_competition, values)) if name]


def _settings() -> dict[str, Any] | None:
    """Return the settings of params.yaml by dotted key; None if it is missing or broken."""
    try:
        return dict(lineage.leaves(yaml_files.read(config.PARAMS)))
    except ConfigError:
        return None


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not set"


def _run_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    overrides(parser, here)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show DVC's full output, one stage at a time"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=count,
        default=max(1, min(os.cpu_count() or 1, psutil.virtual_memory().total // EACH)),
        metavar="N",
        help="stages that run at once (default: one for each core and 2 GiB of memory)",
    )


@command(
    "run",
    "run",
    "run 'competitions=[avocado]' solver.base_lr=0.01",
    "run competition.digits.solver.max_iter=60",
    arguments=_run_arguments,
)
def run(chosen: argparse.Namespace) -> int:
    """Run every stage that has changed, from files to submission, and show the results."""
    with _alone():
        return _run(chosen)


def _run(chosen: argparse.Namespace) -> int:
    started = time.monotonic()
    _compose(chosen)
    _drop_broken_lock(LOCK)
    with warm.process(WARM, _environment()) as environment:
        return _repro(chosen, started, environment)


def _repro(chosen: argparse.Namespace, started: float, environment: Mapping[str, str]) -> int:
    limit, loaded, before = config.load_run().budget, _loaded(), _text(LOCK)
    jobs = max(1, chosen.jobs // max(competition.threads for competition in loaded.values()))
    spending = budget.Spending(limit, started, environment, jobs=jobs) if limit else None
    if spending:
        for step in (budget.models, budget.blends):
            if left_out := step(spending):
                chosen.overrides = [*chosen.overrides, *left_out]
                _compose(chosen)
                loaded = _loaded()
    competitions, dvc = list(loaded), [sys.executable, "-m", "dvc"]
    graph = yaml_files.read(config.PARAMS)["graph"]
    stages, targets = list(lineage.stages()), list[str]()
    if spending:  # a report is written if there is time when all else is done
        targets = stages = [stage for stage in stages if not stage.startswith("report@")]
    if chosen.verbose:
        code = subprocess.run([*dvc, "repro", *targets], env=environment).returncode
    else:
        costs = {unit.stage: unit.cost for unit in budget.units(loaded, graph)}
        times = live.read_times(live.TIMES)
        # DVC takes two seconds to tell, and a clone's first run has nothing yet.
        due = budget.changed(stages, environment) if times else set(stages)
        phases = lanes.phases(stages, due, graph, competitions, jobs, times, costs)
        code = live.repro(Console(), stages, phases, _dvc, environment)
        after = _text(LOCK)
        if after != (ordered := lanes.ordered(after, before, stages)):
            write_text(LOCK, ordered)
    if spending and not code:
        budget.reports(spending)
    if not code:
        code = _show(competitions)
        _say_next(loaded)
    if changed := _changed():
        print(f"These files that git tracks differ from the last commit: {' '.join(changed)}")
        print(f"To go back: git checkout {' '.join(changed)} && .venv/bin/dvc checkout")
        print("To keep the settings: write them into conf/, then ripen compose, and commit")
    return code


def _loaded() -> dict[str, Competition]:
    """Return the competitions of params.yaml."""
    return {name: config.load_competition(name) for name in config.load_run().competitions}


def _dvc(phase: lanes.Phase, stages: Sequence[str]) -> list[str]:
    """Return DVC's command for the stages of a lane."""
    return [*live.REPRO, *(["--single-item", *stages] if phase.alone else lanes.targets(stages))]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _say_next(competitions: Mapping[str, Competition]) -> None:
    """Print the two commands that come next, most likely."""
    print("next:")
    print("  .venv/bin/ripen ui   # browse the runs")
    for name, competition in competitions.items():
        if competition.source.get("kaggle"):
            print(f"  .venv/bin/ripen submit {name} --dry-run   # check what would be sent")
            return
    first, competition = next(iter(competitions.items()))
    if SWEPT in competition.models:
        print(f"  .venv/bin/ripen sweep {first}   # try other settings of its net")
    else:
        print(f"  .venv/bin/ripen serve {first}   # ask its model")


def _changed() -> list[str]:
    """Return the tracked files that a run writes and that differ from the last commit."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *WRITTEN)
    return [line[3:] for line in changed.splitlines()]


def _leaderboard_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "competition", nargs="?", metavar="COMPETITION", help="default: those of the last run"
    )
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="first ask Kaggle for new scores, and how many submissions are left",
    )


@command(
    "leaderboard",
    "leaderboard",
    "leaderboard avocado",
    "leaderboard titanic --refresh",
    arguments=_leaderboard_arguments,
)
def leaderboard(chosen: argparse.Namespace) -> int:
    """Show a competition's models, best first, and its submissions."""
    one = chosen.competition
    competitions = [known(one)] if one else config.load_run().competitions
    if chosen.refresh:
        refresh(competitions, every=one is None)
    return _show(competitions)


def _show(competitions: Sequence[str]) -> int:
    # Importing MLflow takes a second, which `ripen compose` need not wait.
    from ripen.judge import terminal
    from ripen.track import experiments

    run = config.load_run()
    for competition in competitions:
        terminal.show(competition, experiments.training_seconds(run, competition))
        show_submissions(competition)
    return 0


def _find_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument("name", metavar="NAME", help="a DVC experiment, or the id of an MLflow run")


@command("find", "find pappy-good", arguments=_find_arguments)
def find(chosen: argparse.Namespace) -> int:
    """Find the MLflow runs of a DVC experiment, or the experiments of a run."""
    from ripen.track import experiments

    run = config.load_run()
    found = experiments.find(run, chosen.name)
    if not found:
        raise DataError(
            f"'{chosen.name}' is neither a DVC experiment with a run in MLflow nor a run's id. "
            "See: dvc exp list, ripen ui"
        )
    for one in found:
        names = " ".join(experiments.experiments_of(run, one)) or "none (dvc repro)"
        print(f"run {one.info.run_id}  {one.info.run_name}  DVC experiments: {names}")
    return 0


def _ui_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument("--port", type=port, default=5000, help="default: %(default)s")
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the addresses"
    )


@command("ui", "ui", "ui --port 5001 --no-browser", arguments=_ui_arguments)
def ui(chosen: argparse.Namespace) -> int:
    """Open MLflow on the runs."""
    print("starting MLflow's server, which takes some seconds", flush=True)
    # Importing MLflow takes a second, which the other commands need not wait.
    from ripen.track import ui as pages

    return pages.run(config.load_run(), chosen.port, browser=chosen.browser)


def _sweep_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    one_competition(parser, here)
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="settings, or another sweep: sweep=nodes"
    )
    parser.add_argument(
        "-m", "--multirun", nargs="*", metavar="KEY=V1,V2", help="what varies, in Hydra's syntax"
    )
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask, however many trials there are"
    )


@command(
    "sweep",
    "sweep avocado",
    "sweep avocado sweep=nodes",
    "sweep avocado -m solver.base_lr=0.01,0.1 'net.hidden_layers=[4],[8,8]'",
    arguments=_sweep_arguments,
)
def sweep(chosen: argparse.Namespace) -> int:
    """Train a competition's net with many settings, and show which are best."""
    from ripen.core import reproducibility
    from ripen.learn.sweeps import space

    name = chosen.competition
    run, competition = space.compose(name, chosen.overrides, chosen.multirun)
    reproducibility.hold(competition["reproducibility"], competition["threads"])
    # Only now: the stage imports numpy and torch, which read their environment once.
    from ripen.stages import sweep as stage

    stage.show(name, run, competition, (lambda trials: True) if chosen.yes else _confirmed)
    return 0


def _confirmed(trials: int) -> bool:
    """Ask whether so many trials may begin; on no terminal the answer is no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input(f"{trials:,} trials. Train them all? [y/N] ").strip().lower() == "y"
    except EOFError:  # Ctrl-D
        return False


def _drop_broken_lock(lock: Path) -> None:
    """Remove a lock file that a killed DVC left truncated; DVC's run cache restores its entries."""
    try:
        whole = not lock.exists() or "schema" in yaml_files.read(lock)
    except ConfigError:
        whole = False
    if not whole:
        lock.unlink()
        print(f"{lock} was truncated and is written anew")


def _environment() -> dict[str, str]:
    """Return an environment whose `python` is this one, as the stages' commands expect."""
    here = Path(sys.executable).parent
    path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": path, "PYTHONPATH": SOURCES}
