"""What tests of both packages share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The mirror's `github.com`; the test is skipped where there is none."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    return Path(folder) / "github.com"
