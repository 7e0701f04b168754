"""Calibrated probabilities: temperature scaling and clipping.

An overconfident model pays for it in log loss. Dividing its log probabilities by a temperature
(Guo et al., 2017) makes it less confident everywhere and changes no predicted class; clipping
limits the cost of its worst mistakes. Both are fitted on the validation rows, and their effect is
measured on rows that they were not fitted on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.index import Ints
from ripen.competition.metrics import DECIMALS, normalized
from ripen.core.errors import DataError, reading
from ripen.judge.scoring import Scored

TINY = np.finfo(np.float64).eps  # scikit-learn's log_loss clips at this too
TEMPERATURES = (0.05, 20.0)
CLIPS = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05)
FLOOR = 0.1  # over the number of rows
USUAL_CLIP = 0.005
SPLITS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Temperature and limits, fitted on a model's validation rows.

    Attributes
    ----------
    temperature : float
        Above 1 for an overconfident model.
    clip : float
        The best limits of unscaled probabilities are [clip, 1 - clip].
    clip_scaled : float
        The best clip of probabilities that the temperature has scaled.
    floor : float
        The least clip of scaled probabilities; a smaller setting has no effect.
    """

    temperature: float
    clip: float
    clip_scaled: float
    floor: float = 0.0

    def calibrated(self, probabilities: Floats, temperature: bool, clip: float | None) -> Floats:
        """Return probabilities as a submission holds them.

        Parameters
        ----------
        probabilities : float64 ndarray of shape (n, classes)
        temperature : bool
            Whether to scale them.
        clip : float or None
            None for the fitted one.
        """
        if not temperature:
            return clipped(probabilities, self.clip if clip is None else clip)
        # A low temperature makes 1e-166 of 1e-8: no validation row shows that to be right.
        limit = self.clip_scaled if clip is None else max(clip, self.floor)
        return clipped(scaled(probabilities, self.temperature), limit)


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Divide log probabilities by a temperature; rows sum to 1 again.

    >>> scaled(np.array([[0.9, 0.1]]), 2).round(2).tolist()
    [[0.75, 0.25]]
    """
    from scipy.special import logsumexp

    logs = np.log(np.clip(probabilities, TINY, 1)) / temperature
    return np.asarray(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)))


def clipped(probabilities: Floats, clip: float) -> Floats:
    """Keep probabilities within [clip, 1 - clip]."""
    return np.clip(probabilities, clip, 1 - clip)


def fit(labels: Ints, probabilities: Floats) -> Calibration:
    """Fit the temperature, and the limits before and after it, by the log loss of these rows."""
    temperature = fit_temperature(labels, probabilities)
    return Calibration(
        temperature,
        fit_clip(labels, probabilities),
        fit_clip(labels, scaled(probabilities, temperature)),
        floor(len(labels)),
    )


def fit_temperature(labels: Ints, probabilities: Floats) -> float:
    """Return the temperature of the least log loss, to 4 decimals, between 0.05 and 20."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logs = np.log(np.clip(probabilities, TINY, 1))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        cold = logs / np.exp(log_temperature)
        return float(np.mean(logsumexp(cold, axis=1) - cold[rows, labels]))

    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return round(float(np.exp(found.x)), DECIMALS)


def floor(rows: int) -> float:
    """Return the least clip that so many rows can justify, 1 / (10 n).

    If all n rows are right, nothing is known of probabilities below that, and a single mistake
    would then cost without limit.
    """
    return FLOOR / rows


def fit_clip(labels: Ints, probabilities: Floats) -> float:
    """Return the best clip by log loss, one of `CLIPS` or the floor; of equals the smallest."""
    least = floor(len(labels))
    tried = [least, *(clip for clip in CLIPS if clip > least)]
    losses = [_log_loss(labels, clipped(probabilities, clip)) for clip in tried]
    # Rounded, so that the last bits of another processor choose no other clip.
    return float(tried[int(np.argmin(np.round(losses, 9)))])


def effect(one: Scored, seed: int) -> dict[str, float]:
    """Measure a model's log loss after calibration, on rows that it was not fitted on.

    Parameters
    ----------
    one : Scored
        Its own folds are used where there are at least two; otherwise rows are dealt to folds.
    seed : int
        Of the dealing.

    Returns
    -------
    dict
        Log losses: ``raw``; ``scaled`` by the temperature; ``clipped_usual`` and
        ``scaled_clipped_usual``, between 0.005 and 0.995; ``clipped`` and ``scaled_clipped``,
        between fitted limits.
    """
    labels, raw = one.labels, one.outputs
    tried: dict[str, Floats] = {
        name: raw.copy() for name in ("scaled", "clipped", "scaled_clipped")
    }
    for kept, held in splits(one, seed):
        fitted = fit(labels[kept], raw[kept])
        warm = scaled(raw[held], fitted.temperature)
        tried["scaled"][held] = warm
        tried["clipped"][held] = clipped(raw[held], fitted.clip)
        tried["scaled_clipped"][held] = clipped(warm, fitted.clip_scaled)
    usual = {"clipped_usual": clipped(raw, USUAL_CLIP)}
    usual["scaled_clipped_usual"] = clipped(tried["scaled"], USUAL_CLIP)
    losses = {"raw": raw, "scaled": tried.pop("scaled")} | usual | tried
    return {name: round(_log_loss(labels, p), DECIMALS) for name, p in losses.items()}


def held_out(one: Scored, seed: int) -> Floats:
    """Return a model's outputs scaled and clipped by what their other folds fitted (`effect`)."""
    found = one.outputs.copy()
    for kept, held in splits(one, seed):
        fitted = fit(one.labels[kept], one.outputs[kept])
        found[held] = fitted.calibrated(one.outputs[held], True, None)
    return found


def by_model(validated: list[Scored], seed: int) -> dict[str, dict[str, float]]:
    """Return for each model the calibration fitted on all its rows, and its `effect`."""
    return {
        one.model: asdict(fit(one.labels, one.outputs)) | effect(one, seed) for one in validated
    }


def table(found: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return the result of `by_model` as a table, one row a model."""
    rows = [{"model": model, **values} for model, values in found.items()]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["model"])


def read(file: Path, model: str) -> Calibration:
    """Read a model's calibration from the file of a `table`.

    Raises
    ------
    DataError
        If the model has none, since no rows validate it.
    """
    with reading(file):
        found = pd.read_csv(file, index_col="model")
    if model not in found.index:
        raise DataError(
            f"{file}: '{model}' has no calibration, as no rows validate it. Set "
            "predict.temperature to false and predict.clip to a number"
        )
    values = found.loc[model].to_dict()
    return Calibration(*(float(values[field.name]) for field in fields(Calibration)))


def splits(one: Scored, seed: int) -> list[tuple[Ints, Ints]]:
    """Return pairs of rows to fit on and rows to measure on; each row is measured once."""
    from sklearn.model_selection import KFold

    if one.folds is not None and len(numbers := np.unique(one.folds)) > 1:
        held = [np.flatnonzero(one.folds == number) for number in numbers]
        return [(np.flatnonzero(one.folds != n), h) for n, h in zip(numbers, held, strict=True)]
    dealt = KFold(min(SPLITS, len(one.targets)), shuffle=True, random_state=seed)
    return list(dealt.split(one.targets))


def _log_loss(labels: Ints, probabilities: Floats) -> float:
    """As scikit-learn's `log_loss`, whose checks take longer than this when clips are tried."""
    true = normalized(probabilities)[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.clip(true, TINY, 1))))
