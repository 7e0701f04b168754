"""The avocado competition: is this one ripe?

Somebody who eats about ten avocados a week remembers, of the last 1,000, the height, the weight,
the squishiness, the colour of the skin, and whether each was ripe. The avocados are drawn from the
distribution below, so the best accuracy that any classifier can reach (the Bayes rate) is known.

The distribution
----------------
1. The *kind* is Hass with probability 0.6, else green-skinned.
2. The *state* is hard with probability 0.40, ripe with 0.45, mushy with 0.15.
3. Given kind and state every measurement is normal, rounded to what a person notes down (0.1 cm,
   1 g, 0.01, whole colour levels) and clipped to its range:

   ======  =====  ===========  ====  =====  ====  ====
   kind    state  squishiness  red   green  blue  height
   ======  =====  ===========  ====  =====  ====  ====
   Hass    hard   0.22         75    105    55    9.0
   Hass    ripe   0.50         58    52     48    9.0
   Hass    mushy  0.74         42    36     38    9.0
   green   hard   0.38         85    125    60    11.5
   green   ripe   0.66         100   130    62    11.5
   green   mushy  0.86         88    98     52    11.5
   ======  =====  ===========  ====  =====  ====  ====

   with standard deviations 0.065 (squishiness), 12, 12, 9 (red, green, blue) and 0.9 or 1.1 cm
   (height of Hass and green). Weight is normal around 20 g for each cm of the noted height (10 g
   more for green), with standard deviation 22 g.
4. The *label* is whether the state is ripe, except that memory fails: it is flipped with
   probability ``label_noise``.

A Hass darkens as it ripens and a green-skinned one does not, and what is soft for a Hass is still
hard for a green one; too soft is not ripe either. So colour and squishiness interact, and no linear
rule is enough.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from ripen.settings.typed import Count, typed


@dataclass(frozen=True)
class Feature:
    """A measured column: its range, ends included, and the step it is noted in."""

    name: str
    low: float
    high: float
    resolution: float


@typed
class Drawn:
    """How many avocados are drawn, and the share of flipped labels."""

    n_train: Annotated[int, Field(ge=20)]
    n_test: Count
    n_more: Annotated[int, Field(ge=0)]
    label_noise: Annotated[float, Field(ge=0, le=0.5)]


FEATURES = (
    Feature("height_cm", 0.0, 30.0, resolution=0.1),
    Feature("weight_g", 0.0, 1000.0, resolution=1.0),
    Feature("squishiness", 0.0, 1.0, resolution=0.01),
    Feature("red", 0.0, 255.0, resolution=1.0),
    Feature("green", 0.0, 255.0, resolution=1.0),
    Feature("blue", 0.0, 255.0, resolution=1.0),
)


@dataclass(frozen=True)
class Component:
    """One kind in one state: its prior probability and the means of its measurements."""

    prior: float
    ripe: bool
    height: tuple[float, float]  # mean and standard deviation, cm
    extra_weight: float  # g, on top of 20 g/cm
    means: tuple[float, float, float, float]  # squishiness, red, green, blue


_HASS, _GREEN = ((9.0, 0.9), 0.0), ((11.5, 1.1), 10.0)
COMPONENTS = (
    Component(0.6 * 0.40, False, *_HASS, (0.22, 75.0, 105.0, 55.0)),
    Component(0.6 * 0.45, True, *_HASS, (0.50, 58.0, 52.0, 48.0)),
    Component(0.6 * 0.15, False, *_HASS, (0.74, 42.0, 36.0, 38.0)),
    Component(0.4 * 0.40, False, *_GREEN, (0.38, 85.0, 125.0, 60.0)),
    Component(0.4 * 0.45, True, *_GREEN, (0.66, 100.0, 130.0, 62.0)),
    Component(0.4 * 0.15, False, *_GREEN, (0.86, 88.0, 98.0, 52.0)),
)
GRAMS_PER_CM = 20.0
WEIGHT_SD = 22.0
SKIN_SDS = (0.065, 12.0, 12.0, 9.0)  # of squishiness, red, green, blue


def sample(n: int, label_noise: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw avocados with their labels.

    Parameters
    ----------
    n : int
        Number of avocados.
    label_noise : float in [0, 0.5]
        Probability that a label is flipped.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    DataFrame of n rows
        The columns of `FEATURES` and ``ripe`` (0 or 1).
    """
    index = rng.choice(len(COMPONENTS), n, p=[c.prior for c in COMPONENTS])
    height_mean, height_sd = np.array([c.height for c in COMPONENTS])[index].T
    extra = np.array([c.extra_weight for c in COMPONENTS])[index]
    means = np.array([c.means for c in COMPONENTS])[index]

    height = _note(FEATURES[0], rng.normal(height_mean, height_sd))
    weight = _note(FEATURES[1], rng.normal(GRAMS_PER_CM * height + extra, WEIGHT_SD))
    skin = rng.normal(means, SKIN_SDS)
    columns = [height, weight, *(_note(f, v) for f, v in zip(FEATURES[2:], skin.T, strict=True))]
    frame = pd.DataFrame({f.name: v for f, v in zip(FEATURES, columns, strict=True)})
    ripe = np.array([c.ripe for c in COMPONENTS])[index]
    return frame.assign(ripe=(ripe ^ (rng.random(n) < label_noise)).astype(np.int64))


