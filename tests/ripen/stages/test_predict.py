"""The stage predict: calibrated probabilities, and a prediction for every test row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ripen.competition.index import Index
from ripen.competition.metrics import METRICS
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.schema import Predict
from ripen.stages.predict import calibrated, probabilities, with_excluded

RIPE = np.array([0.0, 0.2, 1.0])
OUTPUTS = np.stack([1 - RIPE, RIPE], axis=1)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A folder in which an evaluation has left the calibration of one model."""
    monkeypatch.chdir(tmp_path)
    found = Layout("avocado")
    found.evaluate.mkdir(parents=True)
    columns = "model,temperature,clip,clip_scaled,floor"
    found.calibration.write_text(f"{columns}\nnet,2.0,0.05,0.1,0.01\n")
    return found


@pytest.mark.parametrize(
    ("temperature", "clip", "expected"),
    [
        (False, 0.01, [0.01, 0.2, 0.99]),
        (False, "validation", [0.05, 0.2, 0.95]),
        # The root of 0.2 to 0.8 is 1 to 2.
        (True, "validation", [0.1, 1 / 3, 0.9]),
        (True, 0.0, [0.01, 1 / 3, 0.99]),
    ],
)
def test_probabilities_are_scaled_and_clipped(
    layout: Layout, temperature: bool, clip: float | str, expected: list[float]
) -> None:
    settings = Predict(model="best", temperature=temperature, clip=clip)  # type: ignore[arg-type]
    found = calibrated(OUTPUTS, layout, "net", settings)
    assert found[:, 1].tolist() == pytest.approx(expected)
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_a_model_that_nothing_validates_can_be_clipped_but_not_calibrated(layout: Layout) -> None:
    given = Predict(model="pretrained", temperature=False, clip=0.01)
    assert calibrated(OUTPUTS, layout, "pretrained", given)[0, 1] == 0.01
    fitted = Predict(model="pretrained", temperature=False, clip="validation")
    with pytest.raises(DataError, match=r"calibration\.csv: 'pretrained' has no calibration"):
        calibrated(OUTPUTS, layout, "pretrained", fitted)


def index(task: str, targets: list[str]) -> Index:
    """Return an index of four training and three test rows, of which the second is broken."""
    rows = {
        "id": [str(k) for k in range(7)],
        "part": ["train"] * 4 + ["test"] * 3,
        "target": [*targets, "", "", ""],
        "problem": ["", "", "", "", "", "is broken", ""],
    }
    classes = ("0", "1") if task == "binary" else ()
    return Index(pd.DataFrame(rows), TASKS[task], classes, classes)


def test_an_excluded_row_gets_the_share_of_each_class(capsys: pytest.CaptureFixture[str]) -> None:
    rows = index("binary", ["0", "1", "1", "1"])
    found = with_excluded(OUTPUTS[:2], np.array([4, 6]), rows)
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.25, 0.75], [0.8, 0.2]])
    assert "training rows' mean: 5\n" in capsys.readouterr().out


def test_an_excluded_row_of_a_regression_gets_the_mean() -> None:
    rows = index("regression", ["1", "2", "3", "6"])
    found = with_excluded(np.array([[10.0], [20.0]]), np.array([4, 6]), rows)
    assert found.tolist() == [[10.0], [3.0], [20.0]]


def test_without_excluded_rows_there_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    rows = index("binary", ["0", "1", "1", "1"])
    found = with_excluded(OUTPUTS, np.array([4, 5, 6]), rows)
    np.testing.assert_array_equal(found, OUTPUTS)
    assert capsys.readouterr().out == ""


SMALL = 1e-5
WRITTEN = {  # task, metric: the probabilities of class 1, or of the label, in the submission
    "order alone counts": ("binary", "roc_auc", [SMALL, 2 * SMALL, 0.5]),
    "a loss": ("binary", "log_loss", [0.05, 0.05, 0.5]),
    "labels in order": ("multilabel", "mean_column_auc", [SMALL, 2 * SMALL, 0.5]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_clip_makes_no_rows_equal_whose_order_counts(layout: Layout, name: str) -> None:
    task, metric, expected = WRITTEN[name]
    outputs = np.array([SMALL, 2 * SMALL, 0.5])
    two = np.stack([1 - outputs, outputs], axis=1) if task == "binary" else outputs[:, None]
    settings = Predict(
        model="best", temperature=False, clip="validation" if task == "binary" else 0.1
    )
    found = probabilities(two, index(task, ["0"] * 4), layout, "net", METRICS[metric], settings)
    assert found[:, -1].tolist() == pytest.approx(expected)


def test_probabilities_of_several_classes_sum_to_1_after_the_clip(layout: Layout) -> None:
    layout.calibration.write_text("model,temperature,clip,clip_scaled,floor\nnet,1.0,0.1,0.1,0.1\n")
    settings = Predict(model="best", temperature=False, clip="validation")
    rows = index("multiclass", ["0"] * 4)
    found = probabilities(
        np.array([[1.0, 0, 0]]), rows, layout, "net", METRICS["log_loss"], settings
    )
    np.testing.assert_allclose(found, np.array([[0.9, 0.1, 0.1]]) / 1.1)
