"""Commands start the log; restore its state after each test."""

from collections.abc import Iterator

import pytest

from caffe import glog


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    level, handlers = glog.logger.level, list(glog.logger.handlers)
    yield
    glog.logger.setLevel(level)
    glog.logger.handlers[:] = handlers
