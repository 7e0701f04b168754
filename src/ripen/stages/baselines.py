"""baselines: the classic classifiers, cross-validated, and how each gains from more data."""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, cross_validate

from ripen.competition import predictions
from ripen.competition.datasets import DATASETS, PHOTOS, photos_of
from ripen.competition.datasets.pictures import Images
from ripen.competition.datasets.prepared import Part, read_part, read_scaler
from ripen.competition.datasets.tabular import Tabular
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.learn.models import served
from ripen.learn.models.baselines import estimators, folds
from ripen.learn.training import photo_baselines, pretrained
from ripen.learn.training.tracked import log_served
from ripen.settings.schema import CompetitionName, Config
from ripen.track.tracking import Tracker


def run(config: Config, competition: CompetitionName) -> None:
    """Read `prepared/`, write `baselines/` and one MLflow run for each classifier."""
    if competition in PHOTOS:
        kind = photo_baselines if photos_of(config, competition).learns else pretrained
        kind.run(config, competition)
        return
    layout = Layout(competition)
    train, validation, test, more = (
        read_part(layout.prepared, name) for name in ("train", "validation", "test", "more")
    )
    own = getattr(config.competition, competition)
    sizes, models = own.learning_curve, estimators(own.baselines, config.seed)
    given = raw_input(DATASETS[competition], layout)
    tables, scores, curve = [], [], []
    with (
        fresh_folder(layout.baselines) as folder,
        Tracker(config, competition, "baselines") as tracker,
        progress("baselines", 2 * len(models)) as advance,
    ):
        for name, model in models.items():
            with tracker.model(name) as tracked:
                tracked.log_params({k: v for k, v in model.get_params().items() if "__" not in k})
                tracked.log_dataset(layout.prepared / "train.h5", competition, *train.arrays())
                started = time.perf_counter()
                model.fit(*train.arrays())
                tracked.log_metrics({"training_seconds": time.perf_counter() - started})
                for part, rows in (("validation", validation), ("test", test)):
                    probabilities = model.predict_proba(rows.table)
                    tables.append(predictions.table(name, part, rows.ids, probabilities))
                scores.append(cross_validation(model, train, folds(own.baselines, config.seed)))
                tracked.log_metrics({f"cross_validation/{k}": v for k, v in scores[-1].items()})
                log_served(tracked, partial(served.write_estimator, estimator=model, given=given))
            advance(f"{name}: fitted")
            learning = learning_curve(model, train.join(more), test, sizes)
            curve += [{"model": name} | row for row in learning]
            advance(f"{name}: learning curve")
        predictions.write(folder / "predictions.csv", tables)
        cross_validated = pd.DataFrame(scores, index=pd.Index(models, name="model"))
        write_text(folder / "cross_validation.csv", cross_validated.to_csv(lineterminator="\n"))
        learnt = pd.DataFrame(curve, columns=["model", "n_train", "accuracy"])
        write_text(folder / "learning_curve.csv", learnt.to_csv(index=False, lineterminator="\n"))


def raw_input(dataset: Tabular | Images, layout: Layout) -> served.Columns | served.Pixels:
    """Return what a competition's models take, once they are served."""
    if isinstance(dataset, Images):
        return served.Pixels(dataset.size, dataset.white)
    return served.Columns(read_scaler(layout.prepared / "scaler.json"))


def cross_validation(model: ClassifierMixin, train: Part, cv: StratifiedKFold) -> dict[str, float]:
    """Cross-validate on the training part.

    Returns
    -------
    dict
        ``accuracy`` and ``log_loss``: the mean over the folds; ``accuracy_sd``: its standard
        deviation over them.
    """
    result = cross_validate(
        model,
        *train.arrays(),
        cv=cv,
        scoring=("accuracy", "neg_log_loss"),
    )
    accuracy, log_loss = result["test_accuracy"], -result["test_neg_log_loss"]
    return {
        "accuracy": float(np.mean(accuracy)),
        "accuracy_sd": float(np.std(accuracy)),
        "log_loss": float(np.mean(log_loss)),
    }


def learning_curve(
    model: ClassifierMixin, pool: Part, test: Part, sizes: list[int]
) -> Iterator[dict[str, float]]:
    """Yield ``n_train`` and test ``accuracy`` of the model fitted on the pool's first rows.

    Sizes beyond the pool, and every size where the test labels are not known, are left out.
    """
    if test.labels is None:
        return
    for size in sizes:
        if size <= len(pool.ids):
            fitted = clone(model).fit(*pool.head(size).arrays())
            yield {"n_train": size, "accuracy": float(fitted.score(*test.arrays()))}
