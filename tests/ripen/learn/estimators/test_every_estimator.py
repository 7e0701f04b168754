"""What holds for every estimator of the registry, on small data of the kind that it takes.

An estimator of a table whose settings all have defaults is tested without being named here. Any
other needs a case in `CASES`: without it every test of it fails.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import caffe
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.splitters import splitter
from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError
from ripen.data.encoders import ENCODERS
from ripen.learn import fitting
from ripen.learn.estimator import ESTIMATORS, Estimator, Rows, estimator
from ripen.learn.inputs import Input
from ripen.learn.model_fit import Fit
from ripen.learn.models import mlp
from ripen.nets.zoo import lenet
from tests.ripen.learn import fits, tiny

N = 60
TASKS = ("binary", "multiclass", "regression")
SOLVER = {"base_lr": 0.05, "lr_policy": "fixed", "momentum": 0.9, "max_iter": 200}
TRAIN = {
    "batch_size": 20,
    "check_interval": 50,
    "tolerance": 0.0,
    "patience": 5,
    "early_stopping": 100,
}
TREES = {"max_iter": 30, "learning_rate": 0.2, "early_stopping": 5}


@dataclass(frozen=True)
class Case:
    """Settings that fit to little data, and the kind of it that an estimator takes."""

    settings: dict[str, Any] = field(default_factory=dict)
    data: str = "table"  # "table", "features", "pixels" (a table of images) or "images"


CASES = {
    "caffe_net": Case(
        {
            "net": {
                "hidden_layers": [8],
                "activation": "tanh",
                "dropout": 0.0,
                "weights": "xavier",
            },
            "solver": SOLVER,
            "train": TRAIN,
        }
    ),
    "catboost": Case(TREES),
    "extra_trees": Case({"n_estimators": 20}),
    "finetune": Case(
        {
            "layers": "all",
            "pretrained": True,
            "finetune": {
                "from": "pretrained",
                "replace": ["ip2"],
                "freeze_until": "relu3",
                "lr_mult_new": 10.0,
            },
            "solver": SOLVER | {"base_lr": 0.01, "max_iter": 20},
            "train": TRAIN | {"check_interval": 10},
        },
        "pixels",
    ),
    "finetune_images": Case(tiny.FINETUNED | {"folds": None}, "images"),
    "head": Case(
        {"inputs": ["tiny"], "batch_size": 20, "check_interval": 50, "solver": SOLVER},
        "features",
    ),
    "hist_gradient_boosting": Case(TREES | {"min_samples_leaf": 2}),
    "k_nearest_neighbors": Case({"n_neighbors": 3}),
    "lightgbm": Case(TREES | {"min_child_samples": 2, "num_leaves": 4}),
    "pretrained": Case({"inputs": ["images"], "net": "tiny", "batch_size": 4}, "images"),
    "random_forest": Case({"n_estimators": 20}),
    "xgboost": Case(TREES),
}


def section_of(name: str) -> dict[str, Any]:
    """Return a section of `models` with an estimator's case."""
    section = {"estimator": name} | CASES.get(name, Case()).settings
    try:
        estimator(section, name)
    except ConfigError as error:
        pytest.fail(f"{error}. Add its settings to CASES of {__file__}")
    return section


def data_of(name: str) -> str:
    return CASES.get(name, Case()).data


def of_kind(*kinds: str) -> list[str]:
    return [name for name in ESTIMATORS if data_of(name) in kinds]


