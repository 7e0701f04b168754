"""Probabilities made more honest: one temperature for all, and limits that none may pass.

A model that is too sure of itself pays for it in log loss. Dividing its log probabilities by a
temperature (Guo et al., 2017) makes it less sure everywhere and changes no prediction; clipping
limits what its worst mistakes cost. Both are fitted on the validation rows; what they bring is
measured on rows that they were not fitted on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.model_selection import KFold

from ripen.competition.metrics import DECIMALS, normalised
from ripen.judge.evaluation.scored import Scored

TINY = np.finfo(np.float64).eps  # below which scikit-learn's log_loss puts no probability either
TEMPERATURES = (0.05, 20.0)
CLIPS = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05)
FLOOR = 0.1  # over the number of rows: no fewer can show that a probability is lower than that
USUAL_CLIP = 0.005
SPLITS = 5

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """What was fitted on a model's validation rows.

    Attributes
    ----------
    temperature : float
        Above 1 the model was too sure of itself.
    clip : float
        Probabilities are best kept within [clip, 1 - clip] as they are,
    clip_scaled : float
        and within these limits once they are scaled by the temperature.
    """

    temperature: float
    clip: float
    clip_scaled: float

    def calibrated(self, probabilities: Floats, temperature: bool, clip: float | None) -> Floats:
        """Return probabilities scaled, if asked for, and clipped; `clip` None is what was fitted.

        That is how a submission is made.
        """
        if temperature:
            probabilities = scaled(probabilities, self.temperature)
        fitted = self.clip_scaled if temperature else self.clip
        return clipped(probabilities, fitted if clip is None else clip)


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Divide log probabilities by a temperature; rows sum to 1 again.

    >>> scaled(np.array([[0.9, 0.1]]), 2).round(2).tolist()
    [[0.75, 0.25]]
    """
    logs = np.log(np.clip(probabilities, TINY, 1)) / temperature
    return np.asarray(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)))


def clipped(probabilities: Floats, clip: float) -> Floats:
    """Keep probabilities within [clip, 1 - clip]."""
    return np.clip(probabilities, clip, 1 - clip)


def fit(labels: Labels, probabilities: Floats) -> Calibration:
    """Fit the temperature, and the limits before and after it, by the log loss of these rows."""
    temperature = fit_temperature(labels, probabilities)
    return Calibration(
        temperature,
        fit_clip(labels, probabilities),
        fit_clip(labels, scaled(probabilities, temperature)),
    )


def fit_temperature(labels: Labels, probabilities: Floats) -> float:
    """Return the temperature of the least log loss, of 4 decimals, between 0.05 and 20."""
    logs = np.log(np.clip(probabilities, TINY, 1))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        cold = logs / np.exp(log_temperature)
        return float(np.mean(logsumexp(cold, axis=1) - cold[rows, labels]))

    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return round(float(np.exp(found.x)), DECIMALS)


def fit_clip(labels: Labels, probabilities: Floats) -> float:
    """Return the clip of the least log loss, the smallest of several.

    It is one of `CLIPS`, or the floor of 1 / (10 n): n rows that are all right say nothing of a
    probability below that, and a single mistake would then cost without limit.
    """
    floor = FLOOR / len(labels)
    tried = [floor, *(clip for clip in CLIPS if clip > floor)]
    losses = [_log_loss(labels, clipped(probabilities, clip)) for clip in tried]
    return float(tried[int(np.argmin(np.round(losses, 9)))])


def helped(one: Scored, seed: int) -> dict[str, float]:
    """Say what calibration brings to a model's log loss, on rows that it was not fitted on.

    Parameters
    ----------
    one : Scored
        Its folds are those of the fitting where there are at least two; else they are dealt.
    seed : int
        Of the dealing.

    Returns
    -------
    dict
        Log losses: ``raw``; ``scaled`` by the temperature; ``clipped_usual`` and
        ``scaled_clipped_usual``, between 0.005 and 0.995; ``clipped`` and ``scaled_clipped``,
        between limits chosen by validation.
    """
    tried: dict[str, Floats] = {name: one.probabilities.copy() for name in ("scaled", "clipped")}
    tried["scaled_clipped"] = one.probabilities.copy()
    for kept, held in _splits(one, seed):
        fitted = fit(one.labels[kept], one.probabilities[kept])
        warm = scaled(one.probabilities[held], fitted.temperature)
        tried["scaled"][held] = warm
        tried["clipped"][held] = clipped(one.probabilities[held], fitted.clip)
        tried["scaled_clipped"][held] = clipped(warm, fitted.clip_scaled)
    usual = {"clipped_usual": clipped(one.probabilities, USUAL_CLIP)}
    usual["scaled_clipped_usual"] = clipped(tried["scaled"], USUAL_CLIP)
    losses = {"raw": one.probabilities, "scaled": tried.pop("scaled")} | usual | tried
    return {name: round(_log_loss(one.labels, p), DECIMALS) for name, p in losses.items()}


def by_model(validated: list[Scored], seed: int) -> dict[str, dict[str, float]]:
    """Return for each model what was fitted on all its rows, and what that brings (`helped`)."""
    return {
        one.model: asdict(fit(one.labels, one.probabilities)) | helped(one, seed)
        for one in validated
    }


def table(found: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Return what `by_model` does, one row a model."""
    return pd.DataFrame([{"model": model, **values} for model, values in found.items()])


def read(file: Path, model: str) -> Calibration:
    """Read what was fitted on a model's rows out of the file of a `table`."""
    values = pd.read_csv(file, index_col="model").loc[model].to_dict()
    return Calibration(*(float(values[field.name]) for field in fields(Calibration)))


def _splits(one: Scored, seed: int) -> list[tuple[Labels, Labels]]:
    """Return rows to fit on, and rows to measure on, so that each is measured on once."""
    if one.folds is not None and len(numbers := np.unique(one.folds)) > 1:
        held = [np.flatnonzero(one.folds == number) for number in numbers]
        return [(np.flatnonzero(one.folds != n), h) for n, h in zip(numbers, held, strict=True)]
    dealt = KFold(min(SPLITS, len(one.labels)), shuffle=True, random_state=seed)
    return list(dealt.split(one.labels))


def _log_loss(labels: Labels, probabilities: Floats) -> float:
    """As scikit-learn's `log_loss`, whose checks take longer than this where clips are tried."""
    true = normalised(probabilities)[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.clip(true, TINY, 1))))
