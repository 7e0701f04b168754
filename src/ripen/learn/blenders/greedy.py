"""Greedy selection: add models one by one, the same one again if that is best.

Source: Caruana et al., Ensemble Selection from Libraries of Models, 2004: with replacement, begun
with the best models, and averaged over bags. Their bags are samples of a library of thousands of
models; ours are samples of the rows, as a library of ten has no model to spare.

What is known without any model, the share of each class or the mean of a target, may be added as a
model is: a blend of models that tell little is no worse than that.
"""

import numpy as np

from ripen.learn.blenders import BLENDERS, SPACES, Blender, Floats, Ints, Mixture, Sample, rounded

LEAST, LARGEST = 1_000, 20_000  # rows of a bag: more than that change no weight, and take long
NUMBERS = 400_000  # outputs of a model in a bag, where there are many classes
PATIENCE = 2  # additions without a better score, after which a selection ends
PLACES = 9  # decimals of a score, so that another processor's last bits choose no other model


def fit(sample: Sample) -> Mixture:
    """Return the mean weights of the selections in all bags; those of all rows for a single bag."""
    taken = SPACES[sample.space].there(sample.outputs)
    models, none = len(taken), np.zeros(taken.shape[2])
    if (constant := constant_of(sample)) is not None:
        taken = np.concatenate([taken, np.broadcast_to(constant, (1, *taken.shape[1:]))])
    weights = np.zeros(len(taken))
    for bag in range(sample.bags):
        weights += selection(sample, taken, _rows(sample, bag), models)
    weights = rounded(weights / sample.bags)
    intercept = none if constant is None else rounded(weights[models] * constant)
    return Mixture("greedy", sample.space, weights[:models], intercept)


def constant_of(sample: Sample) -> Floats | None:
    """Return the best output that is the same for all rows, in the space of averages, shape (k,).

    None where the metric takes labels, or only the order of rows: no constant changes those well.
    """
    metric = sample.metric
    if metric.ranks or metric.needs not in ("probability", "value"):
        return None
    wanted = SPACES[sample.space].there(sample.wanted)
    if metric.quantile is not None:
        return np.asarray(np.quantile(wanted, metric.quantile, axis=0))
    return np.asarray(np.average(wanted, axis=0, weights=sample.shares))


def _rows(sample: Sample, bag: int) -> Ints:
    """Return the rows of a bag, drawn with replacement; all of them in order for a single one."""
    _, count, outputs = sample.outputs.shape
    most = min(max(NUMBERS // outputs, LEAST), LARGEST)
    random = np.random.default_rng([sample.seed, bag])
    if sample.bags > 1:
        drawn: Ints = random.integers(count, size=min(count, most))
        return drawn
    if count > most:
        return np.sort(random.choice(count, most, replace=False))
    return np.arange(count)


def selection(sample: Sample, taken: Floats, rows: Ints, models: int) -> Floats:
    """Return the weights of one greedy selection on some rows, shape (m,).

    Parameters
    ----------
    sample : Sample
    taken : float64 ndarray of shape (m, n, k)
        Outputs in the space in which they are averaged.
    rows : int64 ndarray
    models : int
        How many of them are models: these come first, and the best one has a weight.
    """
    back, own = SPACES[sample.space].back, taken[:, rows]

    def loss(total: Floats, count: int) -> float:
        return round(sample.loss(rows, back(total / count)), PLACES)

    alone = [loss(each, 1) if place < models else np.inf for place, each in enumerate(own)]
    order = np.argsort(alone, kind="stable")
    # Begin with as many of the best models as make the best plain average.
    sums = own[order].cumsum(axis=0)
    starts = [loss(total, place + 1) for place, total in enumerate(sums)]
    first = int(np.argmin(starts)) + 1
    counts = np.zeros(len(own))
    counts[order[:first]] = 1
    total, best, kept, since = sums[first - 1], starts[first - 1], counts.copy(), 0
    for _ in range(sample.steps):
        size = int(counts.sum()) + 1
        tried = [loss(total + own[place], size) for place in order]  # of equal ones the best alone
        place = int(order[int(np.argmin(tried))])
        total, counts[place] = total + own[place], counts[place] + 1
        since += 1
        if min(tried) < best:
            best, kept, since = min(tried), counts.copy(), 0
        if since == PATIENCE:
            break
    return np.asarray(kept / kept.sum())


BLENDERS.add("greedy", Blender(lambda task, metric: True, fit))