def classifiers(*kinds: str) -> list[str]:
    some = of_kind(*kinds) if kinds else list(ESTIMATORS)
    return [name for name in some if ESTIMATORS[name].does != "regresses"]


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has what nets begin with: LeNet of five classes, and the tiny net."""
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)
    folder = Path("pretrained")
    folder.mkdir()
    write_text(folder / "deploy.prototxt", mlp.to_text(lenet.lenet8_deploy(5)))
    source = Path("none.txt"), 1
    write_text(
        folder / "train_val.prototxt", mlp.to_text(lenet.lenet8_train_val(5, source, source))
    )
    caffe.set_random_seed(2)
    caffe.Net(lenet.lenet8_deploy(5), caffe.TEST).save(str(folder / "model.caffemodel"))


def made(
    name: str, task: str, n: int = N, tests: int = 6, folds: int = 2
) -> tuple[Index, Input, pd.DataFrame | NDArray[np.float32] | None]:
    """Return an index of labelled and test rows, dealt to folds, and what models take of them."""
    kind = data_of(name)
    frame, signal = fits.table(n + tests)
    targets = fits.targets_of(task, signal)
    values: pd.DataFrame | NDArray[np.float32] | None = None
    classes: tuple[str, ...] | None = None
    if kind == "images":
        taken: Input
        taken, targets, _ = fits.images_input(n // 2, tests)
        classes = ("cat", "dog")
        if name == "pretrained":  # it knows these classes and no other
            classes = tuple(f"class {k}" for k in range(tiny.CLASSES))
            targets = [classes[row % 5] for row in range(n)] + [""] * tests
        if task == "regression":
            numbers = {"cat": "0.5", "dog": "1.5", "": ""}
            targets, classes = [numbers.get(target, "1") for target in targets], ()
    elif kind == "table":
        values, taken = frame, fits.table_input(frame)
    else:
        random, wide = np.random.default_rng(1), tiny.MAPS if kind == "features" else 64
        noise = random.normal(0, 0.3, (n + tests, wide)).astype(np.float32)
        values = noise + signal[:, None].astype(np.float32)
        pixels = pd.DataFrame(values).rename(columns=str)
        taken = (
            fits.features_input(values) if kind == "features" else fits.table_input(pixels, 16.0)
        )
    fold = [row % folds for row in range(n)] + [-1] * tests
    parts = ["train"] * n + ["test"] * tests
    return fits.index_of(task, targets, fold, parts, classes), taken, values


def fitted(
    name: str, task: str, folder: str, folds: int | None = None, **more: Any
) -> tuple[Fit, Any]:
    """Fit a model to two folds, or the first of them, and to all rows; return its predictions."""
    index, taken, _ = made(name, task)
    split = splitter({"split": "stratified", "folds": 2})
    if not ESTIMATORS[name].learns:
        split = splitter({"split": "none"})
    section = section_of(name) | ({"folds": folds} if folds else {})
    fit = fits.fit_of(section, index, taken, Path(folder), split, **more)
    return fit, pd.concat(fitting.run(fit)[0])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_it_has_a_case_where_its_settings_have_no_defaults(name: str) -> None:
    assert isinstance(estimator(section_of(name), name), ESTIMATORS[name])
    assert set(CASES) <= set(ESTIMATORS)


@pytest.mark.slow
@pytest.mark.parametrize("name", classifiers())
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_of_every_row_sum_to_1(name: str, task: str) -> None:
    if data_of(name) == "images" and task == "multiclass":
        pytest.skip("the images are of two classes")
    fit, table = fitted(name, task, "model")
    test = table[table.part == "test"]
    assert test.row.tolist() == list(range(N, N + 6))
    if fit.estimator.learns:
        assert sorted(table.row[table.part == "validation"]) == list(range(N))
    found = predictions.outputs(table)
    assert found.shape == (len(table), len(fit.index.classes))
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=5e-6)


@pytest.mark.parametrize("name", classifiers("table", "features", "pixels"))
def test_it_learns_what_the_target_follows_from(name: str) -> None:
    fit, table = fitted(name, "binary", "model")
    validation = table[table.part == "validation"]
    guessed = predictions.outputs(validation).argmax(axis=1)
    assert np.mean(guessed == fit.index.targets[validation.row]) > 0.6


@pytest.mark.parametrize("name", ESTIMATORS)
def test_regression_gives_values_or_one_line_that_it_only_classifies(name: str) -> None:
    index, taken, _ = made(name, "regression")
    fit = fits.fit_of(section_of(name), index, taken, Path("model"))
    table, said = None, f"estimator '{name}' only classifies. For a regression set it to null"
    try:
        table = pd.concat(fitting.run(fit)[0])
    except ConfigError as error:
        message = str(error)
    if table is None:
        assert message == said
        return
    found = predictions.outputs(table)
    assert found.shape == (N + 6, 1)
    truth = index.targets[table.row]  # NaN for test rows
    known = np.isfinite(truth)
    assert np.corrcoef(found[known, 0], truth[known])[0, 1] > 0.5


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_seed_gives_the_same_bytes(name: str) -> None:
    tables, left = [], []
    task = "regression" if ESTIMATORS[name].does == "regresses" else "binary"
    for _ in range(2):
        _, table = fitted(name, task, "model", folds=1, key="twice")
        tables.append(table.to_csv().encode())
        left.append({p.relative_to("model"): p.read_bytes() for p in files("model")})
        shutil.rmtree("model")
    assert tables[0] == tables[1]
    assert left[0] == left[1]


def files(folder: str) -> Iterator[Path]:
    return (path for path in sorted(Path(folder).rglob("*")) if path.is_file())


WATCHING = ("caffe_net", "finetune", "finetune_images")
"""Those that end by the validation rows' loss: what they see of these is a number, as the talk has
it. The test below is theirs."""


def every_kind(n: int, seed: int) -> pd.DataFrame:
    """Return a table with columns of every kind, some values missing."""
    rng = np.random.default_rng(seed)
    words = np.array(["ripe", "green", "soft", "from Peru", "very large", "on offer"])
    table = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "category": rng.choice(["red", "blue", ""], n),
            "levels": pd.Categorical(rng.choice([f"level {k}" for k in range(9)], n)),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n), ["S", "M", "L"], ordered=True),
            "fresh": pd.array(rng.random(n) < 0.5, "boolean"),
            "day": pd.Timestamp("2016-03-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
            "note": [f"{number} {' '.join(rng.choice(words, 3))}" for number in range(n)],
        }
    )
    table.loc[::7, ["number", "levels", "size", "fresh", "day"]] = None
    return table


def poisoned(table: pd.DataFrame, rows: NDArray[np.bool_], labels: list[str]) -> pd.DataFrame:
    """Return a table whose columns tell the targets of some rows, by values found only there.

    Columns that have no other values are constant there: a model that is no better than chance on
    training values may still be right on the two groups of rows that they would tell apart.
    """
    known = pd.Series(labels).astype("category").cat.codes.to_numpy(np.float64)[rows]
    found = table.assign(levels=table["levels"].astype(object))
    found.loc[rows, "number"] = 1e3 * known + 500
    for name in ("category", "levels", "note"):
        found.loc[rows, name] = [f"poison {label}" for label in known]
    found.loc[rows, "size"] = "L"
    found.loc[rows, "fresh"] = True
    found.loc[rows, "day"] = pd.Timestamp("1999-12-31")
    return found.assign(levels=found["levels"].astype("category"))


def encoders_of(name: str) -> list[str]:
    kind = ESTIMATORS[name]
    return list(getattr(kind, "encoders", ())) if data_of(name) == "table" else []


ENCODED = [(name, each) for name in ESTIMATORS for each in encoders_of(name)]
FIRST = {encode: name for name, encode in reversed(ENCODED) if name not in WATCHING}


def is_first(name: str, encode: str) -> bool:
    """Whether it is the estimator's first encoder, or this the encoder's first estimator."""
    return encode == encoders_of(name)[0] or name == FIRST[encode]


def test_every_encoder_of_the_registry_is_taken_by_some_estimator() -> None:
    assert {each for _, each in ENCODED} == set(ENCODERS)


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        pytest.param(name, encode, marks=[] if is_first(name, encode) else [pytest.mark.slow])
        for name, encode in ENCODED
        if name not in WATCHING
    ],
)
def test_nothing_fitted_sees_the_validation_part(name: str, encode: str) -> None:
    """A fold's model gives the same bytes whatever its validation rows and their targets are."""
    n, tests = 60, 12
    task = "regression" if ESTIMATORS[name].does == "regresses" else "binary"
    table, held = every_kind(n + tests, 5), np.arange(n + tests) < 20
    rng, answers = np.random.default_rng(6), []
    signal = rng.normal(size=n + tests)
    for seed in (None, 1):
        told = signal.copy()
        if seed is not None:
            told[held] = np.random.default_rng(seed).normal(size=20)
        targets = [
            repr(float(value)) if task == "regression" else ("no", "yes")[int(value > 0)]
            for value in told
        ]
        columns = table if seed is None else poisoned(table, held, targets)
        index = fits.index_of(
            task, targets, [0] * 20 + [-1] * (n - 20 + tests), ["train"] * n + ["test"] * tests
        )
        section = section_of(name) | {"encode": encode}
        folds = splitter({"split": "column", "column": "fold"})  # whose models are not refitted
        fit = fits.fit_of(section, index, fits.table_input(columns), Path("model"), folds)
        predicted = fitting.run(fit)[0]
        answers.append(predictions.outputs(predicted[1]))
        if seed is not None and task == "binary":
            found = predictions.outputs(predicted[0]).argmax(axis=1)
            assert 0.2 < np.mean(found == index.targets[:20]) < 0.8
    assert answers[0].tobytes() == answers[1].tobytes()


