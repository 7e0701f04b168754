"""A linear stacker: least squares without negative weights, drawn towards the plain mean."""

import numpy as np

from ripen.learn.blenders import BLENDERS, SPACES, Blender, Mixture, Sample, rounded

RIDGE = 1e-3  # of the models' mean sum of squares: models that agree share their weight


def fit(sample: Sample) -> Mixture:
    """Return the weights w ≥ 0 of the least ‖y - b - Xw‖² + r ‖w - 1/m‖², rows by their weight.

    Values have an intercept b for each output, and weights of any sum. Weights of probabilities
    sum to 1, so that the blend is one too.
    """
    from scipy.optimize import nnls

    there = SPACES[sample.space].there
    taken, wanted = there(sample.outputs), there(sample.wanted)
    m, _, k = taken.shape
    means, mean = np.zeros((m, k)), np.zeros(k)
    if not sample.task.probabilities:
        means = np.average(taken, axis=-2, weights=sample.shares)
        mean = np.average(wanted, axis=-2, weights=sample.shares)
    root = np.sqrt(sample.shares)[:, None]
    x = ((taken - means[:, None]) * root).reshape(m, -1).T
    y = ((wanted - mean) * root).ravel()
    # The normal equations: m by m, however many rows there are.
    gram = x.T @ x
    ridge = RIDGE * max(np.trace(gram) / m, np.finfo(np.float64).tiny)
    factor = np.linalg.cholesky(gram + ridge * np.eye(m)).T
    right = np.linalg.solve(factor.T, x.T @ y + ridge / m)
    weights = nnls(factor, right)[0]
    if sample.task.probabilities:
        weights = weights / weights.sum() if weights.any() else np.full(m, 1 / m)
    weights = rounded(weights)
    return Mixture("linear", sample.space, weights, rounded(mean - weights @ means))


BLENDERS.add("linear", Blender(lambda task, metric: True, fit))
