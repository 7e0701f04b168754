"""A bundle gives the submission's bytes with no network, from its own wheels alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from ripen.bundle import offline
from ripen.bundle.assemble import NOTEBOOK, WHEELS, advice, bundle, check_size, fill, notebook
from ripen.bundle.offline import ABOUT
from ripen.competition import predictions
from ripen.core.atomic import fresh_folder
from ripen.core.errors import DataError, UsageError
from ripen.core.layout import Layout
from ripen.core.reproducibility import THREADS
from ripen.learn import fitting
from ripen.learn.models import served
from ripen.settings.compose import load_competition
from ripen.stages import predict
from ripen.stages.fit import open_fit
from tests.ripen import empty_store
from tests.ripen.images import cats_and_dogs
from tests.ripen.learn import fits, tiny
from tests.ripen.stages.conftest import ROOT, run_all, write_params

NAME = "mine"
MINE = """
defaults: [/kind/_base]
reader: table
source: {folder: {path: mine}}
id: id
target: sold
task: binary
metric: log_loss
submission: probability
validation: {split: stratified, folds: 3}
models: {bayes: {estimator: gaussian_nb}, linear: {estimator: logistic_regression}}
learning_curve: []
reproducibility: fast  # as the process of the tests, which has imported numpy
threads: 1
blend: {}
predict: {model: blend, temperature: true, clip: validation}
"""
IMAGES = """
defaults: [/kind/_images]
source: {folder: {path: mine}}
target: warm
task: binary
metric: log_loss
submission: probability
images: {labels: {read: csv, label: warm}, min_side: 8, batch_size: 3}
validation: {split: stratified, folds: 2}
features: {tiny: %s}
models:
  net: {estimator: head, inputs: [tiny], batch_size: 50, check_interval: 10,
    solver: {base_lr: 0.05, lr_policy: fixed, momentum: 0.9, weight_decay: 0.01, max_iter: 20}}
  linear: {estimator: logistic_regression, inputs: [tiny]}
  joined: {estimator: logistic_regression, inputs: [tiny, table]}
  full: %s
learning_curve: []
blend: null
threads: 1
predict: {model: net, temperature: false, clip: 0.0}
"""
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that leaves the test in a folder with a competition, by default a table."""
    monkeypatch.chdir(tmp_path)
    empty_store.put(tmp_path)

    def make(text: str = MINE) -> dict[str, Any]:
        shutil.copytree(ROOT / "conf", "conf")
        Path(f"conf/competition/{NAME}.yaml").write_text(text)
        if text != MINE:
            return write_params(f"competitions=[{NAME}]", conf=Path("conf"))
        (tmp_path / "models").symlink_to(ROOT / "models")
        table, signal = fits.table(100)
        table.insert(0, "id", np.arange(len(table)) + 1)
        table["sold"] = np.where(signal > np.median(signal), "yes", "no")
        Path(NAME).mkdir()
        table[:70].to_csv(f"{NAME}/train.csv", index=False)
        table[70:].drop(columns="sold").to_csv(f"{NAME}/test.csv", index=False)
        table.loc[70:, ["id"]].assign(sold=0.5).to_csv(f"{NAME}/sample_submission.csv", index=False)
        return write_params(f"competitions=[{NAME}]", conf=Path("conf"))

    return make


def _without_network() -> list[str]:
    """Return the command before one that is to have no network; none where that is forbidden."""
    command = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        return []
    allowed = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if allowed else []


@pytest.mark.slow
def test_the_notebook_gives_the_bytes_of_predict_with_the_network_cut(
    repository: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run_all(NAME, repository(), "fetch", "prepare", "fit", "blend", "evaluate", "predict")
    folder = bundle(NAME)
    about = json.loads((folder / ABOUT).read_text())
    assert set(about["models"]) <= {"bayes", "linear"}
    assert about["blend"]
    names = {wheel.name.partition("-")[0] for wheel in (folder / WHEELS).iterdir()}
    assert {"ripen_pipeline", "numpy", "pandas", "scikit_learn", "skops"} <= names
    assert names.isdisjoint({"torch", "ripen_caffe", "mlflow", "dvc", "matplotlib", "optuna"})
    assert not list(folder.rglob("*.pkl"))
    written = nbformat.read(folder / NOTEBOOK, as_version=4)
    nbformat.validate(written)
    program = "\n".join(cell.source for cell in written.cells if cell.cell_type == "code")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = shutil.move(folder, elsewhere / "dataset")
    given = {"RIPEN_BUNDLE": str(moved), "RIPEN_INPUT": str(tmp_path / NAME)}
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*_without_network(), sys.executable, "-c", program],
        cwd=elsewhere,
        env=kept | given | OFFLINE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = (elsewhere / "submission.csv").read_bytes()
    assert made == Layout(NAME).submission.read_bytes()
    assert pd.read_csv(elsewhere / "submission.csv").sold.nunique() > 10


