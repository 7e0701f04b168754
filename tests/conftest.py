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
pytest_plugins = ["tests.parity.measured"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there are several processes: one has all that stands on one clone; minutes first."""
    if hasattr(config, "workerinput"):
        for item in items:
            if "reproduced" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group("reproduced"))
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror's `github.com`; the test is skipped where there is none."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    return Path(folder) / "github.com"
