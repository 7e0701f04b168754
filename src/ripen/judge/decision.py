"""Decisions by the metric: the label or the value that a submission holds, from a model's outputs.

Models estimate probabilities and means, and a metric may reward something else: F1 a threshold
below one half, quadratic kappa cut points on the expected place, the mean absolute error a median.
A decision has a few numbers, fitted on the validation rows. What it gains is measured on rows that
it was not fitted on, with a standard error, and it is used where the gain is the larger of the two.

A decision changes outputs so that the usual rule (the most probable class, each label above one
half, the value as it is) makes the decided submission. So nothing else needs to know of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import DIGITS, Metric
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import Targets, Task
from ripen.core.errors import ConfigError
from ripen.core.json_files import read_json
from ripen.judge.calibration import splits
from ripen.judge.scoring import SCORE, Scored

DECISION = "decision"  # the step's name
Floats = NDArray[np.float64]
Loss = Callable[[Floats], float]
LARGEST = 20_000  # rows that a decision is fitted to
LEVELS = np.linspace(0.02, 0.98, 17)  # quantiles of the outputs that are tried
THRESHOLDS = np.linspace(0.1, 0.9, 9)
FACTORS = np.exp(np.linspace(-1, 1, 9))
POWERS = np.linspace(0, 1, 11)
EACH = 20  # labels, classes or targets that have a number of their own; of more, all share one
DECIMALS = 6


@dataclass(frozen=True)
class Decision:
    """A rule and its numbers.

    Attributes
    ----------
    rule : str
        One of `RULES`.
    values : tuple of float
        A threshold for each label, or for the second of two classes; a weight for each class; cut
        points between classes in their order; what is added to each target, or multiplies it.
    """

    rule: str
    values: tuple[float, ...]

    def apply(self, outputs: Floats) -> Floats:
        """Return outputs whose usual labels and values are the decided ones, shape (n, k)."""
        return RULES[self.rule].apply(outputs, np.array(self.values))


@dataclass(frozen=True)
class Rule:
    """A kind of decision.

    Attributes
    ----------
    title : str
        For the table of steps.
    apply : callable
        Takes outputs of shape (n, k) and the rule's numbers.
    start : callable
        Returns the numbers that change nothing, from the number of outputs.
    fit : callable
        Takes targets, outputs, the numbers to start from, and the loss of numbers; returns the
        numbers of the least loss.
    """

    title: str
    apply: Callable[[Floats, Floats], Floats]
    start: Callable[[int], Floats]
    fit: Callable[[Targets, Floats, Floats, Loss], Floats]


# --- The rules -----------------------------------------------------------------------------------


def _climb(start: Floats, tried: Sequence[Floats], loss: Loss, passes: int = 2) -> Floats:
    """Return the numbers of the least loss, found one by one; of equals the first tried."""
    best, least = start.copy(), loss(start)
    for _ in range(passes):
        before = least
        for place, candidates in enumerate(tried):
            for candidate in candidates:
                other = best.copy()
                other[place] = candidate
                if (found := loss(other)) < least:
                    best, least = other, found
        if least == before:
            break
    return best


def _shared(start: Floats, tried: Floats, loss: Loss) -> Floats:
    """Return the best single number for all places."""
    found = _climb(start[:1], [tried], lambda one: loss(np.repeat(one, len(start))), 1)
    return np.repeat(found, len(start))


def _at(outputs: Floats, thresholds: Floats) -> Floats:
    """Move the odds of each probability, so that its threshold becomes one half."""
    second = outputs if len(thresholds) > 1 or outputs.shape[1] == 1 else outputs[:, 1:]
    above, below = second * (1 - thresholds), (1 - second) * thresholds
    total = above + below
    moved = np.divide(above, total, out=np.full_like(second, 0.5), where=total > 0)
    return moved if second is outputs else np.hstack([1 - moved, moved])


def _fit_thresholds(targets: Targets, outputs: Floats, start: Floats, loss: Loss) -> Floats:
    second = outputs[:, -len(start) :]

    def tried(column: Floats) -> Floats:
        found = np.unique(np.concatenate([np.quantile(column, LEVELS), THRESHOLDS]))
        found = found[(found > 0) & (found < 1)]
        return found[np.argsort(np.abs(found - 0.5), kind="stable")]

    shared = _shared(start, tried(second.ravel()), loss)
    if len(start) == 1 or len(start) > EACH:
        return shared
    return _climb(shared, [tried(column) for column in second.T], loss, 1)


def _weighted(outputs: Floats, weights: Floats) -> Floats:
    """Weight the probabilities of classes; rows sum to 1 again."""
    found = outputs * weights
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _fit_weights(targets: Targets, outputs: Floats, start: Floats, loss: Loss) -> Floats:
    """Divide by a power of each class's share, then try each weight alone."""
    counts = np.bincount(targets.astype(np.int64), minlength=len(start))
    shares = np.maximum(counts, 1) / counts.sum()
    powers = [start * shares**-power for power in POWERS]
    best = min(powers, key=loss)
    best = np.asarray(best / np.exp(np.log(best).mean()))
    if len(start) > EACH:
        return best
    return _climb(best, [one * FACTORS for one in best], loss, 1)


