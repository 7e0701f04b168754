"""Real Caffe for the tests of this folder, and what they measured."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from ripen.engines.environment import interpreter
from ripen.errors import EngineUnavailable
from tests.parity.compare import Differences
from tests.parity.real_caffe import RealCaffe

MEASURED = pytest.StashKey[dict[str, list[Differences]]]()


@pytest.fixture(scope="session")
def real_caffe() -> Iterator[RealCaffe]:
    """Real Caffe 1.0; the test is skipped where it cannot be had."""
    try:
        python = interpreter()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    real = RealCaffe(python)
    yield real
    real.close()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[Differences | float], None]:
    """Note what `check_net` found, or one forward difference, to be shown at the end of the run."""
    seen = request.config.stash.setdefault(MEASURED, defaultdict(list))

    def note(found: Differences | float) -> None:
        found = found if isinstance(found, Differences) else Differences(forward=float(found))
        seen[_subject(request)].append(found)

    return note


def _subject(request: pytest.FixtureRequest) -> str:
    """Return what a test is about: its case's type of layer, its kind of solver, or itself."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if hasattr(params.get("case"), "type"):
        return str(params["case"].type)
    if "kind" in params:
        return f"{params['kind']} solver"
    module = request.node.module.__name__.rpartition(".")[2].removeprefix("test_")
    return f"{module}: {request.node.originalname.removeprefix('test_').replace('_', ' ')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seen = terminalreporter.config.stash.get(MEASURED, {})
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


def _shown(difference: float | None) -> str:
    return f"{'-':>9}" if difference is None else f"{difference:9.1e}"