def bayes_probability(frame: pd.DataFrame, label_noise: float) -> NDArray[np.float64]:
    """Probability of the label 1 given the measurements, exact for the distribution above.

    The measurements are rounded and clipped, so each has a probability and not a density: the
    normal's mass between the edges of its rounding interval, the tails included at the ends of
    the range.

    Parameters
    ----------
    frame : DataFrame of n rows
        At least the columns of `FEATURES`.
    label_noise : float in [0, 0.5]
        Probability that a label is flipped.

    Returns
    -------
    ndarray of shape (n,)
        Probabilities, each between `label_noise` and 1 - `label_noise`.
    """
    from scipy.special import logsumexp

    values = frame[[f.name for f in FEATURES]].to_numpy(np.float64)
    joint = np.stack([_log_joint(values, c) for c in COMPONENTS], axis=1)
    is_ripe = np.array([c.ripe for c in COMPONENTS])
    ripe = np.exp(logsumexp(joint[:, is_ripe], axis=1) - logsumexp(joint, axis=1))
    return np.asarray(ripe * (1 - label_noise) + (1 - ripe) * label_noise)


def bayes_accuracy(label_noise: float, rng: np.random.Generator, n: int) -> float:
    """Accuracy of the best possible rule, by the mean of its certainty over a large sample.

    Parameters
    ----------
    label_noise : float in [0, 0.5]
        Probability that a label is flipped.
    rng : numpy.random.Generator
        Source of the sample.
    n : int
        Size of the sample; the standard error is below 0.3 / sqrt(n).
    """
    probability = bayes_probability(sample(n, label_noise, rng), label_noise)
    return float(np.mean(np.maximum(probability, 1 - probability)))


def generate(drawn: Drawn, seed: int) -> dict[str, pd.DataFrame]:
    """Draw the competition's files in Kaggle's form.

    Parameters
    ----------
    drawn : Drawn
        How many avocados of each part, and the label noise.
    seed : int
        Seed of the one generator that all parts are drawn from.

    Returns
    -------
    dict of str to DataFrame
        ``train`` (id, features, ripe), ``test`` (id, features), ``sample_submission`` (id, ripe),
        ``solution`` (id, ripe: the test labels, which Kaggle would keep to itself) and ``more``
        (as train: further avocados, which only the learning curve uses).
    """
    sizes = {"train": drawn.n_train, "test": drawn.n_test, "more": drawn.n_more}
    everything = sample(sum(sizes.values()), drawn.label_noise, np.random.default_rng(seed))
    everything.insert(0, "id", np.arange(1, len(everything) + 1))
    starts = np.cumsum([0, *sizes.values()])
    parts = {
        name: everything.iloc[start : start + size].reset_index(drop=True)
        for (name, size), start in zip(sizes.items(), starts[:-1], strict=True)
    }
    solution = parts["test"][["id", "ripe"]]
    return {
        "train": parts["train"],
        "test": parts["test"].drop(columns="ripe"),
        "sample_submission": solution.assign(ripe=0.5),
        "solution": solution,
        "more": parts["more"],
    }


def _note(feature: Feature, values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Rounding to whole steps before scaling keeps 0.1 * 3 from printing as 0.30000000000000004.
    per_unit = round(1 / feature.resolution)
    return np.clip(np.round(values * per_unit) / per_unit, feature.low, feature.high)


def _log_joint(values: NDArray[np.float64], component: Component) -> NDArray[np.float64]:
    """Log of prior times likelihood: values of shape (n, 6) give shape (n,)."""
    height = values[:, 0]
    weight_mean = GRAMS_PER_CM * height + component.extra_weight
    total = np.log(component.prior) + _log_mass(FEATURES[0], height, *component.height)
    total += _log_mass(FEATURES[1], values[:, 1], weight_mean, WEIGHT_SD)
    for j, (mean, sd) in enumerate(zip(component.means, SKIN_SDS, strict=True), start=2):
        total += _log_mass(FEATURES[j], values[:, j], mean, sd)
    return np.asarray(total)


def _log_mass(
    feature: Feature, values: NDArray[np.float64], mean: float | NDArray[np.float64], sd: float
) -> NDArray[np.float64]:
    """Log of the normal's mass in the rounding interval around each value."""
    from scipy.special import log_ndtr  # the normal's logcdf, without scipy.stats around it

    half = feature.resolution / 2
    low = np.where(values <= feature.low, -np.inf, (values - half - mean) / sd)
    high = np.where(values >= feature.high, np.inf, (values + half - mean) / sd)
    # In the right tail the difference of two numbers near 1 loses all digits: mirror it.
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    upper, lower = log_ndtr(high), log_ndtr(low)
    return np.asarray(upper + np.log1p(-np.exp(lower - upper)))
