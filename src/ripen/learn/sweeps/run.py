"""Running a sweep: claim trials, have them run, keep how they ended; until all have."""

import time
from collections.abc import Callable
from pathlib import Path

from ripen.core.errors import TrainingError
from ripen.learn.sweeps.launchers import Runs, launcher
from ripen.learn.sweeps.outcome import Finished, Outcome
from ripen.learn.sweeps.plan import Plan
from ripen.learn.sweeps.store import Claim, Store
from ripen.learn.sweeps.trial import Job, stacks
from ripen.settings.schema.sweep import Launcher, Study

ATTEMPTS = 3  # of a trial whose worker was lost
POLL = 0.5  # seconds, while others run what is left

Listener = Callable[[Store, list[Finished]], None]


def run(
    plan: Plan, study: Study, launching: Launcher, prepared: Path, listener: Listener
) -> list[Finished]:
    """Run all trials of a sweep that have not ended yet.

    Parameters
    ----------
    plan : Plan
    study : Study
        Where they are kept.
    launching : Launcher
        Who runs them.
    prepared : Path
        Folder of the prepared parts.
    listener : callable
        Is given the store and the finished trials after each change.

    Returns
    -------
    list of Finished
        All trials, in their order.

    Raises
    ------
    StoreError
        If the store cannot be read or written; what has ended is kept.
    TrainingError
        If a trial's worker is lost again and again.
    """
    with Store(study, plan) as store:
        while True:
            claims = store.claim(1)
            if claims:
                _work(store, plan, launching, prepared, claims, listener)
            finished = store.finished()
            listener(store, finished)
            if len(finished) == plan.count:
                return finished
            time.sleep(POLL)


def _work(
    store: Store,
    plan: Plan,
    launching: Launcher,
    prepared: Path,
    claims: list[Claim],
    listener: Listener,
) -> None:
    """Run trials as long as there are any to claim."""
    runs = launcher(launching, prepared, stacks=stacks(plan.config, plan.competition))
    running: dict[int, Claim] = {}
    lost: dict[int, int] = {}
    try:
        while claims or running:
            for claim in claims:
                running[claim.id] = claim
                runs.submit(claim.id, _job(plan, claim))
            for trial, outcome in runs.done():
                _ended(store, plan, runs, running, lost, trial, outcome)
            listener(store, store.finished())
            claims = store.claim(runs.room) if runs.room else []
    finally:
        runs.close()


def _ended(
    store: Store,
    plan: Plan,
    runs: Runs,
    running: dict[int, Claim],
    lost: dict[int, int],
    trial: int,
    outcome: Outcome | None,
) -> None:
    """Keep an outcome; begin a trial again whose worker was lost."""
    claim = running[trial]
    if outcome is not None:
        store.finish(claim, outcome)
        del running[trial]
        return
    lost[trial] = lost.get(trial, 0) + 1
    if lost[trial] == ATTEMPTS:
        raise TrainingError(
            f"trial {claim.index} ({claim.settings}) lost its worker {ATTEMPTS} times: is "
            "there too little memory? The finished ones are kept. Choose fewer launcher.workers"
        )
    runs.submit(trial, _job(plan, claim))


def _job(plan: Plan, claim: Claim) -> Job:
    config = plan.trial_config(claim.settings)
    return Job(config, plan.competition, plan.sweep.pruner, claim.history)
