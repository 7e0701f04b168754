"""The pages that `ripen ui` names: those of the last run, then those of earlier ones."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from ripen.competition.metrics import METRICS
from ripen.settings.schema import Run
from ripen.track import saved_views, ui
from tests.ripen import empty_store

TAGS = saved_views.models("abc", "validation/log_loss", METRICS["log_loss"])


def test_the_last_runs_competitions_come_first_and_earlier_ones_after_them(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty_store.put(tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name, tags in (("avocado", TAGS), ("titanic", TAGS), ("digits", {}), ("a stranger's", {})):
        client.create_experiment(name, tags=tags)
    pages = ui.experiment_pages(make_run("competitions=[digits,titanic]"))
    assert list(pages) == [
        *("digits, runs", "titanic, models", "titanic, models, charts alone"),
        *("avocado, models", "avocado, models, charts alone"),
    ]
    (digits,) = client.search_experiments(filter_string="name = 'digits'")
    runs = f"/#/experiments/{digits.experiment_id}/runs?workflowType=machine_learning"
    assert pages["digits, runs"] == runs
