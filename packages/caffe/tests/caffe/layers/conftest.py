"""The tests of layers on a device: that of the environment variable CAFFE_TEST_DEVICE."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from caffe.device import use
from tests.caffe import stand_in


@pytest.fixture(autouse=True)
def _device() -> Iterator[None]:
    device = stand_in.named()
    use(device)
    with stand_in.Factories() if device is stand_in.STAND_IN else nullcontext():
        yield
    use(None)