def _cut(outputs: Floats, cuts: Floats) -> Floats:
    """Cut the expected place among the classes into classes."""
    expected = outputs @ np.arange(outputs.shape[1])
    return np.asarray(np.eye(outputs.shape[1])[np.searchsorted(cuts, expected, side="left")])


def _halves(classes: int) -> Floats:
    return np.arange(0.5, classes - 1)


def _fit_cuts(targets: Targets, outputs: Floats, start: Floats, loss: Loss) -> Floats:
    """Begin with the cuts that give each class its share, and with the halves."""
    expected = outputs @ np.arange(outputs.shape[1])
    counts = np.bincount(targets.astype(np.int64), minlength=len(start) + 1)
    shares = np.quantile(expected, counts.cumsum()[:-1] / counts.sum())
    tried = np.quantile(expected, LEVELS)

    def sorted_loss(cuts: Floats) -> float:
        return loss(cuts) if (np.diff(cuts) >= 0).all() else np.inf

    return _climb(min((start, shares), key=loss), [tried] * len(start), sorted_loss)


def _shift(outputs: Floats, values: Floats) -> Floats:
    return outputs + values


def _fit_shift(targets: Targets, outputs: Floats, start: Floats, loss: Loss) -> Floats:
    return _moved(targets.reshape(outputs.shape) - outputs, start, loss)


def _scale(outputs: Floats, values: Floats) -> Floats:
    return outputs * values


def _fit_scale(targets: Targets, outputs: Floats, start: Floats, loss: Loss) -> Floats:
    truth = targets.reshape(outputs.shape)
    return _moved(
        np.divide(truth, outputs, out=np.ones_like(truth), where=outputs != 0), start, loss
    )


def _moved(needed: Floats, start: Floats, loss: Loss) -> Floats:
    """Try quantiles of what each row would have needed."""
    if len(start) > EACH:
        return _shared(start, np.quantile(needed, LEVELS), loss)
    return _climb(start, [np.quantile(column, LEVELS) for column in needed.T], loss)


RULES = {
    "threshold": Rule("threshold", _at, lambda k: np.full(1, 0.5), _fit_thresholds),
    "thresholds": Rule("thresholds", _at, lambda k: np.full(k, 0.5), _fit_thresholds),
    "weights": Rule("weights of classes", _weighted, np.ones, _fit_weights),
    "cuts": Rule("cut points", _cut, _halves, _fit_cuts),
    "shift": Rule("added value", _shift, np.zeros, _fit_shift),
    "scale": Rule("factor", _scale, np.ones, _fit_scale),
}


