"""baselines for photographs: the classic classifiers on colours, and on what frozen nets say.

Each is trained once without each fold, which it then predicts, and once on all that there is. What
it is given is scaled, and reduced to its first principal components: of the rows that it learns
from, like everything else.
"""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ripen.competition import metrics, predictions
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data import image_index as indexes
from ripen.learn.models.baselines import estimators
from ripen.learn.models.photographs import photographs
from ripen.learn.models.served import write_estimator
from ripen.learn.training import heads
from ripen.learn.training.tracked import log_served
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.baselines import Baselines
from ripen.settings.schema.photos import CatsVsDogs, ImageNetSubset, PhotoBaselines
from ripen.track.tracking import Tracker

Labels = NDArray[np.int64]
Learnt = CatsVsDogs | ImageNetSubset


def run(config: Config, competition: CompetitionName) -> None:
    """Read `features/` and the index, write `baselines/` and one MLflow run a classifier."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    index = indexes.read(layout.prepared / "index.csv")
    models = pipelines(own.baselines, config.seed)
    tables, scores, curve = [], {}, []
    with (
        fresh_folder(layout.baselines) as folder,
        Tracker(config, competition, "baselines") as tracker,
        progress("baselines", 2 * len(models)) as advance,
    ):
        for kind, nets in (("histogram", ["histogram"]), ("features", own.baselines.nets)):
            known = heads.read_known(layout.features, nets, index)
            check(known, own.baselines.classifiers)
            for classifier, model in models.items():
                name = f"{classifier}_{kind}"
                with tracker.model(name) as tracked:
                    started = time.perf_counter()
                    tracked.log_params({"nets": nets} | model[-1].get_params(deep=False))
                    file = layout.features / f"{nets[0]}.h5"
                    tracked.log_dataset(file, competition, known.rows.data, known.rows.labels)
                    found = cross_validated(model, known.rows, known.fold)
                    tables.append(predictions.table(name, "validation", known.ids, found))
                    fitted = fit(model, known.rows)
                    if len(known.test):
                        answers = fitted.predict_proba(known.test)
                        tables.append(predictions.table(name, "test", known.test_ids, answers))
                    scores[name] = scored(found, known.rows.labels, known.fold)
                    tracked.log_metrics({"training_seconds": time.perf_counter() - started})
                    crossed = {f"cross_validation/{k}": v for k, v in scores[name].items()}
                    tracked.log_metrics(crossed)
                    given = photographs(own.features, nets)
                    log_served(tracked, partial(write_estimator, estimator=fitted, given=given))
                learnt = learning_curve(model, known, own, config.seed)
                curve += [{"model": name} | row for row in learnt]
                advance(name)
        predictions.write(folder / "predictions.csv", tables)
        table = pd.DataFrame.from_dict(scores, orient="index").rename_axis("model")
        write_text(folder / "cross_validation.csv", table.to_csv(lineterminator="\n"))
        table = pd.DataFrame(curve, columns=["model", "n_train", "accuracy"])
        write_text(folder / "learning_curve.csv", table.to_csv(index=False, lineterminator="\n"))


def pipelines(settings: PhotoBaselines, seed: int) -> dict[str, ClassifierMixin]:
    """Return the unfitted classifiers, each behind the scaling and the reduction."""
    return {
        name: make_pipeline(
            StandardScaler(),
            PCA(settings.components, svd_solver="randomized", random_state=seed),
            estimator,
        )
        for name, estimator in estimators(settings.classifiers, seed).items()
    }


def cross_validated(model: ClassifierMixin, rows: heads.Rows, fold: Labels) -> NDArray[np.float64]:
    """Return each row's probabilities by the model that had not seen its fold."""
    found = np.empty((len(rows.labels), len(np.unique(rows.labels))))
    for k in np.unique(fold):
        fitted = fit(model, rows[fold != k])
        found[fold == k] = fitted.predict_proba(rows.data[fold == k])
    return found


def scored(found: NDArray[np.float64], labels: Labels, fold: Labels) -> dict[str, float]:
    """Return the accuracy, its standard deviation over the folds, and the log loss."""
    right = found.argmax(axis=1) == labels
    of_folds = [right[fold == k].mean() for k in np.unique(fold)]
    return {
        "accuracy": float(np.mean(of_folds)),
        "accuracy_sd": float(np.std(of_folds)),
        "log_loss": metrics.scores(labels, found)["log_loss"],
    }


def check(known: heads.Known, settings: Baselines) -> None:
    """Make sure that without any fold there are rows enough of each class.

    Raises
    ------
    DataError
        If there are not.
    """
    for k in np.unique(known.fold):
        if not enough(known.rows.labels[known.fold != k], known.rows, settings):
            raise DataError(
                f"without fold {k} there are fewer than {settings.folds} pictures of a class "
                f"(baselines.folds), or than {settings.k_nearest_neighbors.n_neighbors} in all "
                "(baselines.k_nearest_neighbors.n_neighbors)"
            )


def enough(labels: Labels, rows: heads.Rows, settings: Baselines) -> bool:
    """Say whether a classifier can learn from some of the rows, by their labels."""
    counts = np.bincount(labels, minlength=int(rows.labels.max()) + 1)
    neighbors = settings.k_nearest_neighbors.n_neighbors
    return bool(counts.min() >= settings.folds and counts.sum() >= neighbors)


def learning_curve(
    model: ClassifierMixin, known: heads.Known, own: Learnt, seed: int
) -> Iterator[dict[str, float]]:
    """Yield ``n_train`` and ``accuracy`` on fold 0 of the model fitted on some of the others.

    They are drawn by chance; sizes beyond what there is are left out, and those that have too few
    of a class.
    """
    rows, fold, classifiers = known.rows, known.fold, own.baselines.classifiers
    order = np.random.default_rng(seed).permutation(np.flatnonzero(fold != 0))
    held_out = rows[fold == 0]
    for size in own.learning_curve:
        if size <= len(order) and enough(rows.labels[order[:size]], rows, classifiers):
            accuracy = fit(model, rows[order[:size]]).score(held_out.data, held_out.labels)
            yield {"n_train": size, "accuracy": float(accuracy)}


def fit(model: ClassifierMixin, rows: heads.Rows) -> ClassifierMixin:
    """Fit a fresh copy of a model, with no more components than there are rows or columns."""
    most = min(model.get_params()["pca__n_components"], *rows.data.shape)
    fitted = clone(model).set_params(pca__n_components=most)
    return fitted.fit(rows.data, rows.labels)
