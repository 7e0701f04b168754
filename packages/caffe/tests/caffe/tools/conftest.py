"""Commands start the log; after a test it is as it was."""

from collections.abc import Iterator

import pytest

from caffe import glog


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    level, handlers = glog.logger.level, list(glog.logger.handlers)
    yield
    glog.logger.setLevel(level)
    glog.logger.handlers[:] = handlers
