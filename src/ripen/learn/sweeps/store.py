"""The store of trials: an Optuna study in a database, which any number of processes share.

A trial is claimed under a lock, so that two processes never run the same one, and stored the moment
it ends. A trial whose process no longer exists is claimed again: on this machine at once, elsewhere
after its heartbeat has stopped.
"""

import hashlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from ripen.core import stores
from ripen.core.addresses import hidden
from ripen.core.errors import StoreError, UsageError
from ripen.core.processes import gone, identity
from ripen.learn.sweeps.space import Settings
from ripen.learn.sweeps.study import Study, distributions, params
from ripen.learn.sweeps.trial import FinishedTrial, Result, pruned, thinned
from ripen.settings.schema import Study as StudySettings

HEARTBEAT = 20  # seconds; after three times as long without one a trial is free again
LIVE_POINTS = 10  # of a curve, as Optuna's own intermediate values
SUPPORTED = ("sqlite", "postgresql")


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that this process runs: its id in the store, its number, settings and hash.

    `history` are the results that its pruning compares it with.
    """

    id: int
    index: int
    settings: Settings
    key: str
    history: tuple[Result, ...]


class Store:
    """The store of one study.

    Parameters
    ----------
    study : Study
    settings : Study of the schema
        The address of the database.
    root : Path
        The repository, which holds the database that no address names.
    """

    def __init__(self, study: Study, settings: StudySettings, root: Path = Path()) -> None:
        self.study, self._timeout = study, settings.timeout
        self.uri = address(settings.uri, root)
        self._running: dict[int, ClaimedTrial] = {}
        self._read: dict[int, FinishedTrial] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        with speaking(self.uri), self.lock():
            self._rdb: RDBStorage = open_storage(self.uri, self._timeout, HEARTBEAT)
            self._storage = optuna.storages.get_storage(self._rdb)
            self._study_id = self._find_study()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            for trial in list(self._running.values()):
                self.release(trial)
        finally:
            self._rdb.engine.dispose()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock that all processes of the store share."""
        with locked(self.uri, self._timeout):
            yield

    def claim(self, most: int) -> list[ClaimedTrial]:
        """Claim trials to run, in their order; none where all are done, or wait for others.

        A trial that another sweep has run already is not claimed, but finished with that result.
        """
        claimed: list[ClaimedTrial] = []
        with speaking(self.uri), self.lock():
            self._free_the_lost()
            known, elsewhere = self._other_sweeps()
            trials = self._trials()
            done = {f.index: f for f in self._finished(trials)}
            known |= {f.key: f.result for f in done.values() if f.result.whole}
            busy = {_index(t) for t in trials if t.state == TrialState.RUNNING}
            first_open = next((i for i in range(self.study.count) if i not in done), None)
            index = first_open
            while index is not None and index < self.study.count and len(claimed) < most:
                if self.study.first_of_round(index) > (first_open or 0):
                    break  # an earlier round is not finished
                if index not in done and index not in busy:
                    found = self._next(index, done, known, elsewhere, claimed)
                    if found:
                        done[index] = found
                while first_open is not None and first_open in done:
                    first_open += 1
                index += 1
        return claimed

    def finish(self, trial: ClaimedTrial, result: Result) -> None:
        """Store a result, unless another process has claimed the trial meanwhile."""
        self._running.pop(trial.id, None)
        with speaking(self.uri):
            try:
                self._storage.set_trial_user_attr(trial.id, "result", result.dumps())
                self._close(trial.id, result)
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def release(self, trial: ClaimedTrial) -> None:
        """Give a trial back unfinished."""
        self._running.pop(trial.id, None)
        with speaking(self.uri):
            try:
                self._storage.set_trial_state_values(trial.id, TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def finished(self) -> list[FinishedTrial]:
        """Return the trials that have ended, in their order, each once."""
        with speaking(self.uri):
            ended = self._finished(self._trials())
        return sorted((f for f in ended if f.index < self.study.count), key=lambda f: f.index)

    def _find_study(self) -> int:
        try:
            return self._storage.get_study_id_from_name(self.study.name)
        except KeyError:
            study = self._storage.create_new_study([StudyDirection.MINIMIZE], self.study.name)
            self._storage.set_study_user_attr(study, "made_from", self.study.made_from)
            return study

    def _next(
        self,
        index: int,
        done: dict[int, FinishedTrial],
        known: dict[str, Result],
        elsewhere: set[str],
        claimed: list[ClaimedTrial],
    ) -> FinishedTrial | None:
        """Claim a trial; or return it finished, where its result is known."""
        study = self.study
        history = [done[i] for i in range(study.first_of_round(index))]
        settings = study.suggest(index, history)
        key = study.key(settings)
        results = tuple(past.result for past in history)
        if key in known:
            result = pruned(known[key], study.sweep.pruner, results)
            self._create(index, settings, key, result)
            return FinishedTrial(index, settings, key, result)
        # A sampler may draw the same settings twice: the second trial waits for the first.
        if key not in elsewhere and key not in {trial.key for trial in claimed}:
            trial = ClaimedTrial(self._create(index, settings, key), index, settings, key, results)
            self._running[trial.id] = trial
            claimed.append(trial)
        return None

    def _create(
        self, index: int, settings: Settings, key: str, result: Result | None = None
    ) -> int:
        """Write a trial into the study: running, or finished if it has a result."""
        space, values = self.study.space, {"index": index, "settings": settings, "key": key}
        new = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=params(space, settings),
            distributions=distributions(space),
            user_attrs=values
            | {"process": identity()}
            | ({"result": result.dumps()} if result else {}),
        )
        trial = self._storage.create_new_trial(self._study_id, new)
        if result:
            self._close(trial, result)
        else:
            self._rdb.record_heartbeat(trial)
        return trial

    def _close(self, trial: int, result: Result) -> None:
        if self.study.sweep.pruner.name != "none" and result.ended != "diverged":
            for point in thinned(result.curve, LIVE_POINTS):
                self._storage.set_trial_intermediate_value(
                    trial, point.iteration, point.validation_loss
                )
        if result.ended in ("pruned", "diverged") or result.best is None:
            self._storage.set_trial_state_values(trial, TrialState.PRUNED)
        else:
            values = [result.best.validation_loss]
            self._storage.set_trial_state_values(trial, TrialState.COMPLETE, values)

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _finished(self, trials: Sequence[FrozenTrial]) -> list[FinishedTrial]:
        return [
            self._read.get(trial._trial_id) or self._parsed(trial)
            for trial in trials
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        ]

    def _parsed(self, trial: FrozenTrial) -> FinishedTrial:
        values = trial.user_attrs
        result = Result.loads(values["result"])
        finished = FinishedTrial(_index(trial), values["settings"], values["key"], result)
        self._read[trial._trial_id] = finished
        return finished

    def _other_sweeps(self) -> tuple[dict[str, Result], set[str]]:
        """Return other sweeps' results of the same data and code, and the keys that they train."""
        known: dict[str, Result] = {}
        running: set[str] = set()
        for study in self._storage.get_all_studies():
            same = study.user_attrs.get("made_from") == self.study.made_from
            if not same or study._study_id == self._study_id:
                continue
            trials = self._storage.get_all_trials(study._study_id, deepcopy=False)
            known |= {f.key: f.result for f in self._finished(trials) if f.result.whole}
            alive = (t for t in trials if t.state == TrialState.RUNNING and not _gone(t))
            running |= {t.user_attrs["key"] for t in alive}
        return known, running

    def _free_the_lost(self) -> None:
        """Close trials whose process no longer exists, as failed if they have no result."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and _gone(trial):
                if "result" in trial.user_attrs:  # killed between the two writes of `finish`
                    self._close(trial._trial_id, Result.loads(trial.user_attrs["result"]))
                else:
                    self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental in Optuna
            study = optuna.load_study(study_name=self.study.name, storage=self._storage)
            optuna.storages.fail_stale_trials(study)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            for trial in list(self._running):
                with suppress(optuna.exceptions.StorageInternalError):  # the next one may succeed
                    self._rdb.record_heartbeat(trial)


def _gone(trial: FrozenTrial) -> bool:
    """Whether a running trial's process ran on this machine and no longer exists."""
    process = trial.user_attrs["process"]
    return gone(process["host"], process["pid"], float(process["started"]))


