"""The solver's loop: gradients, updates, tests, snapshots. The types are in `caffe.solvers`.

An iteration follows Caffe's Solver::Step: the gradients of `iter_size` passes are summed, clipped,
divided by `iter_size`, regularized, turned into an update by the type's rule, and subtracted.
"""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from operator import index
from typing import Any, ClassVar

import torch

from caffe import debug, glog, snapshot, solver_nets
from caffe.build import Learnable
from caffe.errors import SolverError
from caffe.formats import PathLike
from caffe.net import Net
from caffe.policies import check_policy, learning_rate, passed_steps
from caffe.progress import Progress, outputs
from caffe.proto.caffe_pb2 import SolverParameter
from caffe.rng import set_random_seed
from caffe.vectors import Fixed

_PIECE = 2**17  # elements; the pieces of one update then fit into the CPU's cache


class SolverAction(Enum):
    """A request to a running solver, for instance by a signal."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"


class Solver(Fixed, ABC):
    """The base of all solvers; each type implements its rule as `update`.

    Parameters
    ----------
    solver : path or SolverParameter
        The definition. Paths in it are relative to the current folder, as in Caffe.

    Attributes
    ----------
    param : SolverParameter
        May be changed while it runs, `param.max_iter = 500` for instance.
    net : Net
        The net that is trained.
    test_nets : list of Net
        They share the weights of `net` from their first test on.

    Raises
    ------
    CaffeError
        If the definition is invalid.
    """

    fixed = frozenset({"net", "test_nets", "param"})
    histories: ClassVar[int] = 1
    takes_momentum: ClassVar[bool] = True

    def __init__(self, solver: PathLike | SolverParameter) -> None:
        self.param = solver_nets.read_solver(solver)
        if glog.enabled():
            text = glog.text(self.param)
            glog.info("solver.cpp:45", "Initializing solver from parameters: \n%s", text)
        self._check()
        if self.param.random_seed >= 0:
            set_random_seed(self.param.random_seed % 2**32)  # Caffe's is an unsigned int
        self.net = solver_nets.train_net(self.param)
        self.test_nets = solver_nets.test_nets(self.param)
        if self.param.debug_info:
            debug.watch(self.net, self._displays)
        glog.info("solver.cpp:57", "Solver scaffolding done.")
        self._iter = 0
        self._current_step = 0
        self._stopped = False
        self._progress = Progress(self.param)
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._requested: Callable[[], SolverAction] = lambda: SolverAction.NONE
        self._history = [
            [torch.zeros_like(learnt.blob.tensor) for learnt in self.net.learnable_params]
            for _ in range(self.histories)
        ]

    @abstractmethod
    def update(
        self, gradient: torch.Tensor, history: Sequence[torch.Tensor], rate: float
    ) -> torch.Tensor:
        """Return the update to subtract from a parameter, or from a piece of one.

        Parameters
        ----------
        gradient : Tensor
            Regularized; may be modified in place.
        history : sequence of `histories` Tensor
            The rule's state, in the gradient's shape; to be modified in place.
        rate : float
            Learning rate, including the parameter's multiplier.
        """

    @property
    def iter(self) -> int:
        """Iterations done."""
        return self._iter

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration."""
        passed = passed_steps(self.param, self._iter, self._current_step)
        return learning_rate(self.param, self._iter, passed)

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last `average_loss` iterations of this `step`."""
        return self._progress.loss

    def add_callback(
        self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any]
    ) -> None:
        """Register callbacks: before each iteration, and when its gradients are ready."""
        self._callbacks.append((on_start, on_gradients_ready))

    def set_action_function(self, requested: Callable[[], SolverAction]) -> None:
        """Set the function that is polled for requests after every iteration and test pass."""
        self._requested = requested

    def share_weights(self, net: Net) -> None:
        """Make another net share this solver's weights, for layers of the same name."""
        net.share_with(self.net)

    def step(self, iterations: int) -> None:
        """Run some iterations, with the tests and snapshots that are due in them.

        Raises
        ------
        SolverError
            If the number exceeds C++'s int, which Caffe counts with.
        """
        if index(iterations) >= 2**31:
            raise SolverError(f"step({iterations}). Allowed: at most {2**31 - 1} iterations")
        end = self._iter + index(iterations)
        self._progress.start(self._iter)
        while self._iter < end and not self._stopped:
            self.net.clear_param_diffs()
            self._test_if_due()
            if self._stopped:
                break
            self._learn()
            action = self._requested()
            due = self.param.snapshot and self._iter % self.param.snapshot == 0
            if due or action is SolverAction.SNAPSHOT:
                self.snapshot()
            self._stopped = action is SolverAction.STOP

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Run until `max_iter`, resuming from a solverstate if one is given."""
        glog.info("solver.cpp:289", "Solving %s", self.net.name)
        glog.info("solver.cpp:290", "Learning Rate Policy: %s", self.param.lr_policy)
        self._stopped = False
        if resume_file is not None:
            glog.info("solver.cpp:296", "Restoring previous solver status from %s", resume_file)
            self.restore(resume_file)
        self.step(self.param.max_iter - self._iter)
        interval = self.param.snapshot  # at a multiple of it `step` has just written one
        if self.param.snapshot_after_train and (not interval or self._iter % interval):
            self.snapshot()
        if self._stopped:
            glog.info("solver.cpp:319", "Optimization stopped early.")
            return
        if self._displays():
            # One more forward pass gives the loss after the last update.
            self._progress.add_loss(self.net.run_forward())
            loss = self._progress.loss
            glog.info("solver.cpp:327", "Iteration %d, loss = %g", self._iter, loss)
        if self.param.test_interval and self._iter % self.param.test_interval == 0:
            self.test_all()
        glog.info("solver.cpp:332", "Optimization Done.")

    def apply_update(self) -> None:
        """Update the parameters once by their current gradients, and count the iteration."""
        rate = self._next_rate()
        parameters = self.net.learnable_params
        self._history = [_beside(part, parameters) for part in self._history]
        # The norm is over all parameters, so clipping comes before any update.
        scale = self._clip_scale([learnt.blob.grad for learnt in parameters])
        for learnt, *history in zip(parameters, *self._history, strict=True):
            decay = self.param.weight_decay * learnt.decay
            # All operations on a piece before the next, while it is in the CPU's cache.
            for values, gradient, *past in _pieces(learnt.blob.tensor, learnt.blob.grad, *history):
                if scale != 1.0:
                    gradient.mul_(scale)
                if self.param.iter_size > 1:
                    gradient.mul_(1.0 / self.param.iter_size)
                self._regularize(gradient, values, decay)
                change = self.update(gradient, past, rate * learnt.lr)
                gradient.copy_(change)  # as in Caffe, diff holds the update after a step
                values.sub_(change)
        self._iter += 1  # counted for updates by a script too (sgd_solver.cpp)

    def test_all(self) -> list[dict[str, Any]]:
        """Run every test net `test_iter` times with the current weights; return mean outputs.

        If the solver is requested to stop meanwhile, the remaining nets are skipped.
        """
        results: list[dict[str, Any]] = []
        for number in range(len(self.test_nets)):
            if not self._stopped:
                results.append(self._test(number))
        return results

    def snapshot(self) -> None:
        """Write `<prefix>_iter_<n>.caffemodel` and `.solverstate`, or their HDF5 forms (`.h5`)."""
        snapshot.write(self.param, self.net, self._iter, self._current_step, self._history)

    def restore(self, state_file: str | os.PathLike[str]) -> None:
        """Restore iteration, history and weights from a snapshot.

        Raises
        ------
        CaffeError
            If the file, or the caffemodel that it names, does not fit the net.
        """
        kind = type(self).__name__
        self._iter, self._current_step = snapshot.read(state_file, self.net, self._history, kind)

    def _check(self) -> None:
        param = self.param
        if len(param.test_iter) and param.test_interval <= 0:
            raise SolverError("test_iter is given and test_interval is not. Needed: 1 or more")
        if param.weight_decay and param.regularization_type not in ("L1", "L2"):
            raise SolverError(
                f"regularization_type is '{param.regularization_type}'. Allowed: L1, L2"
            )
        for name in ("iter_size", "average_loss"):
            if getattr(param, name) < 1:
                raise SolverError(f"{name} is {getattr(param, name)}. Allowed: 1 or more")
        if param.momentum and not self.takes_momentum:
            raise SolverError(f"{type(self).__name__}: momentum is {param.momentum:g}. Allowed: 0")
        check_policy(param)
        snapshot.check_writable(param)

    def _displays(self) -> bool:
        """Whether this iteration is logged."""
        return bool(self.param.display) and self._iter % self.param.display == 0

    def _learn(self) -> None:
        """Run one iteration: gradients, display, update."""
        for on_start, _ in self._callbacks:
            on_start()
        loss = 0.0
        for _ in range(self.param.iter_size):
            loss += self.net.forward_backward()
        self._progress.add_loss(loss / self.param.iter_size)
        if self._displays():
            self._progress.show(self._iter, self.net)
        for _, on_gradients_ready in self._callbacks:
            on_gradients_ready()
        self.apply_update()

    def _test_if_due(self) -> None:
        interval = self.param.test_interval
        first = self._iter == 0 and not self.param.test_initialization
        if interval and self._iter % interval == 0 and not first:
            self.test_all()

    def _test(self, number: int) -> dict[str, Any]:
        net, passes = self.test_nets[number], self.param.test_iter[number]
        glog.info("solver.cpp:347", "Iteration %d, Testing net (#%d)", self._iter, number)
        net.share_with(self.net)  # at every test, as in Caffe: before the first it has its own
        sums: dict[str, Any] = {}
        loss = 0.0
        for _ in range(passes):
            self._act_while_testing()
            if self._stopped:
                glog.info("solver.cpp:392", "Test interrupted.")
                return {}
            loss += net.run_forward()
            for name in net.outputs:
                sums[name] = sums.get(name, 0) + net.blobs[name].data
        means = {name: value / passes for name, value in sums.items()}
        if self.param.test_compute_loss:
            glog.info("solver.cpp:401", "Test loss: %g", loss / passes if passes > 0 else math.nan)
        for line in outputs(net, means):
            glog.info("solver.cpp:414", "    Test net output %s", line)
        return means

    def _act_while_testing(self) -> None:
        # Snapshots are taken at once, even in the middle of a test, as in Caffe.
        action = self._requested()
        while action is SolverAction.SNAPSHOT:
            self.snapshot()
            action = self._requested()
        self._stopped = action is SolverAction.STOP

    def _next_rate(self) -> float:
        """Return the rate of this iteration; count a step that it reaches as passed."""
        passed = passed_steps(self.param, self._iter, self._current_step)
        if self.param.lr_policy == "multistep" and passed > self._current_step:
            line = "MultiStep Status: Iteration %d, step = %d"
            glog.info("sgd_solver.cpp:50", line, self._iter, passed)
        self._current_step = passed
        rate = learning_rate(self.param, self._iter, passed)
        if self._displays():
            glog.info("sgd_solver.cpp:112", "Iteration %d, lr = %g", self._iter, rate)
        return rate

    def _clip_scale(self, gradients: list[torch.Tensor]) -> float:
        """Return the factor that brings the gradients' common norm down to `clip_gradients`."""
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        flat = [gradient.reshape(-1) for gradient in gradients]
        norm = math.sqrt(sum(torch.stack([torch.dot(each, each) for each in flat]).tolist()))
        if not norm > limit:  # so for a limit that is NaN, as in Caffe
            return 1.0
        line = "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g"
        glog.info("sgd_solver.cpp:99", line, norm, limit, limit / norm)
        return limit / norm

    def _regularize(self, gradient: torch.Tensor, values: torch.Tensor, decay: float) -> None:
        if decay and self.param.regularization_type == "L2":
            gradient.add_(values, alpha=decay)
        elif decay:
            gradient.add_(values.sign(), alpha=decay)


def _beside(history: list[torch.Tensor], parameters: list[Learnable]) -> list[torch.Tensor]:
    """Move a history to the net's device, which set_mode_gpu may have changed."""
    pairs = zip(history, parameters, strict=True)
    return [values.to(learnt.blob.tensor) for values, learnt in pairs]


def _pieces(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Split large tensors of one shape alike, so that a piece stays in the CPU's cache."""
    if (
        tensors[0].numel() <= _PIECE
        or tensors[0].is_cuda
        or not all(tensor.is_contiguous() for tensor in tensors)
    ):
        yield tensors
        return
    yield from zip(*(torch.split(tensor.view(-1), _PIECE) for tensor in tensors), strict=True)
