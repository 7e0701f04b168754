"""Fit one model: out-of-fold predictions of every labelled row, then the test rows.

One way for every estimator. A fold's files are kept beside the pipeline until the model is whole,
so that a fit that was killed goes on with the next fold.
"""

import gc
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.index import Ints
from ripen.competition.metrics import METRICS
from ripen.core.atomic import replacing
from ripen.core.errors import DataError
from ripen.core.frames import read_frame, write_frame
from ripen.learn import averaging, pseudo_labels, rare, target_transform, tuning
from ripen.learn.convergence import Check, Training, write_training
from ripen.learn.estimator import Estimator, Fitted, Outputs, Work, ignore
from ripen.learn.model_fit import Fit, Fold


def run(fit: Fit) -> tuple[list[pd.DataFrame], Fitted]:
    """Fit a model without each fold, then predict the test rows.

    Returns
    -------
    list of DataFrame, Fitted
        Its predictions (`ripen.competition.predictions`), and the model that stands for it: of all
        rows where it refits, else that of the first fold.

    Raises
    ------
    DataError
        If the training rows of some fold are too few.
    """
    test, learnable = fit.index.part("test"), fit.index.learnable()
    folds, kept, unfitted = fit.folds(), fit.kept, missing(fit)
    if len(unfitted) < len(folds):
        _restore(kept, fit.work.folder)
    outputs, answers, before, curves = [], [], [], []
    fitted: Fitted | None = None
    for place, fold in enumerate(folds):
        if place in unfitted or (place == len(folds) - 1 and not fit.refits):
            fitted = fit_fold(fit, place, kept)
        saved = _kept(kept, place)
        assert saved is not None  # it was fitted just now, or found whole
        outputs.append(saved.outputs)
        answers.append(saved.answers)
        before.append(saved.before)
        if (kept / f"{place}.csv").exists():
            curves.append(read_frame(kept / f"{place}.csv"))
        fit.say(f"without {fold.name}")
    tables = []
    if folds:
        tables.append(predictions.table("validation", *out_of_fold(folds, outputs)))
        if fit.pseudo_labels:
            table = predictions.table("validation", *out_of_fold(folds, before))
            predictions.write(fit.work.folder, [table], pseudo_labels.BEFORE)
    refits = fit.refits or fitted is None
    if refits:
        fitted = _everything(fit, learnable, curves)
        fit.say("on all rows")
    assert fitted is not None
    if len(test):
        found = fitted.predict(fit.input.take(test)) if refits else np.mean(answers, axis=0)
        tables.append(predictions.table("test", test, found))
    shutil.rmtree(kept, ignore_errors=True)
    return tables, fitted


def missing(fit: Fit) -> list[int]:
    """Return the folds that are to be fitted, by their places.

    Where no model is refitted the last fold's stands for all, and is fitted at the end.
    """
    count = len(fit.folds()) - (not fit.refits)
    return [place for place in range(count) if _kept(fit.kept, place) is None]


def for_test_rows(fit: Fit) -> Iterator[Fitted]:
    """Fit the models whose mean outputs are those of the test rows: of all rows, or of the folds.

    Each is valid until the next one is drawn.
    """
    folds = fit.folds()
    if fit.refits or not folds:
        yield _everything(fit, fit.index.learnable(), [])
        return
    for place, fold in enumerate(folds):
        yield _fold(fit, fold, place, fold.held[:0])[0]


def fit_fold(fit: Fit, place: int, kept: Path) -> Fitted:
    """Fit a model without a fold; keep the fold's files in a folder, and return the model."""
    fitted, found = _fold(fit, fit.folds()[place], place, fit.index.part("test"))
    _keep(kept, fit.work.folder, place, found, fitted.training)
    return fitted


def out_of_fold(folds: Sequence[Fold], outputs: Sequence[Outputs]) -> tuple[Ints, Outputs]:
    """Return the held-out rows, fold by fold, and their outputs: the mean over the repeats."""
    rows = np.concatenate([fold.held for fold in folds])
    found = np.concatenate(outputs)
    if all(fold.repeat == 0 for fold in folds):
        return rows, found
    # In the order of the first split, in which every row has its first place.
    unique, first, places, counts = np.unique(
        rows, return_index=True, return_inverse=True, return_counts=True
    )
    total = np.zeros((len(unique), found.shape[1]))
    np.add.at(total, places, found)
    order = np.argsort(first)
    return unique[order], (total / counts[:, None])[order]


