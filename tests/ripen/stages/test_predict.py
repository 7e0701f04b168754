"""predict: the submission's form, and what is done to probabilities before."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition.index import Index
from ripen.competition.submission import fill, read_sample
from ripen.core.errors import DataError
from ripen.judge.evaluation.calibration import Calibration
from ripen.settings.compose import changed
from ripen.settings.schema import Competition, Predict
from ripen.stages.predict import calibrated, with_excluded
from tests.ripen.learn import fits

SAMPLE = Path("sample_submission.csv")


def competition(**values: Any) -> Competition:
    return changed(fits.competition(), **values)


def index(ids: list[str], task: str = "binary", classes: tuple[str, ...] | None = None) -> Index:
    """Return an index of six labelled rows, of which two are of the second class, and a test."""
    names = fits.CLASSES[task] if classes is None else classes
    labelled = ["1.0", "4.0"] * 3 if task == "regression" else [*[names[0]] * 4, *[names[1]] * 2]
    parts = ["train"] * 6 + ["test"] * len(ids)
    found = fits.index_of(task, labelled + [""] * len(ids), [0] * len(parts), parts, names)
    rows = found.rows.assign(id=[*(f"t{k}" for k in range(6)), *ids])
    return Index(rows, found.task, found.classes, found.names)


def ripe(*values: float) -> np.ndarray:
    return np.stack([1 - np.array(values), np.array(values)], axis=1)


def test_the_submission_has_the_samples_columns_order_and_ids() -> None:
    sample = pd.DataFrame({"ripe": ["0.5"] * 3, "id": ["30", "10", "20"]})
    given = index(["10", "20", "30"])
    found = fill(sample, SAMPLE, competition(), given, ripe(0.1, 0.2, 0.3))
    assert found.to_csv(index=False) == "ripe,id\n0.3,30\n0.1,10\n0.2,20\n"


def test_the_ids_are_the_users_own_text_in_a_column_of_any_name() -> None:
    sample = pd.DataFrame({"ImageId": ["007", "7"], "Label": ["0", "0"]})
    given = index(["7", "007"])
    found = fill(sample, SAMPLE, competition(), given, ripe(0.1, 0.2))
    assert found.to_csv(index=False) == "ImageId,Label\n007,0.2\n7,0.1\n"


@pytest.mark.parametrize(
    ("form", "expected"), [("label", ["no", "yes", "no"]), ("probability", [0.4, 0.9, 0.5])]
)
def test_a_single_column_holds_labels_or_the_last_classes_probability(
    form: str, expected: list[object]
) -> None:
    sample = pd.DataFrame({"id": ["1", "2", "3"], "ripe": ["x"] * 3})
    own = competition(submission=form)
    found = fill(sample, SAMPLE, own, index(["1", "2", "3"]), ripe(0.4, 0.9, 0.5))
    assert found.ripe.tolist() == expected


def test_a_column_a_class_holds_probabilities_by_name_or_value() -> None:
    sample = pd.DataFrame({"id": ["1"], "c": ["0"], "A thing": ["0"], "b": ["0"]})
    given = index(["1"], "multiclass")
    named = Index(given.rows, given.task, given.classes, ("A thing", "b", "c"))
    outputs = np.array([[0.2, 0.3, 0.5]])
    found = fill(sample, SAMPLE, competition(), named, outputs)
    assert found.to_csv(index=False) == "id,c,A thing,b\n1,0.5,0.2,0.3\n"
    unknown = sample.rename(columns={"b": "d"})
    message = r"^sample_submission\.csv: column 'd' is no class\. Allowed: a, b, c$"
    with pytest.raises(DataError, match=message):
        fill(unknown, SAMPLE, competition(), named, outputs)


def test_a_regression_submits_its_values() -> None:
    sample = pd.DataFrame({"id": ["1", "2"], "price": ["0", "0"]})
    own = competition(submission="value", task="regression", metric="rmse")
    given = index(["1", "2"], "regression")
    found = fill(sample, SAMPLE, own, given, np.array([[2.5], [-1.0]]))
    assert found.price.tolist() == [2.5, -1.0]


@pytest.mark.parametrize(
    ("temperature", "clip", "expected"),
    [
        (False, 0.01, [0.01, 0.2, 0.99]),
        (False, "validation", [0.05, 0.2, 0.95]),
        # The root of 0.2 to 0.8 is 1 to 2.
        (True, "validation", [0.1, 1 / 3, 0.9]),
    ],
)
def test_probabilities_are_scaled_and_clipped(
    temperature: bool, clip: float | str, expected: list[float]
) -> None:
    fitted = Calibration(temperature=2.0, clip=0.05, clip_scaled=0.1)
    settings = Predict(model="best", temperature=temperature, clip=clip)  # type: ignore[arg-type]
    found = calibrated(ripe(0.0, 0.2, 1.0), fitted, settings)
    assert found[:, 1].tolist() == pytest.approx(expected)
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["1", "2", "4"], r"sample_submission\.csv: column 'id': 4 is not an id of the test part"),
        (["1", "2"], r"sample_submission\.csv: column 'id': 3 of the test part is missing"),
    ],
)
def test_other_ids_are_refused(ids: list[str], message: str) -> None:
    sample = pd.DataFrame({"id": ids, "ripe": ["0.5"] * len(ids)})
    with pytest.raises(DataError, match=message):
        fill(sample, SAMPLE, competition(), index(["1", "2", "3"]), ripe(0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,ripe\n1,0\n2,0\n1,0\n", r"row 3: id '1' is in an earlier row already$"),
        ("id\n1\n", r"has no column beside 'id'$"),
        ("id,ripe\n", r"has a header and no rows"),
    ],
)
def test_samples_that_are_invalid(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sample.csv").write_text(text)
    with pytest.raises(DataError, match=rf"sample\.csv: {message}"):
        read_sample(tmp_path / "sample.csv", "id")


@pytest.mark.parametrize(
    ("task", "outputs", "expected"),
    [
        ("binary", ripe(0.9, 0.8), [0.9, 1 / 3, 0.8]),
        ("regression", np.array([[9.0], [8.0]]), [9.0, 2.5, 8.0]),
    ],
)
def test_an_excluded_row_gets_the_share_of_each_class_or_the_mean(
    task: str, outputs: np.ndarray, expected: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    given = index(["a", "b", "c"], task)
    given.rows.loc[7, "problem"] = "is broken"
    found = with_excluded(outputs, given.part("test"), given)
    assert found[:, -1].tolist() == pytest.approx(expected)
    warning = "predict: warning: broken, so they get the training rows' mean: b\n"
    assert capsys.readouterr().out == warning
    whole = index(["a", "b"], task)
    np.testing.assert_array_equal(with_excluded(outputs, whole.part("test"), whole), outputs)
    assert capsys.readouterr().out == ""


def test_more_excluded_rows_than_a_line_names_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = index([str(k) for k in range(10)])
    given.rows.loc[6:10, "problem"] = "is broken"
    with_excluded(ripe(*[0.5] * 5), given.part("test"), given)
    assert capsys.readouterr().out.endswith(" mean: 0, 1, 2 and 2 more\n")
