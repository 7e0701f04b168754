"""What tests of both packages share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How quick the machine is today decides no test, and the same commit runs the same examples.
settings.register_profile(
    "ripen",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("ripen")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror's `github.com`; the test is skipped where there is none."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    return Path(folder) / "github.com"
