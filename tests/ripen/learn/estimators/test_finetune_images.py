"""A net of the zoo trained further, with a tiny net and small images: cats redder than dogs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, mean_squared_error

import caffe
from ripen.competition import predictions
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError, UsageError
from ripen.learn import fitting
from ripen.learn.estimator import estimator
from ripen.learn.estimators.finetune_images import FinetuneImages, order
from ripen.learn.image_files import Images
from ripen.learn.model_fit import Fit
from ripen.learn.seen import SEEN
from ripen.nets.engines.engine import RealEngine, TorchEngine
from tests.ripen.learn import fits, tiny

THREE: dict[str, dict[str, Any]] = {
    "scratch": {"pretrained": False, "rate": 10.0},
    "head": {"layers": "last"},
    "full": {},
}
"""What differs between the three models that images are compared by."""


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)


def fit_of(folder: str, each: int = 9, tests: int = 4, **settings: Any) -> Fit:
    """Return a fit on images whose rows take turns to be in two folds."""
    taken, targets, parts = fits.images_input(each, tests)
    folds = [row % 2 if part == "train" else -1 for row, part in enumerate(parts)]
    index = fits.index_of("binary", targets, folds, parts, ["cat", "dog"])
    more = {"engine": settings.pop("engine")} if "engine" in settings else {}
    return fits.fit_of(tiny.FINETUNED | settings, index, taken, Path(folder), seed=3, **more)


def weights(folder: Path) -> dict[str, NDArray[np.float32]]:
    files = str(folder / "deploy.prototxt"), str(folder / "model.caffemodel")
    net = caffe.Net(files[0], caffe.TEST, weights=files[1])
    return {name: blobs[0].data.copy() for name, blobs in net.params.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", THREE)
def test_what_each_of_the_three_moves_leaves_and_predicts(name: str) -> None:
    fit = fit_of("first", **THREE[name])
    tables, fitted = fitting.run(fit)
    again, _ = fitting.run(fit_of("again", **THREE[name]))
    pd.testing.assert_frame_equal(pd.concat(tables), pd.concat(again))
    folder = fit.work.folder
    own = weights(folder)
    assert list(own) == ["conv", "ip_pets"]
    assert own["ip_pets"].shape == (2, 6)
    start = caffe.Net(tiny.DEFINITIONS["tiny"].deploy(), caffe.TEST)
    start.copy_from("models/tiny/tiny.caffemodel")
    moved = float(np.abs(own["conv"] - start.params["conv"][0].data).mean() / own["conv"].std())
    assert {"head": moved == 0, "full": 0 < moved < 0.2, "scratch": moved > 0.7}[name], moved
    curve = pd.read_csv(folder / "curve.csv")
    assert curve.iteration.tolist() == [4, 8, 10]
    # 5 images are looked at.
    assert (curve.validation_accuracy * 5 % 1 == 0).all()
    validation, test = tables
    assert validation.row.tolist() == np.flatnonzero(fit.index.folds == 0).tolist()
    assert test.row.tolist() == [18, 19, 20, 21]
    for table in tables:
        np.testing.assert_allclose(table.p0 + table.p1, 1, rtol=1e-6)
    for file in ("model.caffemodel", "curve.csv", "training.json"):
        assert (folder / file).read_bytes() == Path("again", file).read_bytes(), file
    assert {path.name for path in folder.iterdir()} == {
        "curve.csv",
        "deploy.prototxt",
        "model.caffemodel",
        "model.solverstate",
        SEEN,
        "solver.prototxt",
        "train_val.prototxt",
        "training.json",
    }


@pytest.mark.slow
def test_two_folds_predict_all_rows_and_the_test_is_their_mean() -> None:
    fit = fit_of("model", each=6, folds=2, views="whole")
    (validation, test), _ = fitting.run(fit)
    assert sorted(validation.row) == list(range(12))
    assert (fit.work.folder / "fold_1" / "model.caffemodel").exists()
    outputs = [
        fitted_to(fit, fold).predict(fit.input.take(fit.index.part("test"))) for fold in (0, 1)
    ]
    np.testing.assert_allclose(predictions.outputs(test), np.mean(outputs, axis=0), rtol=1e-6)


def fitted_to(fit: Fit, fold: int) -> Any:
    """Fit without a fold, outside of any pipeline."""
    folds = fit.index.folds
    work = replace(fit.work, folder=Path(f"alone_{fold}"))
    work.folder.mkdir()
    train, held = np.flatnonzero(folds == 1 - fold), np.flatnonzero(folds == fold)
    return fit.estimator.fit(fit.rows(train), fit.rows(held), work)


def test_an_images_output_is_the_mean_over_its_views() -> None:
    fit = fit_of("model", each=4)
    _, fitted = fitting.run(fit)
    assert isinstance(fit.input, Images)
    found = fitted.predict(fit.input.take(np.arange(3)))
    single = [replace(fitted, views="whole").predict(fit.input.take(np.arange(3)))]
    engine = TorchEngine()

    class Mirrored:
        def predict(self, deploy: Path, weights: Path, data: NDArray[np.float32]) -> Any:
            return engine.predict(deploy, weights, np.ascontiguousarray(data[..., ::-1]))

    turned = replace(fitted, views="whole", engine=Mirrored())
    single.append(turned.predict(fit.input.take(np.arange(3))))
    np.testing.assert_allclose(found, np.mean(single, axis=0), rtol=1e-5)


def test_what_is_fed_is_the_augmented_images_with_their_labels() -> None:
    fit = fit_of("model", each=6)
    settings = fit.estimator
    assert isinstance(settings, FinetuneImages)
    train = fits.rows_of(fit.index, fit.input, np.arange(12))
    batches = list(settings.batches(settings.net(fit.work), train, fit.work))
    assert len(batches) == 10
    assert {data.shape for data, _ in batches} == {(8, 3, 16, 16)}  # 4 images, iter_size 2
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.dtype == np.float32
    # Cats (0) are redder: the third channel of BGR, less the first.
    redder = np.concatenate(
        [data[:, 2].mean((1, 2)) - data[:, 0].mean((1, 2)) for data, _ in batches]
    )
    assert ((redder > 0) == (labels == 0)).mean() > 0.9


def test_a_size_that_the_net_does_not_take() -> None:
    with pytest.raises(
        ConfigError, match=r"the net cannot be trained at this size: .*'conv'.*do not fit"
    ):
        fitting.run(fit_of("model", side=3))


def test_an_unknown_net_suggests_a_known_one() -> None:
    finetune = tiny.FINETUNED["finetune"] | {"from": "tinny"}
    with pytest.raises(UsageError, match=r"no net 'tinny' in models/; did you mean 'tiny'\?"):
        fitting.run(fit_of("model", finetune=finetune))


def test_its_weights_are_those_of_a_net_of_the_zoo() -> None:
    assert estimator(tiny.FINETUNED, "models.full").nets() == ["tiny"]


def test_real_caffe_comes_to_the_same(real: RealEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install(monkeypatch, dropout=0)  # each engine draws its own masks
    for name, settings in THREE.items():
        found, curves = [], []
        for engine in (TorchEngine(), real):
            folder = f"{name}-{type(engine).__name__}"
            tables, _ = fitting.run(fit_of(folder, engine=engine, **settings))
            found.append(pd.concat(tables))
            curves.append(pd.read_csv(Path(folder, "curve.csv")))
        assert found[1].row.tolist() == found[0].row.tolist()
        np.testing.assert_allclose(found[1].p0, found[0].p0, rtol=0, atol=1e-5)
        shown = ["iteration", "validation_loss", "validation_accuracy", "gradient_norm"]
        np.testing.assert_allclose(curves[1][shown], curves[0][shown], rtol=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_order_of_training(balanced: bool) -> None:
    labels = np.array([0] * 30 + [1] * 10)
    drawn = order(labels, 100, 5, balanced)
    assert len(drawn) == 100
    counts = np.bincount(drawn, minlength=40)
    if balanced:
        assert labels[drawn].tolist() == [0, 1] * 50
        assert set(counts[:30]) == {1, 2}
        assert set(counts[30:]) == {5}
    else:
        # All twice, and 20 of the third shuffle.
        assert sorted(drawn[:40]) == sorted(drawn[40:80]) == list(range(40))
        assert counts.max() == 3
    np.testing.assert_array_equal(drawn, order(labels, 100, 5, balanced))
    assert (drawn != order(labels, 100, 6, balanced)).any()


TARGETS = {
    "regression": {"cat": "700 -3", "dog": "710 5"},
    "multilabel": {"cat": "1 0", "dog": "0 0"},
}


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("several", [False, True])
def test_numbers_and_independent_labels_are_learnt(task: str, several: bool) -> None:
    taken, animals, parts = fits.images_input(9, 2)
    names = ["one", "two"] if several else (["one"] if task == "multilabel" else [])
    targets = [TARGETS[task].get(animal, "") for animal in animals]
    if not several:
        targets = [text.partition(" ")[0] for text in targets]
    folds = [row % 2 if part == "train" else -1 for row, part in enumerate(parts)]
    index = fits.index_of(task, targets, folds, parts, names)
    solver = tiny.FINETUNED["solver"] | {"max_iter": 60}
    section = tiny.FINETUNED | {"views": "whole", "check_images": 9, "check_interval": 20}
    more = {"solver": solver, "rate": 0.2 if task == "regression" else 1.0}
    fit = fits.fit_of(section | more, index, taken, Path("model"), seed=3)
    (validation, test), fitted = fitting.run(fit)
    found, y = predictions.outputs(validation), index.targets[validation.row]
    y = y.reshape(found.shape)
    assert predictions.outputs(test).shape == (2, found.shape[1])
    assert fitted.training is not None
    checks = fitted.training.checks
    # A constant for all images has 0.5 for each number, and 0.69 for the first label.
    assert checks[-1].validation_loss < 0.35
    if task == "regression":
        trained = index.targets[np.flatnonzero(index.folds == 1)].reshape(-1, y.shape[1])
        errors = [mean_squared_error(*pair) for pair in zip(y.T, found.T, strict=True)]
        expected = sum(errors / trained.var(axis=0)) / 2
    else:
        pairs = zip(y.T, found.T, strict=True)
        expected = sum(log_loss(*pair, labels=[0, 1]) for pair in pairs)
    assert checks[-1].validation_loss == pytest.approx(expected, rel=1e-4)


def test_balance_is_of_classes() -> None:
    section = tiny.FINETUNED | {"class_balance": True}
    with pytest.raises(ConfigError, match="class_balance is of classes.*'regression' has none"):
        estimator(section, "full").check_task(TASKS["regression"])
