"""What tests of scores share."""

import pytest

from ripen.competition import scorer as scorers


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw fewer bootstrap samples: how many changes nothing here."""
    monkeypatch.setattr(scorers, "RESAMPLES", 8)
