"""Rank averaging: for a metric that only ranks, each model's outputs count by their order alone."""

from dataclasses import replace

import numpy as np

from ripen.competition.metrics import Metric
from ripen.competition.tasks import Task
from ripen.learn.blenders import BLENDERS, KNOTS, Blender, Mixture, Sample, rank_of, rounded
from ripen.learn.blenders.greedy import fit as greedy
from ripen.learn.blenders.logistic import solve


def fit(sample: Sample) -> Mixture:
    """Return a greedy selection of ranks, then scaled to probabilities, which changes no order."""
    levels = np.linspace(0, 1, KNOTS)
    knots = np.quantile(sample.outputs, levels, axis=1).transpose(1, 2, 0)
    ranked = np.stack([rank_of(each, own) for each, own in zip(sample.outputs, knots, strict=True)])
    weights = greedy(replace(sample, outputs=ranked)).weights
    blended = np.tensordot(weights, ranked, 1)[None]
    slope, intercept = solve(blended, sample, np.ones(1))
    space = "log" if sample.task.classifies else "logit"
    return Mixture("ranks", space, rounded(weights * max(slope[0], 1.0)), intercept, knots)


def _fits(task: Task, metric: Metric) -> bool:
    """Ranks of three classes or more would not survive the scaling of a row to the sum 1."""
    return metric.ranks and task.probabilities and (task.most == 2 or not task.classifies)


BLENDERS.add("ranks", Blender(_fits, fit))
