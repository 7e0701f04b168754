"""Models scored: predictions beside their targets, and `metrics/<competition>.json`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.index import Index, Ints
from ripen.competition.metrics import DECIMALS, DIGITS, METRICS, scores
from ripen.competition.scorer import Scorer, spread
from ripen.competition.tasks import Targets, Task
from ripen.core.errors import DataError
from ripen.core.frames import read_frame
from ripen.core.json_files import read_json
from ripen.core.layout import BLEND

BAYES = "bayes"  # the name of the best possible rule in tables
ROWS = "n"  # the number of rows that were scored, which stands among a part's metrics
SCORE, ERROR = "score", "standard_error"  # the competition's metric again, with Kaggle's digits
RIVALS = "rivals"  # the key of the differences from the best model
CLEAR = 2.0  # standard errors of a difference: a smaller one may be chance (95%)

Metrics = dict[str, Any]
"""What `metrics/<competition>.json` holds."""


@dataclass(frozen=True)
class Scored:
    """One model's outputs on one part, for the rows whose target is known.

    Attributes
    ----------
    model : str
    part : "validation" or "test"
    rows : int64 ndarray of shape (n,)
        Of the index.
    targets : ndarray of shape (n,)
        Classes, or values in regression.
    outputs : float64 ndarray of shape (n, k)
        Probabilities of each class, or one value, k = 1.
    folds : int64 ndarray of shape (n,), or None
        The fold that each row was held out in; None on the test part, or with a single fold.
    """

    model: str
    part: str
    rows: Ints
    targets: Targets
    outputs: NDArray[np.float64]
    folds: Ints | None = None

    @property
    def title(self) -> str:
        """Its name in figures."""
        return f"{self.model}, {self.part}"

    @property
    def labels(self) -> Ints:
        """The targets of a classification, shape (n,)."""
        return self.targets.astype(np.int64)

    @property
    def predicted(self) -> Ints:
        """The most probable class of each row, shape (n,)."""
        return np.asarray(self.outputs.argmax(axis=1))


def join(predicted: Mapping[str, pd.DataFrame], index: Index) -> Iterator[Scored]:
    """Yield every model's outputs on each part with known targets, in the models' order."""
    targets, known, folds = index.targets, index.known(), index.folds
    for model, table in predicted.items():
        for part, found in table.groupby("part", sort=False):
            found = found[known[found["row"].to_numpy()]]
            if len(found):
                rows = found["row"].to_numpy(np.int64)
                own = folds[rows] if part == "validation" else None
                several = own is not None and len(np.unique(own)) > 1
                outputs = predictions.outputs(found)
                kept = own if several else None
                yield Scored(model, str(part), rows, targets[rows], outputs, kept)


def deciding_part(scored: Iterable[Scored]) -> str:
    """Return the part that decides which model is best: "test" where nothing is validated."""
    return "validation" if any(one.part == "validation" for one in scored) else "test"


def drawn_part(scored: Iterable[Scored]) -> str:
    """Return the part that figures show: "test" where its targets are known, else "validation"."""
    return "test" if any(one.part == "test" for one in scored) else "validation"


# --- metrics/<competition>.json ------------------------------------------------------------------


def evaluate(
    scored: list[Scored],
    trainings: Mapping[str, dict[str, Any]],
    bayes: dict[str, Any] | None,
    task: Task,
    scorer: Scorer,
) -> Metrics:
    """Return what `metrics/<competition>.json` holds.

    Parameters
    ----------
    scored : list of Scored
        Every model on every part with known targets.
    trainings : mapping of str to dict
        How and when the training of each net ended.
    bayes : dict or None
        Scores of the best possible rule, where it is known.
    task : Task
    scorer : Scorer
        The competition's metric, which decides.

    Returns
    -------
    dict
        ``models`` by name and part, each with ``score``, the competition's metric with more digits,
        and its ``standard_error``; ``best``, among the models that were scored on the most rows:
        the blend, unless one is clearly ahead of it; ``best_by``, the part and the metric that
        decide; ``rivals``, how far each other model that was scored on the same rows is behind the
        best, with the standard error of that difference (`differences`); ``metric``, the title and
        the direction of one that is not in the registry;
        ``bayes``.

    Raises
    ------
    DataError
        If no target is known, or the metric is undefined for every model.
    """
    if not scored:
        raise DataError("no row with a prediction has a known target: nothing can be scored")
    models: dict[str, dict[str, Any]] = {}
    for one in scored:
        found = scores(task.metrics, one.targets, one.outputs) | score_and_error(one, scorer)
        models.setdefault(one.model, {})[one.part] = found
    for name, values in trainings.items():
        models.setdefault(name, {}).update(values)
    part, metric = deciding_part(scored), scorer.metric
    best, behind = _best(models, [one for one in scored if one.part == part], scorer)
    own_metric = {"title": metric.title, "greater_is_better": metric.greater_is_better}
    return (
        {"models": models, "best": best, "best_by": f"{part}/{metric.name}"}
        | {RIVALS: behind}
        | ({} if metric.name in METRICS else {"metric": own_metric})
        | ({BAYES: bayes} if bayes else {})
    )


def _best(
    models: Mapping[str, Mapping[str, Any]], deciding: list[Scored], scorer: Scorer
) -> tuple[str, dict[str, dict[str, float]]]:
    """Return the best model by its scores on the part that decides, and `differences` from it."""
    part = deciding[0].part
    rivals = {name: own[part] for name, own in models.items() if SCORE in own.get(part, {})}
    if not rivals:
        name = scorer.metric.name
        raise DataError(f"metric '{name}' is undefined on the {part} rows of every model")
    # A score on fewer rows, such as those of one fold, is not comparable with one on all of them.
    most = max(own[ROWS] for own in rivals.values())
    comparable = {name: own[SCORE] for name, own in rivals.items() if own[ROWS] == most}
    best = scorer.metric.best(comparable)
    behind = differences(deciding, best, scorer)
    if tied(behind.get(BLEND)):
        # The highest of many scores is partly luck. On samples of the mirror's tables a blend that
        # the rows did not tell from it was .3 to .9 points of accuracy better on the other rows.
        best, behind = BLEND, differences(deciding, BLEND, scorer)
    return best, behind


def score_and_error(one: Scored, scorer: Scorer) -> dict[str, float]:
    """Return a model's score by the competition's metric, and its standard error, if defined."""
    value = scorer(one.rows, one.outputs)
    if np.isnan(value):
        return {}
    error = scorer.standard_error(one.rows, one.outputs, one.folds)
    found = {scorer.metric.name: round(value, DECIMALS), SCORE: round(value, DIGITS)}
    return found if np.isnan(error) else found | {ERROR: round(error, DIGITS)}


def differences(scored: list[Scored], best: str, scorer: Scorer) -> dict[str, dict[str, float]]:
    """Return how far models are behind the best, and the standard error of that difference.

    Both are scored on the same folds or bootstrap samples: rows that are hard for both cancel out,
    so the standard error is smaller than those of the two scores.

    Parameters
    ----------
    scored : list of Scored
        The part that decides.
    best : str
    scorer : Scorer

    Returns
    -------
    dict
        By model ``behind``, below 0 if it is ahead, and its ``standard_error``. Models of other
        rows are left out, as are those whose metric or its error is undefined.
    """
    (first,) = (one for one in scored if one.model == best)
    ahead = scorer.resampled(first.rows, first.outputs, first.folds)
    least = scorer.loss(first.rows, first.outputs)
    found = {}
    for one in scored:
        if one.model == best or not np.array_equal(one.rows, first.rows):
            continue
        behind = scorer.loss(one.rows, one.outputs) - least
        error = spread(scorer.resampled(one.rows, one.outputs, one.folds) - ahead, first.folds)
        if np.isfinite(behind) and np.isfinite(error):
            # No -0.0 in a file.
            found[one.model] = {"behind": round(behind, DIGITS) + 0.0, ERROR: round(error, DIGITS)}
    return found


def tied(rival: Mapping[str, float] | None) -> bool:
    """Return whether the rows do not tell a model from the best one; False if not compared."""
    # Two models with the same answers have no difference, and it has no error.
    return rival is not None and abs(rival["behind"]) <= CLEAR * rival[ERROR]


# --- How models learned --------------------------------------------------------------------------


def trained(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of nets, by name: those with the curve of a training."""
    return {folder.name: folder for folder in folders if (folder / "curve.csv").exists()}


def read_trainings(folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Read how and when each net's training ended."""
    return {name: read_json(own / "training.json") for name, own in folders.items()}


def side_by_side(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the validation losses of all nets by iteration, one column a net."""
    losses = {name: c.set_index("iteration").validation_loss for name, c in curves.items()}
    return pd.DataFrame(losses).reset_index()


def learning_curves(files: Mapping[str, Path]) -> pd.DataFrame | None:
    """Return the learning curves of models, in rows model, n_train, score; None without any."""
    found = [
        read_frame(file).assign(model=name)[["model", "n_train", "score"]]
        for name, file in files.items()
        if file.exists()
    ]
    return pd.concat(found) if found else None
