"""A cluster of two nodes on this machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study
from ripen.settings.schema import Launcher
from ripen.settings.schema import Study as StudySettings

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
MakeStudy = Callable[..., Study]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of two nodes of one core each."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "100")  # of a busy machine
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        made.add_node(num_cpus=1)
        yield made.address
    finally:
        ray.shutdown()
        for node in [*made.worker_nodes, made.head_node]:
            made.remove_node(node, allow_graceful=False)  # a graceful end takes half a minute


def workers() -> list[psutil.Process]:
    """Return the processes that run trials now."""
    return [p for p in psutil.process_iter(["cmdline"]) if "ray::_run" in _title(p)]


def _title(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or ())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_killed_in_the_middle_costs_no_trial(
    make_study: MakeStudy, cluster: str, repository: Path
) -> None:
    made = make_study("seed=1,2,3,4", "solver.max_iter=3000")
    settings = StudySettings(uri=f"sqlite:///{repository / 'studies.db'}", timeout=30)
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not killed and not over.is_set():
            for process in workers()[:1]:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    launcher = Launcher(name="ray", workers=None, address=cluster)
    finished = run_study(Store(made, settings), launcher, lambda store, finished: None)
    over.set()
    killer.join()
    assert killed
    assert [one.settings["seed"] for one in finished] == [1, 2, 3, 4]
    trials: list[Any] = optuna.load_study(study_name=made.name, storage=settings.uri).trials
    assert sorted(trial.user_attrs["index"] for trial in trials) == [0, 1, 2, 3]
