"""Which stages of a run go side by side, in several processes of DVC's.

Competitions share no output, nor do the models of one. So each competition is prepared in a lane,
which is a process of DVC's; then all models are shared out to lanes; then each competition is
blended, evaluated and so on in a lane. The results and `dvc.lock` are those of a single process.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ripen.core.lineage import MODELS, competition_of
from ripen.learn.sweeps.space import SWEPT

ENTRY = re.compile(r"^(?=  \S)", re.MULTILINE)  # of a stage in dvc.lock
OF_NETS = ("features", "finetune")  # the stages that read a net of the zoo
LEVELS = (
    ("fetch", "generate"),
    ("prepare",),
    ("features", "colours"),
    ("sweep", *MODELS, "blend"),
    ("evaluate",),
    ("predict", "report"),
)
"""Kinds of a competition's stages: each depends on all before it, directly or not."""
AFTER = ("blend", "evaluate", "predict", "report")  # stages that no model waits for


@dataclass(frozen=True)
class Phase:
    """Stages that run before those of the next phase.

    Attributes
    ----------
    lanes : list of list of str
        The stages of each process.
    alone : bool
        Whether each stage runs without those that it depends on. A process of DVC's may not even
        look at these while another one reads what they wrote.
    """

    lanes: list[list[str]]
    alone: bool = False


def lanes(
    stages: Sequence[str], graph: Mapping[str, Any], competitions: Sequence[str], jobs: int
) -> list[list[str]]:
    """Share the stages of a run out to processes of DVC's.

    Those of a competition stay in one. So do all competitions that use nets of the zoo, whose
    weights are outputs that they share: DVC lets no process read what another one writes.

    Parameters
    ----------
    stages : sequence of str
        All of the run, from `ripen.core.lineage.stages`.
    graph : mapping
        `graph` of `params.yaml`.
    competitions : sequence of str
    jobs : int
        How many processes at most.

    Returns
    -------
    list of list of str
        The stages of each process. The first also has those that belong to no competition.
    """
    users = {item["competition"] for name in OF_NETS for item in graph[name].values()}
    apart = [[name] for name in competitions if name not in users]
    groups = [sorted(users), *apart] if users else apart
    found: list[list[str]] = [[] for _ in range(max(1, min(jobs, len(groups))))]
    place = {name: number % len(found) for number, group in enumerate(groups) for name in group}
    for stage in stages:
        found[place.get(competition_of(stage), 0)].append(stage)
    return found


def phases(
    stages: Sequence[str],
    changed: Collection[str],
    graph: Mapping[str, Any],
    competitions: Sequence[str],
    jobs: int,
    times: Mapping[str, float],
    costs: Mapping[str, float],
) -> list[Phase]:
    """Share the stages of a run out to processes of DVC's, so that models run side by side.

    Parameters
    ----------
    stages, graph, competitions
        As for `lanes`.
    changed : collection of str
        Stages that DVC finds changed. What follows from these runs too.
    jobs : int
        How many processes at most.
    times : mapping of str to float
        Seconds of the stages' last runs.
    costs : mapping of str to float
        About how long each model takes, compared with others: where it has not run yet.

    Returns
    -------
    list of Phase
        None if nothing has changed.
    """
    if not changed:
        return []
    whole = [Phase(lanes(stages, graph, competitions, jobs))]
    kinds = {stage: stage.partition("@")[0] for stage in stages}
    later = [stage for stage in stages if kinds[stage] in AFTER]
    units = _units([stage for stage in stages if kinds[stage] in (*MODELS, "sweep")])
    models = [stage for unit in units for stage in unit]
    before = [stage for stage in stages if stage not in models and stage not in later]
    anew = {competition_of(stage) for stage in before if stage in changed}
    if anew & {*graph["weights"]}:  # of a net that any competition may read
        anew = {*competitions}
    due = [u for u in units if any(s in changed or competition_of(s) in anew for s in u)]
    if jobs < 2 or len(due) < 2:
        return whole
    rate = median([times[s] / costs[s] for s in models if s in times] or [1.0])
    took = {stage: times.get(stage, costs[stage] * rate) for stage in models}
    shared: list[list[str]] = [[] for _ in range(min(jobs, len(due)))]
    for unit in sorted(due, key=lambda unit: -sum(took[stage] for stage in unit)):
        min(shared, key=lambda lane: sum(took[stage] for stage in lane)).extend(unit)
    return [
        Phase(lanes(before, graph, competitions, jobs)),
        Phase(shared, alone=True),
        Phase(lanes(later, graph, competitions, jobs)),
    ]


def _units(stages: Sequence[str]) -> list[list[str]]:
    """Return the stages that fit models, those that run in one lane together."""
    units = defaultdict[str, list[str]](list)
    for stage in stages:
        kind, _, key = stage.partition("@")
        if kind == "sweep":  # before the net that takes its best settings
            key = f"{key}.{SWEPT}"
        elif kind == "finetune":  # each takes gigabytes, and all cores
            key = kind
        units[key].append(stage)
    return [*units.values()]


def targets(stages: Sequence[str]) -> list[str]:
    """Return those of a lane's stages on which no other one depends: DVC runs the others for them.

    DVC reads `dvc.lock` anew for each stage that is named, which takes half a second.
    """
    levels = {kind: level for level, kinds in enumerate(LEVELS) for kind in kinds}
    own = {stage: levels.get(stage.partition("@")[0], 0) for stage in stages}
    last = defaultdict[str, int](int)
    for stage, level in own.items():
        name = competition_of(stage)
        last[name] = max(last[name], level)
    return [stage for stage, level in own.items() if level == last[competition_of(stage)]]


def ordered(lock: str, before: str, stages: Sequence[str]) -> str:
    """Return the text of dvc.lock with its entries as one process would have left them.

    Those that it had keep their places. New ones follow in the order of `stages`, and not in that
    of processes side by side.

    Parameters
    ----------
    lock, before : str
        After the run, and before it; "" of none.
    stages : sequence of str
        As for `lanes`.
    """
    head, *entries = ENTRY.split(lock)
    old = [entry.partition(":")[0].strip() for entry in ENTRY.split(before)[1:]]
    places = {name: place for place, name in enumerate(dict.fromkeys([*old, *stages]))}
    entries.sort(key=lambda entry: places.get(entry.partition(":")[0].strip(), len(places)))
    return "".join([head, *entries])
