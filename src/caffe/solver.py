"""Solvers: they move a net's parameters against their gradients, test, and take snapshots.

An iteration is that of Caffe's Solver::Step: gradients of `iter_size` passes are added, clipped,
divided by `iter_size`, regularized, turned into an update by the type's rule, and subtracted.
"""

import logging
import math
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch

from caffe.errors import FormatError, SolverError
from caffe.formats import blob_array, read_binary, read_text, set_blob, write_binary
from caffe.net import Net
from caffe.policies import learning_rate
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter, NetState, SolverParameter, SolverState
from caffe.rng import set_random_seed
from caffe.upgrade import set_snapshot_prefix, upgrade_solver

log = logging.getLogger("caffe")


class Solver(ABC):
    """What all solvers share; each type adds its rule as `update`.

    Parameters
    ----------
    solver : path or SolverParameter
        The definition. Paths in it are relative to the current folder, as in Caffe.

    Attributes
    ----------
    net : Net
        The net that is trained.
    test_nets : list of Net
    iter : int
        Iterations done.

    Raises
    ------
    CaffeError
        If the definition is not as it should be.
    """

    histories: ClassVar[int] = 1
    takes_momentum: ClassVar[bool] = True

    def __init__(self, solver: str | os.PathLike[str] | SolverParameter) -> None:
        self.param = SolverParameter()
        if isinstance(solver, SolverParameter):
            self.param.CopyFrom(solver)
        else:
            read_text(solver, self.param)
            set_snapshot_prefix(self.param, solver)
        self.param = upgrade_solver(self.param)
        self._check()
        if self.param.random_seed >= 0:
            set_random_seed(self.param.random_seed)
        self.net = Net(self._train_net(), phase=TRAIN)
        self.test_nets = [Net(net, phase=TEST) for net in self._test_nets()]
        for weights in self.param.weights:
            self.net.copy_from(weights)
        self.iter = 0
        self._losses: deque[float] = deque(maxlen=max(1, self.param.average_loss))
        self._callbacks: list[tuple[Callable[[], Any], Callable[[], Any]]] = []
        self._history = [
            [torch.zeros_like(learnt.blob.tensor) for learnt in self.net.learnable_params]
            for _ in range(self.histories)
        ]

    @abstractmethod
    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """Return what is subtracted from a parameter.

        Parameters
        ----------
        index : int
            The parameter's number in `net.learnable_params`; its history is
            `self._history[k][index]`.
        gradient : Tensor
            Regularized; may be changed in place.
        rate : float
            Learning rate, the parameter's multiplier included.
        """

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration."""
        return learning_rate(self.param, self.iter)

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last `average_loss` iterations."""
        return sum(self._losses) / len(self._losses) if self._losses else math.nan

    def add_callback(
        self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any]
    ) -> None:
        """Call the one before each iteration, the other when its gradients are there."""
        self._callbacks.append((on_start, on_gradients_ready))

    def step(self, iterations: int) -> None:
        """Do some iterations, with the tests and snapshots that fall into them."""
        end = self.iter + iterations
        while self.iter < end:
            self._test_if_due()
            for on_start, _ in self._callbacks:
                on_start()
            self.net.clear_param_diffs()
            loss = 0.0
            for _ in range(self.param.iter_size):
                loss += self.net.run_forward()
                self.net.run_backward()
            self._losses.append(loss / self.param.iter_size)
            self._display()
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            self.iter += 1
            if self.param.snapshot and self.iter % self.param.snapshot == 0:
                self.snapshot()

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Go on until `max_iter`, from a solverstate where one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self.step(max(0, self.param.max_iter - self.iter))
        snapshot = self.param.snapshot
        if self.param.snapshot_after_train and (not snapshot or self.iter % snapshot):
            self.snapshot()
        if self.param.test_interval and self.iter % self.param.test_interval == 0:
            self.test_all()

    def apply_update(self) -> None:
        """Move the parameters once, by the gradients that are there."""
        rate = self.lr
        parameters = self.net.learnable_params
        scale = self._clip_scale([learnt.blob.grad for learnt in parameters])
        for i, learnt in enumerate(parameters):
            gradient = learnt.blob.grad
            if scale != 1.0:
                gradient.mul_(scale)
            if self.param.iter_size > 1:
                gradient.mul_(1.0 / self.param.iter_size)
            self._regularize(gradient, learnt.blob.tensor, self.param.weight_decay * learnt.decay)
            change = self.update(i, gradient, rate * learnt.lr)
            gradient.copy_(change)  # what a script sees after a step, as in Caffe
            learnt.blob.tensor.sub_(change)

    def test_all(self) -> list[dict[str, Any]]:
        """Run every test net `test_iter` times with the present weights; return mean outputs."""
        results = []
        for net, passes in zip(self.test_nets, self.param.test_iter, strict=True):
            net.share_with(self.net)
            sums: dict[str, Any] = {}
            for _ in range(passes):
                for name, value in net.forward().items():
                    sums[name] = sums.get(name, 0) + value
            results.append({name: value / passes for name, value in sums.items()})
            log.info("Iteration %d, test: %s", self.iter, results[-1])
        return results

    def snapshot(self) -> None:
        """Write `<prefix>_iter_<n>.caffemodel` and `.solverstate`."""
        weights = f"{self.param.snapshot_prefix}_iter_{self.iter}.caffemodel"
        self.net.save(weights, write_diff=self.param.snapshot_diff)
        state = SolverState(iter=self.iter, learned_net=weights, current_step=self._current_step())
        for history in self._history:
            for values in history:
                set_blob(state.history.add(), values.numpy())
        write_binary(Path(weights).with_suffix(".solverstate"), state)

    def restore(self, state_file: str | os.PathLike[str]) -> None:
        """Go on where a snapshot was taken: iteration, history and weights.

        Raises
        ------
        CaffeError
            If the file, or the caffemodel that it names, does not fit the net.
        """
        state = read_binary(state_file, SolverState())
        expected = [values for history in self._history for values in history]
        if len(state.history) != len(expected):
            raise SolverError(
                f"{state_file}: has {len(state.history)} history blobs; "
                f"this {type(self).__name__} has {len(expected)}"
            )
        if state.HasField("learned_net"):
            self.net.copy_from(state.learned_net)
        for i, (proto, values) in enumerate(zip(state.history, expected, strict=True)):
            stored = blob_array(proto)
            if stored.shape != tuple(values.shape):
                raise FormatError(
                    f"{state_file}: history blob {i} has shape {stored.shape}; "
                    f"the solver's has {tuple(values.shape)}"
                )
            values.copy_(torch.from_numpy(stored))
        self.iter = state.iter

    def _check(self) -> None:
        param = self.param
        if len(param.test_iter) and param.test_interval <= 0:
            raise SolverError("test_iter is given and test_interval is not. Needed: 1 or more")
        if param.regularization_type not in ("L1", "L2"):
            raise SolverError(
                f"regularization_type is '{param.regularization_type}'. Allowed: L1, L2"
            )
        if param.snapshot_format != SolverParameter.BINARYPROTO:
            raise SolverError("snapshot_format is HDF5. Allowed: BINARYPROTO")
        for name in ("iter_size", "average_loss"):
            if getattr(param, name) < 1:
                raise SolverError(f"{name} is {getattr(param, name)}. Allowed: 1 or more")
        if param.momentum and not self.takes_momentum:
            raise SolverError(f"{type(self).__name__}: momentum is {param.momentum:g}. Allowed: 0")
        learning_rate(param, 0)

    def _train_net(self) -> NetParameter:
        given = [
            name
            for name in ("net", "net_param", "train_net", "train_net_param")
            if self.param.HasField(name)
        ]
        if len(given) != 1:
            raise SolverError(
                f"the net to train is given by {', '.join(given) or 'nothing'}. Needed: one of "
                "net, net_param, train_net, train_net_param"
            )
        return self._definition(getattr(self.param, given[0]), self.param.train_state)

    def _test_nets(self) -> list[NetParameter]:
        param = self.param
        sources: list[str | NetParameter] = [*param.test_net_param, *param.test_net]
        rest = len(param.test_iter) - len(sources)
        common = param.net if param.HasField("net") else param.net_param
        has_common = param.HasField("net") or param.HasField("net_param")
        if rest < 0 or (rest and not has_common):
            raise SolverError(
                f"{len(param.test_iter)} test_iter for {len(sources)} test nets. Needed: as many"
            )
        sources += [common] * rest
        states = list(param.test_state) or [NetState()] * len(sources)
        if len(states) != len(sources):
            raise SolverError(
                f"{len(states)} test_state for {len(sources)} test nets. Needed: none or as many"
            )
        return [self._definition(s, state) for s, state in zip(sources, states, strict=True)]

    def _definition(self, source: str | NetParameter, state: NetState) -> NetParameter:
        definition = NetParameter()
        if isinstance(source, str):
            read_text(source, definition)
        else:
            definition.CopyFrom(source)
        definition.state.MergeFrom(state)
        return definition

    def _test_if_due(self) -> None:
        interval = self.param.test_interval
        first = self.iter == 0 and not self.param.test_initialization
        if interval and self.iter % interval == 0 and not first:
            self.test_all()

    def _display(self) -> None:
        if self.param.display and self.iter % self.param.display == 0:
            log.info("Iteration %d, loss = %g, lr = %g", self.iter, self.smoothed_loss, self.lr)

    def _clip_scale(self, gradients: list[torch.Tensor]) -> float:
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        return limit / norm if norm > limit else 1.0

    def _regularize(self, gradient: torch.Tensor, values: torch.Tensor, decay: float) -> None:
        if decay and self.param.regularization_type == "L2":
            gradient.add_(values, alpha=decay)
        elif decay:
            gradient.add_(values.sign(), alpha=decay)

    def _current_step(self) -> int:
        param = self.param
        if param.lr_policy == "step":
            return self.iter // int(param.stepsize)
        if param.lr_policy == "multistep":
            return sum(value <= self.iter for value in param.stepvalue)
        return 0


