"""The training loop of trials in one stack: their settings, their progress and their results."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from caffe.policies import learning_rate
from caffe.proto import caffe_pb2
from ripen.learn.convergence import Check, Convergence, Reason, Training
from ripen.learn.models import mlp
from ripen.learn.models.stack import Batch, Batches, Layers, Pass, Stack
from ripen.settings.schema import Net, Solver, Train

# Probabilities that are kept until their logarithms are taken together, which is faster than one
# batch at a time.
ROOM = 2**21
Callback = Callable[[int, Check], bool]


@dataclass(frozen=True)
class Trial:
    """The settings of one net and its training.

    Attributes
    ----------
    net : Net
        Without dropout.
    solver : Solver
    train : Train
    seed : int
        Of the first weights.
    """

    net: Net
    solver: Solver
    train: Train
    seed: int


class Live:
    """A trial that is still training.

    Parameters
    ----------
    number : int
        Its place among all trials.
    trial : Trial
    first : Layers
        Its first weights.
    """

    def __init__(self, number: int, trial: Trial, first: Layers) -> None:
        self.number, self.trial, self.first = number, trial, first
        # Read back from Caffe's message, which keeps these numbers in single precision.
        self.param: caffe_pb2.SolverParameter = mlp.solver(
            trial.solver, Path("net"), Path("net"), trial.seed
        )
        self._convergence = Convergence.of(trial.train, trial.solver.max_iter)
        self._checks: list[Check] = []

    def check(self, check: Check, callback: Callback) -> Reason | None:
        """Record a check; return why the trial ends with it, or None."""
        self._checks.append(check)
        goes_on = callback(self.number, check)
        ended = self._convergence.check(check.iteration, check.loss, check.validation_loss)
        return ended if goes_on or ended else Reason.PRUNED

    def training(self, stopped: Reason, iterations: int) -> Training:
        return Training(
            stopped,
            iterations,
            self._convergence.best_iteration,
            self._convergence.best_validation_loss,
            tuple(self._checks),
        )


class Group:
    """Trials in one stack, from their first weights until the last one has ended.

    Parameters
    ----------
    live : list of Live
        Of one depth, activation, batch size, check interval and `max_iter`.
    train, validation : Batch
    callback : callable
        See `ripen.learn.models.batched.fit_each`.
    """

    def __init__(
        self, live: list[Live], train: Batch, validation: Batch, callback: Callback
    ) -> None:
        self._live, self._validation, self._callback = live, validation, callback
        one = live[0].trial
        self._activation, self._interval = one.net.activation, one.train.check_interval
        self._max_iter, self._iteration = one.solver.max_iter, 0
        self._batches = Batches(train, min(one.train.batch_size, len(train.labels)))
        self._stack = Stack([each.first for each in live])
        self._allocate()

    def run(self) -> Iterator[tuple[int, Training]]:
        """Train; yield each trial's number and training as soon as it has ended."""
        while self._live:
            started = time.perf_counter()
            iterations = min(self._interval, self._max_iter - self._iteration)
            losses, norms = self._learn(iterations)
            validation_losses, accuracies = self._validate()
            seconds = (time.perf_counter() - started) / iterations / len(self._live)
            columns = (losses.double().mean(0), validation_losses, accuracies, norms)
            rows = zip(*(column.tolist() for column in columns), self._rates, strict=True)
            checks = [
                Check(self._iteration, loss, validation_loss, accuracy, rate, norm, seconds)
                for loss, validation_loss, accuracy, norm, rate in rows
            ]
            yield from self._leave(self._take(checks, losses))

    @np.errstate(all="ignore")  # a trial that diverges overflows; `_take` finds it
    def _learn(self, iterations: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Train for some iterations.

        Returns
        -------
        losses : Tensor of shape (iterations, nets)
        norms : float64 Tensor of shape (nets,)
            Of the gradients of the last iteration.
        """
        losses: list[torch.Tensor] = []
        waiting = 0
        for left in range(iterations - 1, -1, -1):
            if self._rate_moves or any(self._iteration % size == 0 for size in self._steps):
                self._set_rates()
            batch = self._batches[self._iteration]
            scores = self._training.forward(batch.data)
            torch.softmax(scores, 1, out=self._probabilities)
            torch.index_select(self._flat, 1, batch.places, out=self._slots[waiting])
            torch.add(batch.target, self._probabilities, alpha=1 / self._batches.size, out=scores)
            self._training.backward(batch.data)
            waiting += 1
            if waiting == len(self._slots) or not left:
                losses.append(_losses(self._room[:waiting]))
                waiting = 0
            if not left:
                norms = self._stack.gradient_norms()
            self._stack.update(self._rate, self._momentum, self._decay)
            self._iteration += 1
        return torch.cat(losses), norms

    @np.errstate(all="ignore")
    def _validate(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return losses and accuracies of shape (nets,)."""
        scores, places = self._validating.forward(self._validation.data), self._validation.places
        # Caffe's layer Accuracy counts a row as wrong if another score equals the label's.
        right = (scores >= scores.flatten(1)[:, None, places]).sum(1) <= 1
        losses = _losses(torch.softmax(scores, 1).flatten(1)[:, places])
        return losses, right.sum(1) / right.shape[1]

    def _take(self, checks: list[Check], losses: torch.Tensor) -> dict[int, Training]:
        """Record each trial's check; return the training of those that end, by place."""
        ended = {}
        bad = ~losses.isfinite()
        for place, (each, check) in enumerate(zip(self._live, checks, strict=True)):
            if bad[:, place].any() or not _is_finite(check):
                # At the first loss that is not a number, or else at this check.
                first = int(bad[:, place].int().argmax()) if bad[:, place].any() else len(bad) - 1
                at = self._iteration - len(bad) + first + 1
                ended[place] = each.training(Reason.DIVERGED, at)
            elif (stopped := each.check(check, self._callback)) is not None:
                ended[place] = each.training(stopped, self._iteration)
        return ended

    def _leave(self, ended: dict[int, Training]) -> Iterator[tuple[int, Training]]:
        """Yield the trainings that have ended, and remove their trials from the stack."""
        for place, training in ended.items():
            yield self._live[place].number, training
        staying = [place for place in range(len(self._live)) if place not in ended]
        self._live = [self._live[place] for place in staying]
        if ended and staying:
            self._stack.keep(staying)
            self._allocate()

    def _allocate(self) -> None:
        """Rebuild the tensors that depend on which trials are still running."""
        stack = self._stack
        self._training = Pass(stack, self._activation, self._batches.size)
        self._validating = Pass(stack, self._activation, len(self._validation.labels))
        self._probabilities = torch.empty(len(stack), stack.outputs[-1], self._batches.size)
        self._flat = self._probabilities.flatten(1)
        slots = max(1, min(self._interval, ROOM // (len(stack) * self._batches.size)))
        self._room = torch.empty(slots, len(stack), self._batches.size)
        self._slots = self._room.unbind()
        params = [each.param for each in self._live]
        self._momentum = stack.spread([param.momentum for param in params])
        self._decay = stack.spread([param.weight_decay for param in params])
        self._steps = {param.stepsize for param in params if param.lr_policy == "step"}
        self._rate_moves = any(param.lr_policy not in ("fixed", "step") for param in params)
        self._set_rates()

    def _set_rates(self) -> None:
        """Set the learning rates of the current iteration."""
        self._rates = [learning_rate(each.param, self._iteration) for each in self._live]
        self._rate = self._stack.spread(self._rates) * self._stack.mask


def _losses(probabilities: torch.Tensor) -> torch.Tensor:
    """Return SoftmaxWithLoss's means over the last axis of the labels' probabilities, in place."""
    logarithms = probabilities.clamp_min_(torch.finfo(torch.float32).tiny).log_()
    return -logarithms.sum(-1) / probabilities.shape[-1]


def _is_finite(check: Check) -> bool:
    return math.isfinite(check.gradient_norm) and math.isfinite(check.validation_loss)
