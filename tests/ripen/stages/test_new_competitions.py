"""Competitions that are a file and no code: of images in two forms, and of a table."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.core.layout import Layout
from ripen.settings.compose import load_competition
from tests.ripen.learn import fits
from tests.ripen.stages.conftest import ROOT, run_all, write_params

Params = Callable[..., dict[str, Any]]
IMAGES = """
defaults: [/kind/_images]
source: {kaggle: %s}
task: multiclass
metric: accuracy
submission: label
images: {labels: %s, min_side: 28}
validation: {split: stratified_group, folds: 2}
features: {colours: {extract: histogram, bins: 4}}
models: {bayes: {estimator: gaussian_nb, inputs: [colours], components: 20}}
learning_curve: []
"""
TABLE = """
defaults: [/kind/table]
source: {folder: mine}
files: {train: known.csv, test: unknown.csv, sample: form.csv}
id: number
target: %s
task: %s
metric: %s
submission: %s
columns: {drop: [remark]}
validation: {split: %s, folds: 3}
models: {net: null}
learning_curve: [30]
"""


@pytest.fixture
def new(here: Params, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Return a function that adds a competition's file to a copy of conf/, and composes it."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")

    def make(text: str) -> dict[str, Any]:
        assert len(text.strip().splitlines()) <= 20
        Path("conf/competition/mine.yaml").write_text(text)
        return write_params("competitions=[mine]", conf=Path("conf"))

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slug", "labels", "sample", "rows"),
    [
        ("digit-recognizer-images", "{read: csv}", ["ImageId", "Label"], (3500, 1500)),
        ("sign-language-digits", "{read: folder}", ["filename", "label"], (1540, 522)),
    ],
)
def test_images_with_labels_in_a_table_and_in_folders(
    mirror: Path,
    new: Callable[[str], dict[str, Any]],
    slug: str,
    labels: str,
    sample: list[str],
    rows: tuple[int, int],
) -> None:
    values = new(IMAGES % (slug, labels))
    run_all("mine", values)
    layout = Layout("mine")
    index = indexes.read(layout, load_competition("mine"))
    assert index.rows.part.value_counts().to_dict() == dict(
        zip(("train", "test"), rows, strict=True)
    )
    assert len(index.classes) == 10
    validation = predictions.read(layout, ["bayes"])["bayes"].query("part == 'validation'")
    assert sorted(validation.row) == index.learnable().tolist()
    guessed = predictions.outputs(validation).argmax(axis=1)
    assert np.mean(guessed == index.targets[validation.row]) > 0.15  # of one in ten at random
    given = pd.read_csv(layout.raw / "sample_submission.csv", dtype=str)
    submission = pd.read_csv(layout.submission, dtype=str)
    assert list(submission) == list(given) == sample
    assert submission[sample[0]].tolist() == given[sample[0]].tolist()
    assert set(submission[sample[1]]) <= set(index.classes)
    assert submission[sample[1]].nunique() > 5


def write_tables(target: str, values: list[str], tests: int) -> None:
    """Write a folder of tables: numbers, some blank, a category, a remark, and the target."""
    frame, _ = fits.table(len(values) + tests)
    frame.insert(0, "number", [f"{row:04}" for row in range(len(frame))])
    frame["remark"] = [f"row {row}, with a comma" for row in range(len(frame))]
    Path("mine").mkdir()
    known, unknown = frame.iloc[: len(values)], frame.iloc[len(values) :]
    known.assign(**{target: values}).to_csv("mine/known.csv", index=False)
    unknown.to_csv("mine/unknown.csv", index=False)
    turned = unknown[["number"]].iloc[::-1].assign(**{target: "?"})
    turned.to_csv("mine/form.csv", index=False)


@pytest.mark.slow
def test_a_table_of_numbers_a_category_and_blanks(new: Callable[[str], dict[str, Any]]) -> None:
    _, signal = fits.table(60)
    targets = fits.targets_of("binary", signal[:50])
    write_tables("sold", targets, 10)
    values = new(TABLE % ("sold", "binary", "accuracy", "label", "stratified"))
    run_all("mine", values)
    layout = Layout("mine")
    index = indexes.read(layout, load_competition("mine"))
    assert index.classes == ("no", "yes")
    assert index.rows["id"].tolist() == [f"{row:04}" for row in range(60)]
    table = pd.read_parquet(layout.prepared / "table.parquet")
    assert [str(kind) for kind in table.dtypes] == ["float64", "float64", "str"]
    assert list(table) == ["width", "height", "colour"]
    assert table.height.isna().any()
    submission = pd.read_csv(layout.submission, dtype=str)
    assert submission.number.tolist() == [f"{row:04}" for row in range(59, 49, -1)]
    assert set(submission.sold) == {"no", "yes"}
    right = submission.sold.to_numpy() == np.where(
        signal[50:][::-1] > np.median(signal), "yes", "no"
    )
    assert right.mean() >= 0.7


@pytest.mark.slow
def test_a_table_whose_target_is_a_number(new: Callable[[str], dict[str, Any]]) -> None:
    _, signal = fits.table(60)
    write_tables("price", fits.targets_of("regression", signal[:50]), 10)
    text = TABLE % ("price", "regression", "rmse", "value", "kfold")
    only = "models: {net: null, logistic_regression: null, gaussian_nb: null}"
    values = new(text.replace("models: {net: null}", only))
    run_all("mine", values)
    submission = pd.read_csv(Layout("mine").submission)
    truth = signal[50:][::-1]
    assert np.sqrt(np.mean((submission.price - truth) ** 2)) < 0.8 * np.std(truth)
