"""A pytest plugin: real Caffe as a fixture, and a summary of the largest differences from it.

A conftest loads it by name, so that it is registered once where several folders use it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any

import pytest

from caffe.errors import RealCaffeUnavailable
from caffe.real import interpreter
from tests.parity.compare import Differences
from tests.parity.real_caffe import RealCaffe

MEASURED = pytest.StashKey[dict[str, list[Differences]]]()


@pytest.fixture(scope="session")
def real_caffe() -> Iterator[RealCaffe]:
    """Real Caffe 1.0; the test is skipped where it is not available."""
    try:
        python = interpreter()
    except RealCaffeUnavailable as reason:
        pytest.skip(str(reason))
    real = RealCaffe(python)
    yield real
    real.close()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[Differences | float], None]:
    """Record the result of `check_net`, or one forward difference, for the summary."""
    seen = _seen(request.config)

    def note(found: Differences | float) -> None:
        found = found if isinstance(found, Differences) else Differences(forward=float(found))
        seen[_subject(request)].append(found)

    return note


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand an xdist worker's differences to the process that prints the summary."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        seen = _seen(session.config)
        output["measured"] = {
            name: [astuple(each) for each in found] for name, found in seen.items()
        }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for subject, found in getattr(node, "workeroutput", {}).get("measured", {}).items():
        _seen(node.config)[subject] += [Differences(*each) for each in found]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seen = _seen(terminalreporter.config)
    if not seen:
        return
    rows = {}
    for subject, found in seen.items():
        largest = Differences()
        for differences in found:
            largest |= differences
        rows[subject] = (largest, len(found))
    terminalreporter.section("largest relative differences from real Caffe")
    terminalreporter.write_line(f"{'forward':>9} {'backward':>9} {'cases':>6}")
    for subject, (largest, count) in sorted(rows.items(), key=lambda row: -row[1][0].largest):
        terminalreporter.write_line(
            f"{_shown(largest.forward)} {_shown(largest.backward)} {count:6}  {subject}"
        )


def _seen(config: pytest.Config) -> dict[str, list[Differences]]:
    return config.stash.setdefault(MEASURED, defaultdict(list))


def _subject(request: pytest.FixtureRequest) -> str:
    """Return the row that a test counts in: its layer type, its solver type, or its own name."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if hasattr(params.get("case"), "type"):
        return str(params["case"].type)
    if "kind" in params:
        return f"{params['kind']} solver"
    module = request.node.module.__name__.rpartition(".")[2].removeprefix("test_")
    return f"{module}: {request.node.originalname.removeprefix('test_').replace('_', ' ')}"


def _shown(difference: float | None) -> str:
    return f"{'-':>9}" if difference is None else f"{difference:9.1e}"
