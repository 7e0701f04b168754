"""The six solver types; each is defined by its update rule."""

import math
from collections.abc import Sequence

import torch

from caffe.errors import SolverError
from caffe.formats import PathLike, shown
from caffe.proto.caffe_pb2 import SolverParameter
from caffe.solver import Solver
from caffe.solver_nets import read_solver

History = Sequence[torch.Tensor]


class SGDSolver(Solver):
    """Momentum in Caffe's form: v = momentum * v + rate * g; the update is v."""

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        return history[0].mul_(self.param.momentum).add_(gradient, alpha=rate)


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient (Sutskever et al., 2013)."""

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        momentum, past = self.param.momentum, history[0]
        before = past.clone()
        past.mul_(momentum).add_(gradient, alpha=rate)
        return past * (1 + momentum) - before * momentum


class AdaGradSolver(Solver):
    """Duchi, Hazan and Singer, 2011."""

    takes_momentum = False

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        squares = history[0].add_(gradient.square())
        return gradient / (squares.sqrt() + self.param.delta) * rate


class RMSPropSolver(Solver):
    """Tieleman and Hinton, 2012."""

    takes_momentum = False

    def __init__(self, solver: PathLike | SolverParameter) -> None:
        super().__init__(solver)
        if not 0 <= self.param.rms_decay < 1:
            raise SolverError(f"rms_decay is {self.param.rms_decay:g}. Allowed: 0 to below 1")

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        decay = self.param.rms_decay
        squares = history[0].mul_(decay).add_(gradient.square(), alpha=1 - decay)
        return gradient / (squares.sqrt() + self.param.delta) * rate


class AdaDeltaSolver(Solver):
    """Zeiler, 2012; `momentum` is its decay rho."""

    histories = 2

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        rho, delta = self.param.momentum, self.param.delta
        squares, updates = history
        squares.mul_(rho).add_(gradient.square(), alpha=1 - rho)
        change = gradient * ((updates + delta) / (squares + delta)).sqrt()
        updates.mul_(rho).add_(change.square(), alpha=1 - rho)
        return change * rate


class AdamSolver(Solver):
    """Kingma and Ba, 2015; `momentum` and `momentum2` are its betas, `delta` its epsilon."""

    histories = 2

    def update(self, gradient: torch.Tensor, history: History, rate: float) -> torch.Tensor:
        beta1, beta2 = self.param.momentum, self.param.momentum2
        mean, square = history
        mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
        square.mul_(beta2).add_(gradient.square(), alpha=1 - beta2)
        t = self.iter + 1
        try:
            correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        except (ArithmeticError, ValueError):  # betas of 1 or more: NaN, as in C++
            correction = math.nan
        return mean / (square.sqrt() + self.param.delta) * (rate * correction)


SOLVERS: dict[str, type[Solver]] = {
    "SGD": SGDSolver,
    "Nesterov": NesterovSolver,
    "AdaGrad": AdaGradSolver,
    "RMSProp": RMSPropSolver,
    "AdaDelta": AdaDeltaSolver,
    "Adam": AdamSolver,
}


def get_solver(solver_file: PathLike | SolverParameter) -> Solver:
    """Return the solver of the type that a definition names.

    Parameters
    ----------
    solver_file : path or SolverParameter

    Raises
    ------
    SolverError
        If there is no such type.
    """
    param = read_solver(solver_file)
    if param.type not in SOLVERS:
        where = "" if isinstance(solver_file, SolverParameter) else f"{shown(solver_file)}: "
        raise SolverError(
            f"{where}unknown solver type '{param.type}'. Allowed: {', '.join(SOLVERS)}"
        )
    return SOLVERS[param.type](param)
