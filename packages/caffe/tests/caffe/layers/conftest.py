"""The device of each test: by default the CPU, or that of the variable CAFFE_TEST_DEVICE."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from caffe.device import use
from tests.caffe import stand_in


@pytest.fixture(autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute on the test's parameter, if it has one: `stand_in.DEVICES` are allowed."""
    device = stand_in.device(getattr(request, "param", stand_in.NAMED))
    use(device)
    with stand_in.Factories() if device is stand_in.STAND_IN else nullcontext():
        yield
    use(None)
