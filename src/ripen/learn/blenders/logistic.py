"""A logistic stacker: a weighted sum of log probabilities, by the log loss."""

import numpy as np

from ripen.learn.blenders import BLENDERS, SPACES, Blender, Floats, Mixture, Sample, rounded


def fit(sample: Sample) -> Mixture:
    """Return one weight a model, none below 0, and an intercept for each class or label."""
    space = "log" if sample.task.classifies else "logit"
    taken, m = SPACES[space].there(sample.outputs), len(sample.outputs)
    weights, intercept = solve(taken, sample, np.full(m, 1 / m))
    return Mixture("logistic", space, weights, intercept)


def solve(taken: Floats, sample: Sample, prior: Floats) -> tuple[Floats, Floats]:
    """Return weights and intercepts of the least log loss, with a normal prior on both.

    A row of several classes has one of them; labels are independent.

    Parameters
    ----------
    taken : float64 ndarray of shape (m, n, k)
        What is weighted.
    sample : Sample
        Gives the rows' targets and weights.
    prior : float64 ndarray of shape (m,)
        The mean of the weights' prior, whose variance is 1/2; that of the intercepts is 0.

    Returns
    -------
    float64 ndarrays of shape (m,) and (k,)
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logsumexp

    m, n, k = taken.shape
    wanted, classifies, shares = sample.wanted, sample.task.classifies, sample.shares[:, None]

    def loss(values: Floats) -> tuple[float, Floats]:
        weights, intercept = values[:m], values[m:]
        z = np.tensordot(weights, taken, 1) + intercept
        if classifies:
            total = logsumexp(z, axis=1, keepdims=True)
            each, slope = (
                total - (wanted * z).sum(axis=1, keepdims=True),
                np.exp(z - total) - wanted,
            )
        else:
            each, slope = np.logaddexp(0, z) - wanted * z, expit(z) - wanted
        cost, slope = (each * shares).sum(), slope * shares
        apart = weights - prior
        cost += (apart**2).sum() + (intercept**2).sum()
        to_weights = np.tensordot(taken, slope, ((1, 2), (0, 1))) + 2 * apart
        to_intercept = slope.sum(axis=0) + 2 * intercept
        return float(cost) / n, np.concatenate([to_weights, to_intercept]) / n

    start = np.concatenate([prior, np.zeros(k)])
    bounds = [(0, None)] * m + [(None, None)] * k
    options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return rounded(found.x[:m]), rounded(found.x[m:])


BLENDERS.add("logistic", Blender(lambda task, metric: task.probabilities, fit))
