"""The net of conf/, for the tests of its training."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.settings.compose import check
from ripen.stages.settings import compose

CONF = Path(__file__).parents[4] / "conf"


@cache  # Hydra takes a second
def composed(*overrides: str) -> CaffeNet:
    values, _ = compose(["competitions=[avocado]", *overrides], CONF)
    section = values["competition"]["avocado"]["models"]["net"]
    return check(
        {key: value for key, value in section.items() if key != "estimator"}, CaffeNet, "test"
    )


@pytest.fixture
def make_net() -> Callable[..., CaffeNet]:
    """Return a function from Hydra overrides to the avocado's net: `net`, `solver` and `train`."""
    return composed
