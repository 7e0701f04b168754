"""Settings that all tests of this distribution share.

They run from the repository's root together with ripen's, and from this folder alone. Helper
modules are imported as `tests.…` either way: `tests` is a namespace package, which may have several
folders on the path.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from caffe import glog

# The speed of today's machine decides no test, and the same commit runs the same examples.
settings.register_profile(
    "caffe",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("caffe, quick", settings.get_profile("caffe"), max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    # Before test modules are imported: some ask for a share of the examples.
    quick = config.option.markexpr == "not slow"
    settings.load_profile("caffe, quick" if quick else "caffe")


@pytest.fixture(autouse=True)
def _log_as_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the log begin as `import caffe` leaves it: a command or a library may have changed it."""
    log = glog.logger
    before = log.level, log.disabled, log.propagate, list(log.handlers)
    monkeypatch.delenv("GLOG_minloglevel", raising=False)  # ripen sets it
    log.setLevel("INFO")
    log.disabled, log.propagate = False, True
    yield
    log.setLevel(before[0])
    log.disabled, log.propagate, log.handlers[:] = before[1:]


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder `github.com` of a mirror of Caffe's definitions; skips the test without one."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    return Path(folder) / "github.com"


@pytest.fixture(scope="session")
def install() -> Callable[..., None]:
    """A function that runs `pip install` on some Python; it skips the test where that fails."""

    def run(python: Path, *arguments: str | Path) -> None:
        # Isolated, or pip counts what is on PYTHONPATH as installed.
        pip = [python, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        # Most of torch's thousands of modules are never imported: none is compiled before.
        pip.append("--no-compile")
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
            pytest.skip(f"not installable here: {lines[-1]}")

    return run
