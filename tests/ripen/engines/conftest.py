"""Real Caffe as an engine; its tests are skipped where it cannot be had."""

from collections.abc import Iterator

import pytest

from ripen.engines.real import RealEngine
from ripen.errors import EngineUnavailable


@pytest.fixture(scope="session")
def real() -> Iterator[RealEngine]:
    engine = RealEngine()
    try:
        engine.__enter__()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    yield engine
    engine.__exit__(None, None, None)
