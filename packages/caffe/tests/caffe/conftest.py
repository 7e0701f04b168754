"""Every test draws the same random numbers, whatever ran before it."""

import pytest

import caffe


@pytest.fixture(autouse=True)
def _seed() -> None:
    caffe.set_random_seed(0)