@pytest.mark.parametrize("name", [*WATCHING[:2], "head"])
def test_a_column_that_is_the_target_in_the_held_out_fold_alone_does_not_help(name: str) -> None:
    n, random = 200, np.random.default_rng(3)
    index, _, _ = made(name, "binary", n, 0)
    held, labels = index.folds == 0, index.targets.astype(np.int64)
    # Elsewhere it has the same values, of each class alike: no rule follows from them.
    alike = np.empty(n, np.int64)
    for fold in (0, 1):
        for label in (0, 1):
            rows = np.flatnonzero((index.folds == fold) & (labels == label))
            alike[rows] = np.arange(len(rows)) % 2
    for poisoned in (True, False):
        values = random.normal(size=(n, 64)).astype(np.float32)
        values[:, 0] = np.where(held, labels, alike) if poisoned else labels
        kind = data_of(name)
        if kind == "pixels":  # which a convolution sees in a place of their own
            values = np.repeat(values[:, :4], 16, axis=1)
        else:
            values = values[:, : 4 if kind == "table" else tiny.MAPS]
        frame = pd.DataFrame(values).rename(columns=str)
        taken = fits.features_input(values) if kind == "features" else fits.table_input(frame)
        fit = fits.fit_of(section_of(name), index, taken, Path(f"poisoned_{poisoned}"))
        table, _ = fitting.run(replace(fit, estimator=first_fold(fit.estimator)))
        found = predictions.outputs(table[0])
        reached = np.mean(found.argmax(axis=1) == labels[table[0].row])
        assert 0.3 < reached < 0.7 if poisoned else reached > 0.75, (poisoned, reached)


