"""Real Caffe for the tests of this folder."""

from collections.abc import Iterator

import pytest

from ripen.core.errors import EngineUnavailable
from ripen.nets.engines.environment import interpreter
from tests.parity.real_caffe import RealCaffe


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
