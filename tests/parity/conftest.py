"""Real Caffe for the tests of this folder, and what they measured."""

from collections.abc import Callable, Iterator

import pytest

from tests.parity.real_caffe import RealCaffe, Unavailable, interpreter

MEASURED = pytest.StashKey[dict[str, float]]()


@pytest.fixture(scope="session")
def real_caffe() -> Iterator[RealCaffe]:
    """Real Caffe 1.0; the test is skipped where it cannot be had."""
    try:
        python = interpreter()
    except Unavailable as reason:
        pytest.skip(str(reason))
    real = RealCaffe(python)
    yield real
    real.close()


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[float], None]:
    """Note a largest relative difference, to be shown at the end of the run."""
    seen = request.config.stash.setdefault(MEASURED, {})

    def note(difference: float) -> None:
        seen[request.node.name] = max(difference, seen.get(request.node.name, 0.0))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    seen = terminalreporter.config.stash.get(MEASURED, {})
    if seen:
        terminalreporter.section("largest relative differences from real Caffe")
        for name, difference in sorted(seen.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{difference:9.2e}  {name}")
