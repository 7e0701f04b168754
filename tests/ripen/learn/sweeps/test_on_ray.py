"""Trials and folds on a cluster of two nodes on this machine."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from ripen.core import lineage
from ripen.core.errors import DataError, UsageError
from ripen.learn.spread_folds import content, spread
from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study
from ripen.settings.schema import Launcher
from ripen.settings.schema import Study as StudySettings
from ripen.stages import fit
from tests.ripen import params
from tests.ripen.learn import test_spread_folds as folds

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
from ripen.learn.sweeps import on_ray  # noqa: E402 - only where there is Ray

MakeStudy = Callable[..., Study]
ABOUT_RAY = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Return the address of two nodes of one core each, to which this process is connected.

    So all tests share workers, which take long to start.
    """
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_raylet_start_wait_time_s", "100")  # of a busy machine
        head = {"num_cpus": 1, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            made.add_node(num_cpus=1)
            on_ray.connect(made.address)
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


@ABOUT_RAY
def test_a_worker_killed_in_the_middle_costs_no_trial(
    make_study: MakeStudy, cluster: str, repository: Path
) -> None:
    made = make_study("seed=1,2,3,4", "solver.max_iter=3000")
    settings = StudySettings(uri=f"sqlite:///{repository / 'studies.db'}", timeout=30)
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not killed and not over.wait(0.05):
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


@ABOUT_RAY
def test_a_worker_killed_in_the_middle_of_a_fold_loses_that_fold_only(
    cluster: str, tmp_path: Path
) -> None:
    import ray

    # Workers lack the tests.
    ray.cloudpickle.register_pickle_by_value(folds)  # type: ignore[no-untyped-call]
    marks, kept = tmp_path / "marks", tmp_path / "kept"
    marks.mkdir()
    launcher = Launcher(name="ray", workers=None, address=cluster)
    spread([0, 1, 3], launcher, partial(folds.fold, marks, 1), kept, folds.no_files)
    assert sorted(path.name for path in marks.iterdir()) == ["0.0", "1.0", "1.1", "3.0"]
    assert sorted(content(kept)) == ["0.npz", "1.npz", "3.npz", "files/net/model.txt"]
    with pytest.raises(DataError, match=r"^fold 9 has too few rows$"):
        spread([9, 5], launcher, partial(folds.fold, marks, 0), kept, folds.no_files)


@ABOUT_RAY
def test_a_folds_files_go_along_and_its_bytes_are_the_same(cluster: str, repository: Path) -> None:
    Path("params.yaml").unlink()  # a link
    params.write("competitions=[avocado]", "sweep=null", "models.gaussian_nb.seeds=2")
    table = repository / "data/avocado/inputs/prepared/index.csv"
    head, *rows = table.read_text().splitlines()
    dealt = [",".join([*row.split(",")[:4], str(n % 2), ""]) for n, row in enumerate(rows)]
    table.write_text("\n".join([head, *dealt]) + "\n")
    fold = partial(fit.fold, "avocado", "gaussian_nb", Path("model"))
    expected = {name: read for place in (0, 1) for name, read in fold(place).items()}
    launcher = Launcher(name="ray", workers=None, address=cluster)
    kept = repository / "kept"
    spread([0, 1], launcher, fold, kept, partial(lineage.files, "fit", "avocado.gaussian_nb"))
    assert sorted(expected) == ["0.npz", "1.npz"]
    assert content(kept) == expected


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:99999"])
def test_an_address_that_does_not_answer_is_one_line_at_once(address: str) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        address = address.format(bound.getsockname()[1])
        message = rf"^launcher\.address={address}: no Ray cluster there: [^\n]+ray start --head$"
        with pytest.raises(UsageError, match=message):
            on_ray.connect(address)
