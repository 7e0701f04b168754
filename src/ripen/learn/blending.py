"""The blend of a competition's models, by their out-of-fold predictions, scored by nested folds.

The rows of a fold are blended with weights that the other folds gave, and by the method that these
other folds chose: nothing of a row's own fold is in its blend. So the blend's out-of-fold
predictions are as honest as any model's, and its score may be compared with theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition import predictions
from ripen.competition.index import INDEX, Index
from ripen.competition.scorer import Scorer
from ripen.competition.shares import deal
from ripen.competition.splitters.folds import classes_of, codes
from ripen.core.errors import ConfigError, DataError
from ripen.core.json_files import read_json, write_json
from ripen.core.layout import BLEND, Layout
from ripen.core.registry import nearest
from ripen.learn.blenders import (
    Blender,
    Floats,
    Ints,
    Mixture,
    Sample,
    as_json,
    chosen,
    from_json,
)
from ripen.learn.estimator import estimator
from ripen.settings.schema import Blend, Competition

FILE = "blend.json"
MOST = 5  # folds of folds: more cost time, and change little


def members(competition: Competition) -> list[str]:
    """Return the models that a competition's blend is made of; none without a blend.

    A model of some folds only has no outputs for the other rows, and is no member.
    """
    if competition.blend is None:
        return []
    whole = [
        name
        for name, section in competition.models.items()
        if estimator(section, f"models.{name}").folds is None
    ]
    found = competition.blend.models or whole
    return found if len(found) > 1 else []


def check(competition: Competition, where: str) -> None:
    """Check the settings of a blend.

    Raises
    ------
    ConfigError
        If a member is no model of the competition or predicts some folds only, a blender is
        unknown, or a model has the blend's name.
    """
    if BLEND in competition.models:
        raise ConfigError(f"{where}: models.{BLEND}: the blend has this name. Choose another")
    if competition.blend is None:
        return
    for name in competition.blend.models or ():
        if name not in competition.models:
            raise ConfigError(
                f"{where}: blend.models names '{name}', which is not in models"
                f"{nearest(name, competition.models)}"
            )
        folds = estimator(competition.models[name], f"models.{name}").folds
        if folds is not None:
            raise ConfigError(
                f"{where}: blend.models names '{name}', which predicts {folds} of the folds. Take "
                f"it off the list, or set models.{name}.folds to null"
            )


# --- What is blended -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """The outputs of several models for the same rows.

    Attributes
    ----------
    models : list of str
    rows : int64 ndarray of shape (n,)
        Of the index: those held out.
    outputs : float64 ndarray of shape (m, n, k)
        Out-of-fold.
    folds : int64 ndarray of shape (n,)
        From 0. The rows of a single hold-out are dealt to folds of their own.
    test : int64 ndarray of shape (t,)
        Rows of the index.
    answers : float64 ndarray of shape (m, t, k)
    """

    models: list[str]
    rows: Ints
    outputs: Floats
    folds: Ints
    test: Ints
    answers: Floats


def pool(
    tables: Mapping[str, pd.DataFrame], index: Index, layout: Layout, settings: Blend, seed: int
) -> Pool:
    """Bring the predictions of models together.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Predictions by model.
    index : Index
    layout : Layout
        For errors.
    settings : Blend
    seed : int
        Of the folds of a hold-out.

    Raises
    ------
    DataError
        If no row is held out, or a model lacks rows, or its rows were held out in other folds.
    """
    learnable = index.learnable()
    own = index.folds[learnable]
    rows = np.concatenate(
        [learnable[own == k] for k in np.unique(own[own >= 0])] or [learnable[:0]]
    )
    if not len(rows):
        raise DataError(
            "no row is held out, and a blend is fitted to held-out rows. Set blend to null, or "
            "validation.split to another than none"
        )
    test = index.part("test")
    parts: dict[str, list[Floats]] = {"validation": [], "test": []}
    for model, table in tables.items():
        file = layout.model(model) / predictions.FILE
        for (part, found), wanted in zip(parts.items(), (rows, test), strict=True):
            given = table[table["part"] == part]
            _check_rows(given["row"].to_numpy(np.int64), wanted, part, file, layout)
            found.append(predictions.outputs(given))
    return Pool(
        list(tables),
        rows,
        np.stack(parts["validation"]),
        _folds(index, rows, settings.folds, seed),
        test,
        np.stack(parts["test"]),
    )


def _check_rows(found: Ints, wanted: Ints, part: str, file: Path, layout: Layout) -> None:
    """Check that a model predicts the rows of the index, fold by fold."""
    if np.array_equal(found, wanted):
        return
    index = layout.prepared / INDEX
    again = "Fit it again: dvc repro --force fit@" + f"{layout.competition}.{file.parent.name}"
    if len(lacking := np.setdiff1d(wanted, found)):
        raise DataError(
            f"{file}: {len(lacking)} of {len(wanted)} {part} rows of {index} are missing, the "
            f"first is row {lacking[0]}. {again}"
        )
    if len(more := np.setdiff1d(found, wanted)):
        raise DataError(f"{file}: row {more[0]} is no {part} row of {index}. {again}")
    raise DataError(f"{file}: its rows were held out in other folds than those of {index}. {again}")


def _folds(index: Index, rows: Ints, folds: int, seed: int) -> Ints:
    """Return the fold of each held-out row, from 0, at most `MOST` of them.

    A single hold-out is dealt to folds with even shares of the classes and whole groups.
    """
    own = index.folds[rows]
    numbers = np.unique(own)
    if len(numbers) > 1:
        return np.searchsorted(numbers, own).astype(np.int64) % MOST
    groups = index.groups.to_numpy(object)[rows]
    groups = np.where(groups == "", [f"row {row}" for row in rows], groups)
    count = min(folds, len(set(groups)))
    if count < 2:
        raise DataError(
            "a blend is fitted to at least two groups of held-out rows. Set blend: null"
        )
    classes = classes_of(index.targets[rows], count)
    return deal(
        np.unique(classes, return_inverse=True)[1], codes(groups), [1 / count] * count, seed
    )


# --- How it is blended ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Blended:
    """A blend.

    Attributes
    ----------
    mixture : Mixture
        Fitted to all held-out rows; it blends the test rows.
    outputs : float64 ndarray of shape (n, k)
        Out-of-fold: each fold's rows by a mixture of the other folds.
    scores : dict of str to float
        The metric of each method, of out-of-fold rows.
    methods : list of str
        The method of each fold's mixture.
    """

    mixture: Mixture
    outputs: Floats
    scores: dict[str, float]
    methods: list[str]


@dataclass(frozen=True)
class Nested:
    """Fits blends to some folds of a pool, each no more than once."""

    pool: Pool
    scorer: Scorer
    index: Index
    settings: Blend
    seed: int
    blenders: dict[str, Blender]
    fitted: dict[tuple[str, tuple[int, ...], int], Mixture] = field(default_factory=dict)

    def mixture(self, method: str, folds: tuple[int, ...], bags: int) -> Mixture:
        """Return the blend of a method, fitted to the rows of some folds."""
        key = method, folds, bags
        if key not in self.fitted:
            kept = np.flatnonzero(np.isin(self.pool.folds, folds))
            rows = self.pool.rows[kept]
            sample = Sample(
                self.pool.outputs[:, kept],
                self.index.targets[rows],
                lambda some, outputs: self.scorer.loss(rows[some], outputs),
                self.index.task,
                self.scorer.metric,
                bags,
                self.settings.steps,
                self.seed,
                None if self.index.weight is None else self.index.weight[rows],
            )
            self.fitted[key] = self.blenders[method].fit(sample)
        return self.fitted[key]

    def out_of_fold(self, method: str, folds: tuple[int, ...]) -> tuple[Ints, Floats]:
        """Return the places of the rows of some folds, and their blend by the other ones of them.

        By one bag each: this compares methods, and there are many of these fits.
        """
        places, found = [], []
        for fold in folds:
            held = np.flatnonzero(self.pool.folds == fold)
            others = tuple(other for other in folds if other != fold)
            places.append(held)
            found.append(self.mixture(method, others, 1).predict(self.pool.outputs[:, held]))
        return np.concatenate(places), np.concatenate(found)

    def losses(self, method: str, folds: tuple[int, ...]) -> Floats:
        """Return the loss of a method in each of some folds, blended by the other ones of them."""
        places, outputs = self.out_of_fold(method, folds)
        own = self.pool.folds[places]
        return np.array(
            [
                self.scorer.loss(self.pool.rows[places[own == fold]], outputs[own == fold])
                for fold in folds
            ]
        )

    def best(self, folds: tuple[int, ...]) -> Mixture:
        """Return the blend fitted to some folds, by the method that is best within them.

        That is the first, unless another gains more than the standard error over these folds: the
        lowest of several scores that differ by chance is the luckiest one.
        """
        first, *others = self.blenders
        method = first
        if others and len(folds) > 1:
            base, most = self.losses(first, folds), 0.0
            for other in others:
                gains = base - self.losses(other, folds)
                error = gains.std(ddof=1) / np.sqrt(len(gains))
                if gains.mean() > max(error, most):  # never of an undefined loss
                    method, most = other, gains.mean()
        return self.mixture(method, folds, self.settings.bags)


def blend(pool: Pool, index: Index, scorer: Scorer, settings: Blend, seed: int) -> Blended:
    """Blend models by the competition's metric, each fold by the others, and then by all folds.

    Raises
    ------
    ConfigError
        If none of the methods fits the task and the metric.
    """
    blenders = chosen(settings.methods, index.task, scorer.metric)
    if not blenders:
        raise ConfigError(
            f"blend.methods: {', '.join(settings.methods)}: none fits task '{index.task.name}' and "
            f"metric '{scorer.metric.name}'. Add greedy"
        )
    if scorer.metric.needs in ("label", "submission"):
        # Such a metric counts rows. Few of them are near a decision, and a selection fits those.
        blenders = dict(sorted(blenders.items(), key=lambda pair: pair[0] == "greedy"))
    nested = Nested(pool, scorer, index, settings, seed, blenders)
    folds = tuple(int(fold) for fold in np.unique(pool.folds))
    outputs = np.empty(pool.outputs.shape[1:])
    methods = []
    for fold in folds:
        mixture = nested.best(tuple(other for other in folds if other != fold))
        held = pool.folds == fold
        outputs[held] = mixture.predict(pool.outputs[:, held])
        methods.append(mixture.method)
    scores = {}
    for method in blenders:
        places, found = nested.out_of_fold(method, folds)
        scores[method] = scorer.score_or_nan(pool.rows[places], found)
    return Blended(nested.best(folds), outputs, scores, methods)


def write(folder: Path, blended: Blended, pool: Pool) -> None:
    """Write a blend's predictions, in the form of every model's, and its members and weights."""
    tables = [predictions.table("validation", pool.rows, blended.outputs)]
    if len(pool.test):
        answers = blended.mixture.predict(pool.answers)
        tables.append(predictions.table("test", pool.test, answers))
    predictions.write(folder, tables)
    about = as_json(blended.mixture, pool.models) | {
        "scores": {
            name: round(score, 6) for name, score in blended.scores.items() if np.isfinite(score)
        },
        "methods": blended.methods,
    }
    write_json(folder / FILE, about)


def read(folder: Path) -> tuple[list[str], Mixture]:
    """Read the members of a blend and their mixture, to blend other rows by it."""
    values = read_json(folder / FILE)
    return list(values["weights"]), from_json(values)


def weights(folder: Path) -> dict[str, float]:
    """Return the weight of each member of a blend, the largest first."""
    found = read_json(folder / FILE)["weights"]
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def used(folder: Path) -> list[str]:
    """Return the members of a blend that have a weight."""
    members, mixture = read(folder)
    return [name for name, weight in zip(members, mixture.weights, strict=True) if weight]


def of_other_rows(folder: Path, tables: Mapping[str, pd.DataFrame]) -> Floats:
    """Blend the outputs of the members that have a weight, for rows that the blend has not seen."""
    members, mixture = read(folder)
    found = {name: predictions.outputs(table) for name, table in tables.items()}
    none = np.zeros_like(next(iter(found.values())))
    return mixture.predict(np.stack([found.get(name, none) for name in members]))
