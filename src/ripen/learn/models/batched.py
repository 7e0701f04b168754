"""Many small nets trained at once, each to the numbers that it would reach alone.

A net of a table is so small that most of a training's time passes between the operations. Trials
that differ only in learning rate and policy, momentum, weight decay, seed, first weights, widths
and patience are therefore stacked: one product a layer for all of them (`ripen.learn.models.stack`).
The rule is that of `caffe_net.fit`: Caffe's fillers for the seed, HDF5Data's batches, SGDSolver's
update, a check every `check_interval` iterations, and the weights of the best validation loss are
kept. A trial that has ended leaves the stack; one that diverges ends so, and spoils no other.

Only sums are added in another order than in a net on its own. Its rounding is all that differs:
curves, weights and probabilities are equal to 1e-4 (measured: 1e-6), and ends, unless a threshold
lies between. Where the rate is so large that the loss jumps about, training magnifies that without
limit, as it does between two processors; such trials are alike and not equal.

A net with no hidden layers is a **head** over cached features, logistic regression by Caffe's
solver: `head` makes such a trial.
"""

from collections.abc import Iterator, Sequence

from pydantic import TypeAdapter

import caffe
from ripen.competition.datasets.prepared import Part
from ripen.learn.models import mlp
from ripen.learn.models.rows import Rows
from ripen.learn.models.stack import Layers
from ripen.learn.models.trials import Group, Listener, Live, Trained, Trial
from ripen.settings.schema import Net, Solver, Train

__all__ = [
    "Trained", "Trial", "as_caffe", "first_weights", "fit", "fit_each", "fits", "head",
]  # fmt: skip

LARGEST = 128  # trials in a stack: more are no quicker, since they leave the processor's cache

_ONE_LAYER: Net = TypeAdapter(Net).validate_python(
    {"hidden_layers": [], "activation": "sigmoid", "dropout": 0.0, "weights": "xavier"},
    strict=False,
)


def head(
    solver: Solver,
    train: Train,
    seed: int,
    lr_mult: tuple[float, float] = (1.0, 1.0),
    decay_mult: tuple[float, float] = (1.0, 1.0),
) -> Trial:
    """Return the trial of one InnerProduct layer on cached features; see `Trial`."""
    return Trial(_ONE_LAYER, solver, train, seed, lr_mult, decay_mult)


def fit(
    trials: Sequence[Trial],
    classes: int,
    train: Part,
    validation: Part,
    listener: Listener = lambda number, check: True,
) -> list[Trained]:
    """Train all trials; the results are in the trials' order. Parameters as `fit_each`."""
    ended = dict(fit_each(trials, classes, train, validation, listener))
    return [ended[number] for number in range(len(trials))]


def fit_each(
    trials: Sequence[Trial],
    classes: int,
    train: Part,
    validation: Part,
    listener: Listener = lambda number, check: True,
) -> Iterator[tuple[int, Trained]]:
    """Train all trials, and yield each with its number as soon as it has ended.

    Those of a depth, activation, batch size, check interval and `max_iter` train together.

    Parameters
    ----------
    trials : sequence of Trial
        For each `fits` holds.
    classes : int
        Number of classes.
    train, validation : Part
        With labels; data of shape (n, features).
    listener : callable
        Is given a trial's number and each of its checks, as soon as it is there; where it returns
        False the trial ends as pruned.

    Raises
    ------
    ValueError
        If a trial does not fit.
    """
    if not all(fits(trial) for trial in trials):
        raise ValueError("only SGD can be stacked, with L2, no clipping, iter_size 1, no dropout")
    rows = Rows.of(train, classes), Rows.of(validation, classes)
    firsts: dict[str, Layers] = {}
    groups: dict[tuple[object, ...], list[Live]] = {}
    for number, trial in enumerate(trials):
        same = repr((trial.net, trial.seed))
        if same not in firsts:
            firsts[same] = first_weights(trial.net, train.table.shape[1], classes, trial.seed)
        groups.setdefault(_together(trial), []).append(Live(number, trial, firsts[same]))
    for group in groups.values():
        for start in range(0, len(group), LARGEST):
            yield from Group(group[start : start + LARGEST], *rows, listener).run()


def fits(trial: Trial) -> bool:
    """Whether a trial can be stacked; others are for `caffe_net.fit`.

    It can with SGD, L2, every policy, no clipping of gradients and iter_size 1. Dropout would draw
    other numbers for each net.
    """
    solver = trial.solver
    plain = solver.clip_gradients is None and solver.iter_size == 1
    rule = (solver.type, solver.regularization_type)
    return plain and rule == ("SGD", "L2") and not trial.net.dropout


def first_weights(net: Net, features: int, classes: int, seed: int) -> Layers:
    """Return what Caffe's fillers give a net for a seed."""
    caffe.set_random_seed(seed)
    made = caffe.Net(mlp.deploy(net, features, classes), caffe.TEST)
    return [(w.data.copy(), b.data.copy()) for w, b in made.params.values()]


def as_caffe(net: Net, layers: Layers) -> caffe.Net:
    """Return Caffe's net, input ``data`` and output ``prob``, with these weights.

    Its `save` writes the caffemodel; the names are those of `caffe_net.fit`'s files.
    """
    made = caffe.Net(mlp.deploy(net, layers[0][0].shape[1], len(layers[-1][1])), caffe.TEST)
    for blobs, arrays in zip(made.params.values(), layers, strict=True):
        for blob, array in zip(blobs, arrays, strict=True):
            blob.data[...] = array
    return made


def _together(trial: Trial) -> tuple[object, ...]:
    """What all trials of a stack have in common."""
    settings = trial.train.batch_size, trial.train.check_interval, trial.solver.max_iter
    return (len(trial.net.hidden_layers), trial.net.activation, *settings)