def _index(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["index"])


# --- The database --------------------------------------------------------------------------------


def address(uri: str | None, root: Path = Path()) -> str:
    """Return the address of the database as SQLAlchemy takes it.

    Raises
    ------
    UsageError
        If the kind of database is not supported, or its driver is not installed.
    """
    if uri is None:
        return f"sqlite:///{root.absolute() / '.ripen' / 'studies.db'}"
    scheme, _, rest = uri.partition("://")
    kind = scheme.partition("+")[0]
    if kind not in SUPPORTED or not rest:
        raise UsageError(
            f"study.uri is '{hidden(uri)}'. Allowed: sqlite:///FILE, postgresql://HOST/DATABASE"
        )
    if kind == "postgresql":
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise UsageError(
                "study.uri: PostgreSQL's driver is missing. Run: "
                ".venv/bin/pip install -e '.[postgresql]'"
            ) from None
        return f"postgresql+psycopg://{rest}"
    return uri


def open_storage(uri: str, timeout: int, heartbeat: int | None = None) -> RDBStorage:
    """Open the database, and make its tables if needed. The caller holds the lock.

    Without a heartbeat a trial is free again only when its owner releases it.
    """
    stores.make_whole(uri, lambda making: RDBStorage(making).engine.dispose())
    sqlite = uri.startswith("sqlite")
    connect = {"timeout": timeout} if sqlite else {"connect_timeout": max(timeout, 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = RDBStorage(
                uri,
                engine_kwargs={"connect_args": connect},
                heartbeat_interval=heartbeat,
                grace_period=heartbeat and 3 * heartbeat,
            )
        except RuntimeError as error:  # of its tables' version
            raise StoreError(stores.explained(uri, error)) from None
    if sqlite:
        sqlalchemy.event.listen(storage.engine, "connect", _fast)
        storage.engine.dispose()  # the connections that are open already lack it
    return storage


@contextmanager
def locked(uri: str, timeout: int) -> Iterator[None]:
    """Hold a lock on the database. It is released when its holder ends, however that happens.

    Raises
    ------
    StoreError
        If another process keeps it for longer than the timeout.
    """
    if uri.startswith("sqlite"):
        file = Path(str(make_url(uri).database).removeprefix("file:"))
        with stores.file_lock(uri, file.with_name(f"{file.name}.lock"), timeout):
            yield
        return
    key = int.from_bytes(hashlib.sha256(b"ripen").digest()[:7])
    with speaking(uri):
        engine = sqlalchemy.create_engine(
            uri, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
        )
        connection = engine.connect()
        connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": key})
    try:
        yield
    finally:
        connection.close()


def speaking(uri: str) -> AbstractContextManager[None]:
    """Turn errors of the database into one line, as `ripen.core.stores.speaking` does."""
    return stores.speaking(uri, optuna.exceptions.StorageInternalError)


def _fast(connection: Any, _: object) -> None:
    """Let SQLite write its log and not each page: safe from kills, and ten times as fast."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
