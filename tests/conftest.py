"""What tests of both packages share."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

import ripen  # noqa: F401 - before caffe: it keeps the log of Caffe to warnings

# How quick the machine is today decides no test, and the same commit runs the same examples.
settings.register_profile(
    "ripen",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("ripen, quick", settings.get_profile("ripen"), max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    # Before test modules are imported: some ask for a share of the examples.
    quick = config.option.markexpr == "not slow"
    settings.load_profile("ripen, quick" if quick else "ripen")


# What works on one clone that has been reproduced, and what kills one of the machine's processes.
TOGETHER = (
    (
        "test_front_door",
        "test_mlflow_pages",
        "test_notebooks",
        "test_page",
        "test_readme",
        "test_remotes",
    ),
    ("test_on_ray", "test_launchers"),
)


class FileByFile(LoadScopeScheduling):
    """Of several processes each takes a file of tests, or some that belong together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        stem = Path(file).stem
        return next((stems[0] for stems in TOGETHER if stem in stems), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    config.option.loadscopereorder = False  # what takes minutes is first already
    return FileByFile(config, log)


# Tests with these begin with a clone that runs, another interpreter or a browser; see "slow".
SLOW_FIXTURES = {"clone", "made", "reproduced", "sharing", "real", "install", "ui", "visit"}


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & SLOW_FIXTURES or "parity" in item.path.parts:
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items.sort(key=order)


def order(item: pytest.Item) -> tuple[bool, bool]:
    """Sort what takes longest first, so that the processes end together."""
    return item.get_closest_marker("slow") is None, item.path.stem not in TOGETHER[0]


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect in three quarters of the time, in each of the processes.

    Importing builds and keeps: there is no garbage to look for. And skops looks through all modules
    for each of a thousand functions, when it is imported: it comes before most of them.
    """
    if hasattr(session.config, "workerinput"):
        import skops.io  # noqa: F401
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def frozen_heap() -> None:
    """Leave out of later garbage collections what is there once modules have been imported.

    A fit collects garbage after each fold, and would look at a million objects of PyTorch, MLflow
    and pytest each time.
    """
    if len(sys.modules) > frozen[-1] + 20:
        gc.collect()
        gc.freeze()
        frozen.append(len(sys.modules))


frozen = [0]
"""How many modules there were each time that the heap was frozen."""


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Let `fsync` return at once. It matters where power fails, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror's `github.com`; the test is skipped where there is none."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    return Path(folder) / "github.com"