def rules(task: Task, metric: Metric, submission: str, classes: int) -> list[str]:
    """Return the rules that may help; none where the metric takes probabilities, or only ranks.

    Parameters
    ----------
    task : Task
    metric : Metric
    submission : str
        What the submission holds (`ripen.settings.schema.Competition`).
    classes : int
        The number of outputs.
    """
    if not task.probabilities:
        if metric.needs == "submission":  # a file of Kaggle's makes tables, and takes long
            return ["shift"]
        return [] if metric.ranks else ["shift", "scale"]
    if metric.needs not in ("label", "submission"):
        return []
    if not task.classifies:
        several = "thresholds" if classes > 1 else "threshold"
        return [several] if submission in ("label", "labels") else []
    if submission != "label":
        return []
    if metric.ordered and classes > 2:
        return ["cuts", "weights"]
    return ["threshold" if classes == 2 else "weights"]


# --- Fitting and measuring -----------------------------------------------------------------------


@dataclass(frozen=True)
class Decided:
    """A decision, and what it gains on rows that it was not fitted on.

    Attributes
    ----------
    decision : Decision
        Fitted to all rows.
    score : float
        Of rows that it was not fitted on.
    gain, error : float
        The improvement of the score, and its standard error.
    """

    decision: Decision
    score: float
    gain: float
    error: float

    @property
    def pays(self) -> bool:
        """Whether the gain is larger than its standard error."""
        return bool(self.gain > self.error)


def fit(one: Scored, scorer: Scorer, names: Sequence[str], kept: NDArray[np.int64]) -> Decision:
    """Fit each of the named rules to some rows, by their positions; return the best."""
    if len(kept) > LARGEST:
        kept = np.sort(np.random.default_rng(0).choice(kept, LARGEST, replace=False))
    rows, targets, outputs = one.rows[kept], one.targets[kept], one.outputs[kept]
    found: dict[Decision, float] = {}
    for name in names:
        rule = RULES[name]

        def loss(values: Floats, rule: Rule = rule) -> float:
            return round(scorer.loss(rows, rule.apply(outputs, values)), 9)

        values = rule.fit(targets, outputs, rule.start(outputs.shape[1]), loss)
        values = np.round(values, DECIMALS)
        found[Decision(name, tuple(values.tolist()))] = loss(values)
    return min(found, key=lambda decision: found[decision])


def decide(one: Scored, scorer: Scorer, names: Sequence[str], seed: int) -> Decided:
    """Fit a decision to a model's rows, and measure it on held-out ones.

    Parameters
    ----------
    one : Scored
        Validation rows, and their folds.
    scorer : Scorer
    names : sequence of str
        The rules that are tried.
    seed : int
        Of the folds of a single hold-out.
    """
    outputs = one.outputs.copy()
    for kept, held in splits(one, seed):
        outputs[held] = fit(one, scorer, names, kept).apply(one.outputs[held])
    gain, error = scorer.gain(one.rows, one.outputs, outputs)
    decision = fit(one, scorer, names, np.arange(len(one.rows)))
    return Decided(decision, scorer(one.rows, outputs), gain, error)


def as_json(found: Mapping[str, Decided]) -> dict[str, Any]:
    """Return decisions by model as plain values."""
    return {
        model: asdict(one.decision)
        | {
            SCORE: round(one.score, DIGITS),
            "gain": round(one.gain, DIGITS),
            "standard_error": round(one.error, DIGITS),
            "pays": one.pays,
        }
        for model, one in found.items()
    }


def chosen(file: Path, model: str, when: str) -> Decision | None:
    """Return the decision for a model's submission, None where there is none.

    Parameters
    ----------
    file : Path
        What `as_json` gave.
    model : str
    when : "auto", "always" or "never"
        The setting `predict.decide`.

    Raises
    ------
    ConfigError
        If a decision is demanded, and the metric or the submission has no use for any.
    """
    every = read_json(file) if file.exists() else {}
    found = every.get(model)
    if found is None and when == "always":
        raise ConfigError(
            f"predict.decide is 'always', and no threshold helps '{model}': the metric takes "
            "probabilities or ranks, or no rows validate the model. Set predict.decide to auto"
        )
    if found is None or when == "never" or (when == "auto" and not found["pays"]):
        return None
    return Decision(found["rule"], tuple(found["values"]))
