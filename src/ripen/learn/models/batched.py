"""Many small nets trained at once, each to the numbers that it would reach alone.

A net on a table is so small that most of its training time is overhead between operations. Trials
that differ only in learning rate and policy, momentum, weight decay, seed, first weights, widths
and patience are therefore stacked: one product a layer for all (`ripen.learn.models.stack`).
The rules are those of `train_net`: Caffe's fillers for the seed, HDF5Data's batches, SGDSolver's
update, a check every `check_interval` iterations. The curves are kept, and no weights: a sweep
compares curves. A trial that has ended leaves the stack. One that diverges ends, and changes no
other.

Only the order of summation differs from a net trained alone. Curves agree to 1e-4 (measured: 1e-6),
and so does the end, unless a threshold lies between. Where the rate is so large that the loss jumps
about, training amplifies such rounding without limit, as it does between two processors; these
trials are alike and not equal.
"""

from collections.abc import Iterator, Sequence

import numpy as np

import caffe
from ripen.learn.convergence import Training
from ripen.learn.estimator import Rows
from ripen.learn.models import mlp
from ripen.learn.models.group import Callback, Group, Live, Trial
from ripen.learn.models.stack import Batch, Layers
from ripen.settings.schema import Net

LARGEST = 128  # trials in a stack: more are no faster, since they exceed the processor's cache


def fit_each(
    trials: Sequence[Trial],
    classes: int,
    train: Rows,
    validation: Rows,
    callback: Callback = lambda number, check: True,
) -> Iterator[tuple[int, Training]]:
    """Train all trials, and yield each one's number and training as soon as it has ended.

    Those of a depth, activation, batch size, check interval and `max_iter` train together.

    Parameters
    ----------
    trials : sequence of Trial
        `fits` must hold for each.
    classes : int
    train, validation : Rows
        `x` float32 of shape (n, features), `y` int64 labels.
    callback : callable
        Receives a trial's number and each of its checks. Where it returns False the trial ends as
        pruned.

    Raises
    ------
    ValueError
        If a trial cannot be stacked.
    """
    if not all(fits(trial) for trial in trials):
        raise ValueError("only SGD can be stacked, with L2, no clipping, iter_size 1, no dropout")
    learnt, held_out = (
        Batch.of(rows.x, rows.y.astype(np.int64), classes) for rows in (train, validation)
    )
    firsts: dict[str, Layers] = {}
    groups: dict[tuple[object, ...], list[Live]] = {}
    for number, trial in enumerate(trials):
        # Trials of one net and seed share their first weights, which take long to make by Caffe.
        same = repr((trial.net, trial.seed))
        if same not in firsts:
            firsts[same] = first_weights(trial.net, train.x.shape[1], classes, trial.seed)
        groups.setdefault(_together(trial), []).append(Live(number, trial, firsts[same]))
    for group in groups.values():
        for start in range(0, len(group), LARGEST):
            yield from Group(group[start : start + LARGEST], learnt, held_out, callback).run()


def fits(trial: Trial) -> bool:
    """Whether a trial can be stacked. Others train by `train_net`.

    It can with SGD, L2, any policy, no clipping of gradients and iter_size 1. Dropout would draw
    other numbers for each net.
    """
    solver = trial.solver
    plain = solver.clip_gradients is None and solver.iter_size == 1
    rule = (solver.type, solver.regularization_type)
    return plain and rule == ("SGD", "L2") and not trial.net.dropout


def first_weights(net: Net, features: int, classes: int, seed: int) -> Layers:
    """Return the weights that Caffe's fillers give a net for a seed."""
    caffe.set_random_seed(seed)
    made = caffe.Net(mlp.deploy(net, features, classes), caffe.TEST)
    return [(w.data.copy(), b.data.copy()) for w, b in made.params.values()]


def _together(trial: Trial) -> tuple[object, ...]:
    """Return what all trials of a stack have in common."""
    settings = trial.train.batch_size, trial.train.check_interval, trial.solver.max_iter
    return (len(trial.net.hidden_layers), trial.net.activation, *settings)