@pytest.mark.slow  # a pipeline of images
def test_image_models_give_the_bytes_of_predict_from_the_test_images(
    repository: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.install(monkeypatch)
    for name in THREADS:  # numpy is imported already
        monkeypatch.setenv(name, "1")
    files = cats_and_dogs(each=8, tests=5, test="test")
    train = [name for name in files if name.startswith("train")]
    for name, content in files.items():
        (tmp_path / NAME / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / NAME / name).write_bytes(content)
    ids = [Path(name).stem for name in train]
    labels = pd.DataFrame({"id": ids, "warm": [int(each.startswith("cat")) for each in ids]})
    # A column beside the images, for the model that joins the two.
    labels.assign(weight=range(len(ids))).to_csv(f"{NAME}/train.csv", index=False)
    beside = pd.DataFrame({"id": range(1, 6), "weight": [3, 1, 4, 1, 5]})
    beside.to_csv(f"{NAME}/test.csv", index=False)
    sample = pd.DataFrame({"id": range(1, 6), "warm": 0.5})
    sample.to_csv(f"{NAME}/sample_submission.csv", index=False)
    section = tiny.FINETUNED | {"folds": 2}
    values = repository(IMAGES % (json.dumps(tiny.FEATURES), json.dumps(section)))
    run_all(NAME, values, "fetch", "prepare", "features")
    for model in ("net", "linear", "joined", "full"):
        with ExitStack() as stack, fresh_folder(Layout(NAME).model(model)) as trained:
            tables, _ = fitting.run(open_fit(NAME, model, trained, stack))
            predictions.write(trained, tables)
        values["competition"][NAME]["predict"]["model"] = model
        Path("params.yaml").write_text(yaml.safe_dump(values))
        predict.write(NAME)
        fill(NAME, load_competition(NAME), tmp_path / model)
        made = tmp_path / f"{model}.csv"
        offline.main(tmp_path / model, tmp_path / NAME, made)
        monkeypatch.chdir(tmp_path)
        assert made.read_bytes() == Layout(NAME).submission.read_bytes()
        assert pd.read_csv(made).warm.nunique() == 5
    saved = sorted((tmp_path / "full/models/full").iterdir())
    assert [each.name for each in saved] == ["000", "001"]  # one a fold
    # As MLflow serves it, one image at a time.
    shown = pd.DataFrame({"image": [f"{NAME}/test/{number}.jpg" for number in range(1, 6)]})
    outputs = [served.read(each).predict(shown)[["p0", "p1"]] for each in saved]
    table = predictions.read(Layout(NAME), ["full"])["full"].query("part == 'test'")
    np.testing.assert_allclose(np.mean(outputs, axis=0), predictions.outputs(table), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "refit", "seeds"), [("ridge", True, 1), ("gaussian_nb", False, 1), ("ridge", False, 2)]
)
def test_saved_models_predict_the_test_rows_as_the_pipeline_does(
    tmp_path: Path, name: str, refit: bool, seeds: int
) -> None:
    task = "regression" if name == "ridge" else "binary"
    frame, signal = fits.table(60)
    targets = [*fits.targets_of(task, signal[:50]), *[""] * 10]
    parts = ["train"] * 50 + ["test"] * 10
    index = fits.index_of(task, targets, [*np.arange(50) % 2, *[-1] * 10], parts)
    kfold = {"split": "kfold", "folds": 2}
    split = kfold if refit else {"split": "column", "column": "fold"}
    taken = fits.table_input(frame)
    fit = fits.fit_of(
        {"estimator": name, "seeds": seeds}, index, taken, tmp_path / "fit", fits.splitter(split)
    )
    tables, _ = fitting.run(fit)
    saved = []
    for number, fitted in enumerate(fitting.for_test_rows(fit)):
        saved.append(tmp_path / str(number))
        saved[-1].mkdir()
        fitted.save(saved[-1])
    assert len(saved) == (1 if refit else 2)
    found = served.mean_of(saved, frame.iloc[50:])
    np.testing.assert_array_equal(found, predictions.outputs(tables[-1]))


def test_a_bundle_larger_than_kaggle_takes_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(bytes(3000))
    assert check_size(tmp_path) == 3000
    with pytest.raises(DataError, match=r"the bundle has .* GB, and a notebook of Kaggle's keeps"):
        check_size(tmp_path, most=2999)


def test_a_bundle_needs_a_submission_and_a_folder_of_its_own(
    repository: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    repository()
    with pytest.raises(DataError, match="submission.csv: no such file. Run: ripen run"):
        bundle(NAME)
    Layout(NAME).submission.parent.mkdir(parents=True)
    Layout(NAME).submission.write_text("id,sold\n")
    with pytest.raises(UsageError, match="has other files. Choose a new folder: --to FOLDER"):
        bundle(NAME, tmp_path / NAME)
    assert (tmp_path / NAME / "train.csv").exists()
    assert "internet off" in advice(NAME, tmp_path)


def test_the_notebook_is_a_valid_one() -> None:
    nbformat.validate(nbformat.from_dict(notebook("titanic", "gender_submission.csv")))