class Kept(NamedTuple):
    """A fold's outputs: of the rows held out, and of the test rows.

    `before` holds those of the rows held out by the model that learnt from no pseudo-labels.
    """

    outputs: Outputs
    answers: Outputs
    before: Outputs


def _fold(fit: Fit, fold: Fold, place: int, test: Ints) -> tuple[Fitted, Kept]:
    """Fit without a fold; return the model, and its outputs for the fold and the test rows."""
    fit.check_enough(fold.train, f"without {fold.name} ")
    # Nets hold reference cycles. Collect them now, or two nets' arrays are in memory at once.
    gc.collect()
    with _folder(fit, place) as folder:
        first = folder == fit.work.folder
        callback = fit.work.callback if first else ignore
        work = replace(fit.work, folder=folder, callback=callback, seed=fit.work.seed + fold.repeat)
        estimator = tuning.tuned(fit, fold.train, fold.name, fold.repeat)
        fitted, before = _learnt_from(fit, estimator, fold.train, fold.held, work, fold.name)
        out = fitted.predict(fit.input.take(fold.held))
        answers = fitted.predict(fit.input.take(test)) if len(test) and not fit.refits else out[:0]
        if fitted.training is not None and not fit.refits:
            write_training(folder, fitted.training)
    return fitted, Kept(out, answers, out[:0] if before is None else before)


def _everything(fit: Fit, learnable: Ints, curves: Sequence[pd.DataFrame]) -> Fitted:
    """Fit to all labelled rows; its curve's validation is the mean of the folds' curves.

    Its own would be of rows that it learns.
    """
    if fit.estimator.learns:
        fit.check_enough(learnable, "")
    gc.collect()
    estimator = tuning.tuned(fit, learnable, "all rows")
    means = {
        column: np.mean([each[column] for each in curves], axis=0)
        for column in ("validation_loss", "validation_accuracy")
        if curves
    }
    checks = count()

    def follow(check: Check) -> None:
        place = next(checks)
        held_out: dict[str, Any] = {
            column: float(values[place]) for column, values in means.items()
        }
        fit.work.callback(replace(check, **held_out))

    work = replace(fit.work, callback=follow)
    fitted, _ = _learnt_from(fit, estimator, learnable, None, work, "all rows")
    if fitted.training is not None:
        write_training(fit.work.folder, fitted.training)
        write_frame(fit.work.folder / "curve.csv", fitted.training.curve().assign(**means))
    return fitted


def _learnt_from(
    fit: Fit, estimator: Estimator, train: Ints, held: Ints | None, work: Work, name: str
) -> tuple[Fitted, Outputs | None]:
    """Fit to rows, and again with the test rows that the first fit labels, if the settings say so.

    Returns
    -------
    Fitted, ndarray or None
        The model, and with pseudo-labels the first fit's outputs on the rows held out.
    """
    if fit.pseudo_labels is None:
        return _fitted(fit, estimator, train, held, work), None
    test, before = fit.index.part("test"), None
    if not len(test):
        raise DataError("pseudo_labels: there are no test rows to label. Set it to null")
    with tempfile.TemporaryDirectory() as temporary:
        aside = replace(work, folder=Path(temporary), callback=ignore, history=False)
        first = _fitted(fit, estimator, train, held, aside)
        if held is not None:
            before = first.predict(fit.input.take(held))
        found = first.predict(fit.input.take(test))
    index, sure = pseudo_labels.labelled(fit.index, train, test, found, fit.pseudo_labels)
    fit.say(f"{name}: labelled {len(sure)} of {len(test)} test rows")
    more = replace(fit, index=index)
    return _fitted(more, estimator, np.concatenate([train, sure]), held, work), before