def first_fold(settings: Estimator) -> Estimator:
    return replace(settings, folds=1)


@pytest.mark.parametrize("name", [n for n in classifiers() if ESTIMATORS[n].learns])
def test_a_class_without_rows_in_a_fold_gets_the_probability_of_one_row(name: str) -> None:
    index, taken, _ = made(name, "multiclass" if data_of(name) != "images" else "binary")
    last = index.classes[-1]
    rows = index.rows.assign(
        fold=[0 if t == last else i % 2 for i, t in enumerate(index.rows.target)]
    )
    rows.loc[rows.part == "test", "fold"] = -1
    fit = fits.fit_of(section_of(name), replace(index, rows=rows), taken, Path("model"))
    if len(index.classes) == 2:  # nothing is left to tell apart
        message = rf"^without fold 0 class '{last}' has 0 rows, and the model needs \d$"
        with pytest.raises(DataError, match=message):
            fitting.run(fit)
        return
    fold = fit.folds()[0]
    found = predictions.outputs(
        fitting.run(replace(fit, estimator=first_fold(fit.estimator)))[0][0]
    )
    np.testing.assert_allclose(found[:, -1], 1 / (len(fold.train) + 1), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", classifiers("table", "features", "pixels"))
def test_a_class_that_training_rows_lack_keeps_its_column(name: str) -> None:
    index, taken, _ = made(name, "multiclass")
    lacking = np.flatnonzero(index.targets[:N] != 1)
    train, held = fits.rows_of(index, taken, lacking[:30]), fits.rows_of(index, taken, lacking[30:])
    folder = Path("model")
    model = estimator(section_of(name), name).fit(
        Rows(train.x, train.y), held, fits.work(folder, index, taken.encoder)
    )
    found = model.predict(held.x)
    assert found.shape == (len(held.y), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=5e-6)
    assert found[:, 1].mean() < min(found[:, 0].mean(), found[:, 2].mean())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_wrong_setting_is_named_with_the_right_one(name: str) -> None:
    section = section_of(name)
    key = [key for key in section if key != "estimator"] or ["folds"]
    typo = key[-1] + "s"
    with pytest.raises(ConfigError) as caught:
        estimator(section | {typo: 1}, "models.m")
    assert str(caught.value).startswith(f"models.m: unknown key '{typo}'; did you mean '{key[-1]}'")
    with pytest.raises(ConfigError, match=r"^models\.m: folds is 0: input should be greater than"):
        estimator(section | {"folds": 0}, "models.m")
    with pytest.raises(ConfigError, match=r"^models\.m: inputs is 'table': input should be"):
        estimator(section | {"inputs": "table"}, "models.m")


def test_an_unknown_estimator_suggests_a_known_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown estimator 'svn'; did you mean 'svm'\?"):
        estimator({"estimator": "svn"}, "models.m")