class SGDSolver(Solver):
    """Momentum as Caffe has it: v = momentum * v + rate * g; the update is v."""

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        return self._history[0][index].mul_(self.param.momentum).add_(gradient, alpha=rate)


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient (Sutskever et al., 2013)."""

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        momentum, history = self.param.momentum, self._history[0][index]
        before = history.clone()
        history.mul_(momentum).add_(gradient, alpha=rate)
        return history * (1 + momentum) - before * momentum


class AdaGradSolver(Solver):
    """Duchi, Hazan and Singer, 2011."""

    takes_momentum = False

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        history = self._history[0][index].add_(gradient.square())
        return gradient / (history.sqrt() + self.param.delta) * rate


class RMSPropSolver(Solver):
    """Tieleman and Hinton, 2012."""

    takes_momentum = False

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        decay = self.param.rms_decay
        history = self._history[0][index].mul_(decay).add_(gradient.square(), alpha=1 - decay)
        return gradient / (history.sqrt() + self.param.delta) * rate


class AdaDeltaSolver(Solver):
    """Zeiler, 2012; `momentum` is its decay rho."""

    histories = 2

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        rho, delta = self.param.momentum, self.param.delta
        squares, updates = self._history[0][index], self._history[1][index]
        squares.mul_(rho).add_(gradient.square(), alpha=1 - rho)
        change = gradient * ((updates + delta) / (squares + delta)).sqrt()
        updates.mul_(rho).add_(change.square(), alpha=1 - rho)
        return change * rate


class AdamSolver(Solver):
    """Kingma and Ba, 2015; `momentum` and `momentum2` are its betas, `delta` its epsilon."""

    histories = 2

    def update(self, index: int, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        beta1, beta2 = self.param.momentum, self.param.momentum2
        mean, square = self._history[0][index], self._history[1][index]
        mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
        square.mul_(beta2).add_(gradient.square(), alpha=1 - beta2)
        t = self.iter + 1
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return mean / (square.sqrt() + self.param.delta) * (rate * correction)


SOLVERS: dict[str, type[Solver]] = {
    "SGD": SGDSolver,
    "Nesterov": NesterovSolver,
    "AdaGrad": AdaGradSolver,
    "RMSProp": RMSPropSolver,
    "AdaDelta": AdaDeltaSolver,
    "Adam": AdamSolver,
}


def get_solver(solver_file: str | os.PathLike[str]) -> Solver:
    """Return the solver of the type that a solver prototxt names.

    Raises
    ------
    SolverError
        If there is no such type.
    """
    param = upgrade_solver(read_text(solver_file, SolverParameter()))
    if param.type not in SOLVERS:
        raise SolverError(
            f"{solver_file}: unknown solver type '{param.type}'. Allowed: {', '.join(SOLVERS)}"
        )
    return SOLVERS[param.type](param)