def _fitted(fit: Fit, estimator: Estimator, train: Ints, held: Ints | None, work: Work) -> Fitted:
    """Fit to rows; classes of too few rows are left out, where at least two others remain."""
    train = fit.taken(train)
    known = fit.learnt(train)
    if known is None:
        validation = None if held is None else fit.rows(held)
        return averaging.fit(estimator, fit.rows(train), validation, work)
    labels = fit.index.targets
    train = train[np.isin(labels[train], known)]
    held = np.array([], np.int64) if held is None else held[np.isin(labels[held], known)]
    validation = rare.renumbered(fit.rows(held), known) if len(held) else None
    work = replace(work, outputs=len(known))
    fitted = averaging.fit(estimator, rare.renumbered(fit.rows(train), known), validation, work)
    return rare.Widened(fitted, known, len(fit.index.names), 1 / (len(train) + 1))


def learning_curve(fit: Fit, sizes: Sequence[int]) -> pd.DataFrame:
    """Score the model fitted to ever more rows.

    If the test part's targets are known, it gives the score, and the rows come from the training
    part and from `more`, in their order. Otherwise the first fold gives the score, and the rows are
    drawn from the other folds. Sizes that are too large or too small to learn from are absent.

    Returns
    -------
    DataFrame
        Columns n_train and score (`score`).
    """
    pool, held, validation = _pool(fit)
    measured = []
    if fit.estimator.has_learning_curve and len(held):
        for size in sizes:
            if size > len(pool) or not fit.enough(pool[:size]):
                continue
            with tempfile.TemporaryDirectory() as temporary:
                work = replace(fit.work, folder=Path(temporary), callback=ignore, history=False)
                rows = fit.rows(pool[:size]), fit.rows(validation)
                fitted = target_transform.fit(fit.estimator, *rows, work)
                out = fitted.predict(fit.input.take(held)).astype(np.float64)
            measured.append({"n_train": size, "score": score(fit, held, out)})
            fit.say(f"learning curve: {size} rows")
    return pd.DataFrame(measured, columns=["n_train", "score"])


def score(fit: Fit, rows: Ints, outputs: NDArray[np.float64]) -> float:
    """Return the score of a learning curve, by the first metric of its task."""
    return METRICS[fit.index.task.metrics[0]](fit.index.targets[rows], outputs)


def _pool(fit: Fit) -> tuple[Ints, Ints, Ints]:
    """Return the rows to learn from, those to score on, and those to validate on."""
    learnable, folds = fit.index.learnable(), fit.index.folds
    test, more = fit.index.part("test"), fit.index.part("more")
    known = test[fit.index.known()[test]]
    first = learnable[folds[learnable] == 0]
    others = learnable[folds[learnable] != 0]
    if len(known):
        return np.concatenate([others, more]), known, first
    order = np.random.default_rng(fit.work.seed).permutation(others)
    return order, first, first


@contextmanager
def _folder(fit: Fit, place: int) -> Iterator[Path]:
    """Yield the folder of a fold's files, which are kept where they stand for the model."""
    if fit.refits:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = fit.work.folder if place == 0 else fit.work.folder / f"fold_{place}"
    folder.mkdir(exist_ok=True)
    yield folder


def _kept(kept: Path, place: int) -> Kept | None:
    """Return what `_keep` wrote; None of a fold that is not finished, or whose file is damaged."""
    try:
        with (kept / f"{place}.npz").open("rb") as file, np.load(file) as saved:
            return Kept(*(saved[name] for name in Kept._fields))
    except Exception:  # parsers raise errors of any type; the fold is fitted again
        return None


def _keep(kept: Path, folder: Path, place: int, found: Kept, training: Training | None) -> None:
    """Keep a fold's results, all or none: the arrays are written last and mark it complete."""
    kept.mkdir(parents=True, exist_ok=True)
    # Other processes may be at work in the folders of other folds.
    own = Path(f"fold_{place}" if place else ".")
    if (folder / own).exists():
        others = shutil.ignore_patterns() if place else shutil.ignore_patterns("fold_*")
        shutil.copytree(folder / own, kept / "files" / own, dirs_exist_ok=True, ignore=others)
    if training is not None:
        write_frame(kept / f"{place}.csv", training.curve())
    with replacing(kept / f"{place}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **found._asdict())


def _restore(kept: Path, folder: Path) -> None:
    """Bring back the files of the folds that are finished."""
    if (kept / "files").exists():
        shutil.copytree(kept / "files", folder, dirs_exist_ok=True)
