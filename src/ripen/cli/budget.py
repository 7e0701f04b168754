"""A run's budget: models are fitted, the cheapest first, as long as time is left.

Those that read nothing but the prepared table go side by side on the cores. Then come the blends,
if they leave time for the submissions, the submissions in any case, and the reports at last. DVC
still runs every stage, and no stage knows of the clock. A model or a blend that is not finished in
time is left out of the settings, as if the user had set it to null.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from ripen.cli.live import REPRO, TIMES, read_times, stop, write_times
from ripen.core.errors import DataError
from ripen.core.layout import BLEND, Layout
from ripen.core.lineage import MODELS
from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.settings.schema import Competition

LATER = ("blend", "evaluate", "predict", "report")  # stages that come after the models
RESERVE, LEAST = 0.1, 25.0  # share of the budget, or seconds a competition, kept for them
STAGES = 4.0  # they take as long as so many of the quickest stages
PREPARED = "inputs/prepared"  # what most models of a table read, as `graph` of params.yaml says
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(budget: str) -> float:
    """Return a budget in seconds.

    >>> [seconds(text) for text in ("90s", "1.5m", "2h")]
    [90.0, 90.0, 7200.0]
    """
    return float(budget[:-1]) * UNITS[budget[-1]]


@dataclass(frozen=True)
class Unit:
    """What a budget may leave out: a model, the sweep of a competition's net, a blend, a report.

    Attributes
    ----------
    competition : str
    name : str
        The model; "" for a sweep, a blend or a report.
    stage : str
        As DVC names it.
    cost : float
        About how long it takes, compared with others.
    apart : bool
        Whether it reads what `prepare` has written and nothing else, so that it may run beside
        others.
    """

    competition: str
    name: str
    stage: str
    cost: float = 1.0
    apart: bool = False


def units(
    competitions: Mapping[str, Competition], graph: Mapping[str, Mapping[str, Any]]
) -> list[Unit]:
    """Return what may be left out, in the order in which it is run.

    First one model of each competition: the one to be submitted, or the cheapest. Then all others,
    the cheapest first, and the sweeps.
    """
    found = []
    for name, competition in competitions.items():
        stages = {
            model: next(s for s in MODELS if f"{name}.{model}" in graph[s])
            for model in competition.models
        }
        own = [
            Unit(
                name,
                model,
                f"{stages[model]}@{name}.{model}",
                cost(competition, model),
                graph[stages[model]][f"{name}.{model}"].get("reads") == PREPARED,
            )
            for model in competition.models
        ]
        chosen = competition.predict.model if competition.predict else "best"
        own.sort(key=lambda unit: (unit.name != chosen, unit.cost))
        found += [(0 if place == 0 else 1, unit.cost, unit) for place, unit in enumerate(own)]
        if name in graph["sweep"]:
            found.append((2, 0.0, Unit(name, "", f"sweep@{name}", 50.0)))
    return [unit for *_, unit in sorted(found, key=lambda each: each[:2])]


def cost(competition: Competition, model: str) -> float:
    """Return about how long a model takes, compared with others: its fits, by its estimator."""
    # Only here: numpy reads its environment once, and other commands have to set it first.
    from ripen.learn import pseudo_labels
    from ripen.learn.estimator import estimator

    own = estimator(competition.models[model], model)
    validation = competition.validation
    folds = own.folds or validation.get("folds", 1) * validation.get("repeats", 1)
    each = (own.seeds or 1) * (2 if pseudo_labels.of(competition, model) else 1)
    if own.tune:
        each += (own.tune.trials + 1) * own.tune.folds
    return float(own.cost * each * (folds + 1))


def guess(unit: Unit, known: Mapping[str, float], done: list[tuple[float, float]]) -> float:
    """Return how many seconds a unit takes at least, 0 where nothing is known.

    Parameters
    ----------
    unit : Unit
    known : mapping of str to float
        Seconds of each stage when it last ran.
    done : list of (float, float)
        Cost and seconds of this run's units.
    """
    if unit.stage in known:
        return known[unit.stage]
    if not done:
        return 0.0
    start = min(took for _, took in done)  # most of it goes into starting a process
    rate = sum(took - start for _, took in done) / sum(each for each, _ in done)
    return start + rate * unit.cost


Dvc = Callable[[Unit, float], float | None]


def spend(
    every: Sequence[Unit],
    known: dict[str, float],
    left: Callable[[bool], float],
    dvc: Dvc,
    ready: Collection[str] = (),
    jobs: int = 1,
) -> dict[Unit, str]:
    """Run units while time is left; return those left out, with the reason.

    Parameters
    ----------
    every : sequence of Unit
    known : dict of str to float
        As `guess` takes it; gets the times of this run.
    left : callable
        Returns the seconds that are left for a unit. Its argument is True for a competition's first
        model, without which there is no submission: then no time is kept for later stages.
    dvc : callable
        Runs a unit within some seconds, and returns how many it took, 0 if there was nothing to
        do; None if it was stopped.
    ready : collection of str
        Stages that have nothing to do, and take no time.
    jobs : int
        How many units at once, of those that may run beside others.

    Raises
    ------
    DataError
        If not one model of some competition was finished.
    """
    progress, begun = _Progress(known), set[str]()
    pool = ThreadPoolExecutor(jobs)
    try:
        for unit in every:
            if unit.stage in ready:
                begun.add(unit.competition)
                continue
            progress.wait_until(jobs - 1 if unit.apart else 0)
            first = unit.name != "" and unit.competition not in begun
            needed, limit = guess(unit, known, progress.done), left(first)
            if limit <= 0 or (needed > limit and not first):
                about = f", about {needed:.0f} s" if needed else ""
                progress.leave_out(unit, first, f"not begun{about}")
                continue
            begun |= {unit.competition} if unit.name else set()
            progress.running[pool.submit(dvc, unit, limit)] = unit, first
            progress.wait_until(jobs if unit.apart else 0)
        progress.wait_until(0)
    finally:  # after an error others may run still, which the caller ends
        pool.shutdown(wait=False, cancel_futures=True)
    return {unit: progress.undone[unit] for unit in every if unit in progress.undone}


@dataclass
class _Progress:
    """Units that run, those that have run, with their cost and seconds, and those left out."""

    known: dict[str, float]
    running: dict[Future[float | None], tuple[Unit, bool]] = field(default_factory=dict)
    done: list[tuple[float, float]] = field(default_factory=list)
    undone: dict[Unit, str] = field(default_factory=dict)

    def leave_out(self, unit: Unit, first: bool, reason: str) -> None:
        self.undone[unit] = reason
        if first:
            raise DataError(
                f"the budget is too short for one model of {unit.competition} ({unit.name}: "
                f"{reason}). Give more, or take preset=fast. What is done is kept"
            )

    def wait_until(self, few: int) -> None:
        """Wait until no more than so many units run."""
        while len(self.running) > few:
            for future in wait(self.running, return_when=FIRST_COMPLETED).done:
                unit, first = self.running.pop(future)
                if (took := future.result()) is None:
                    self.leave_out(unit, first, "stopped")
                elif took:
                    self.known[unit.stage] = took
                    self.done.append((unit.cost, took))


def without(undone: Mapping[Unit, str], competitions: Mapping[str, Competition]) -> list[str]:
    """Return the overrides that leave units out of the settings."""
    found = []
    for unit in undone:
        place = f"competition.{unit.competition}."
        found.append(f"{place}models.{unit.name}=null" if unit.name else f"{place}sweep=null")
    for name, competition in competitions.items():
        lost = {unit.name for unit in undone if unit.competition == name}
        sections = {
            "blend": (competition.blend, 2),
            "pseudo_labels": (competition.pseudo_labels, 1),
        }
        for key, (section, least) in sections.items():
            named = (section and section.models) or ()
            if lost & set(named):
                rest = [model for model in named if model not in lost]
                place = f"competition.{name}.{key}"
                many = len(rest) >= least
                found.append(f"{place}.models=[{','.join(rest)}]" if many else f"{place}=null")
    return found


@dataclass
class Spending:
    """A budget that is being spent.

    Attributes
    ----------
    budget : str
        As in params.yaml.
    started : float
        When the run began, by `time.monotonic`.
    environment : mapping
        Of DVC.
    known : dict of str to float
        Seconds of each stage when it last ran; gets the times of this run.
    quickest : float
        Seconds of the quickest stage of this run: on a busy machine each takes long to start.
    jobs : int
        Stages at once.
    """

    budget: str
    started: float
    environment: Mapping[str, str]
    known: dict[str, float] = field(default_factory=lambda: read_times(TIMES))
    quickest: float = math.inf
    jobs: int = 1
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.started + seconds(self.budget) - time.monotonic()

    def expected(self, stages: Collection[str]) -> float:
        """Return about how long stages take, on the safe side; 0 where nothing is known."""
        new = self.quickest if math.isfinite(self.quickest) else 0.0
        return 1.2 * sum(self.known.get(stage, new) for stage in stages)

    def dvc(self, unit: Unit, limit: float) -> float | None:
        """Run a unit, and say what it took (`Dvc`): with all before it, unless it runs apart.

        Raises
        ------
        DataError
            If it fails. What it has printed is shown.
        """
        took = self._repro(unit, limit)
        spent = seconds(self.budget) - self.left()
        said = "stopped" if took is None else f"{took:.0f} s" if took else "unchanged"
        what = f"{unit.stage}: {said}"
        print(f"budget: {spent:.0f} s of {seconds(self.budget):.0f} s: {what}", flush=True)
        self.quickest = min(self.quickest, took or math.inf)
        return took

    def _repro(self, unit: Unit, limit: float) -> float | None:
        start = time.monotonic()
        command = [*REPRO, *["--single-item"] * unit.apart, unit.stage]
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=output,
                start_new_session=True, text=True,
            )  # fmt: skip
            self.running.append(process)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                stop(process)
                return None
            finally:
                self.running.remove(process)
            output.seek(0)
            said = output.read()
            if code:
                sys.stderr.write(said)
                raise DataError(f"{unit.stage} failed. What is done is kept")
        return time.monotonic() - start if f"Running stage '{unit.stage}'" in said else 0.0

    def spend(
        self, every: Sequence[Unit], left: Callable[[bool], float], ready: Collection[str]
    ) -> dict[Unit, str]:
        """Run units while time is left (`spend`); keep their times, and leave none running."""
        try:
            return spend(every, self.known, left, self.dvc, ready, self.jobs)
        finally:
            for process in [*self.running]:
                stop(process)
            write_times(self.known, TIMES)


def models(spending: Spending) -> list[str]:
    """Fit the models of params.yaml within a budget; return the overrides that leave out the rest.

    Raises
    ------
    DataError
        If it is too short for one model of some competition, or if a model cannot be fitted.
    """
    values, competitions = _settings()
    known = spending.known
    tails = [f"{stage}@{name}" for stage in LATER for name in values["graph"].get(stage, {})]
    usual = sum(known.get(stage, 0.0) for stage in tails) * 1.2
    least = max(RESERVE * seconds(spending.budget), LEAST * len(competitions))

    def left(all: bool) -> float:
        quickest = spending.quickest
        start = STAGES * len(competitions) * quickest if math.isfinite(quickest) else 0.0
        return spending.left() - (0.0 if all else usual or max(least, start))

    for name in competitions:  # or the time of the first model would hold all that comes before
        prepare = Unit(name, "", f"prepare@{name}")
        if left(True) <= 0 or spending.dvc(prepare, left(True)) is None:
            raise DataError(
                f"the budget {spending.budget} is too short to prepare {name}. Give more"
            )
    every = units(competitions, values["graph"])
    found = [unit.stage for unit in every]
    ready = set(found) - changed(found, spending.environment) if known else set[str]()
    undone = spending.spend(every, left, ready)
    for unit, reason in undone.items():
        what = f"model '{unit.name}'" if unit.name else "the sweep"
        print(f"note: {unit.competition}: {what} is left out: {reason}")
    if undone:
        print("note: the same command without the budget goes on with them")
    return without(undone, competitions)


def changed(stages: Sequence[str], environment: Mapping[str, str]) -> set[str]:
    """Return the stages that DVC does not find as an earlier run has left them.

    What follows from them may change as well. All stages, where DVC cannot tell.
    """
    # Of all: DVC reads dvc.lock anew for each stage that is named.
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return set(stages) if done.returncode else set(stages) & set(json.loads(done.stdout))


def blends(spending: Spending) -> list[str]:
    """Blend where there is time for it before the submission; return overrides for the others.

    The blend that is to be submitted (`predict.model`) is made in any case.
    """
    values, competitions = _settings()
    graph = values["graph"]
    optional = {
        f"{BLEND}@{name}": name
        for name in graph[BLEND]
        if not (predicts := competitions[name].predict) or predicts.model != BLEND
    }
    needed = [f"{stage}@{name}" for stage in ("evaluate", "predict") for name in graph[stage]]
    needed += [f"{BLEND}@{name}" for name in graph[BLEND] if f"{BLEND}@{name}" not in optional]
    undone = _finish(optional, spending, lambda: spending.left() - spending.expected(needed))
    return [f"competition.{optional[stage]}.blend=null" for stage in undone]


def reports(spending: Spending) -> None:
    """Write the reports for which there is time, after all else; no older one stays."""
    spending.known = read_times(TIMES)  # the run has written its own
    stages = {f"report@{name}": name for name in _settings()[0]["graph"]["report"]}
    for stage in _finish(stages, spending, spending.left):
        Layout(stages[stage]).report.unlink(missing_ok=True)


def _finish(stages: Mapping[str, str], spending: Spending, left: Callable[[], float]) -> list[str]:
    """Run stages that a submission can do without; note those left out, and return them."""
    if not stages:
        return []
    due = changed(list(stages), spending.environment) if spending.known else stages
    every = [Unit(name, "", stage) for stage, name in stages.items()]
    undone = spending.spend(every, lambda _: left(), set(stages) - set(due))
    for unit, reason in undone.items():
        print(f"note: {unit.competition}: the {unit.stage.partition('@')[0]} is left out: {reason}")
    if undone:
        print("note: the same command without the budget goes on with it")
    return [unit.stage for unit in undone]


def _settings() -> tuple[dict[str, Any], dict[str, Competition]]:
    """Return the values of params.yaml, and its competitions."""
    values = yaml_files.read(config.PARAMS)
    return values, {name: config.load_competition(name) for name in values["competition"]}
