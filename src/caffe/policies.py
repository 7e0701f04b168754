"""How the learning rate changes with the iteration (Caffe's sgd_solver.cpp)."""

import math
from collections.abc import Callable

from caffe.errors import SolverError
from caffe.proto.caffe_pb2 import SolverParameter


def learning_rate(param: SolverParameter, iteration: int) -> float:
    """Return the rate of an iteration, counted from 0, before any `lr_mult`.

    ========= =========================================================
    fixed     base_lr
    step      base_lr * gamma ^ floor(iter / stepsize)
    exp       base_lr * gamma ^ iter
    inv       base_lr * (1 + gamma * iter) ^ -power
    multistep base_lr * gamma ^ (how many of stepvalue are reached)
    poly      base_lr * (1 - iter / max_iter) ^ power
    sigmoid   base_lr / (1 + exp(-gamma * (iter - stepsize)))
    ========= =========================================================

    Raises
    ------
    SolverError
        For an unknown policy, or one whose settings are missing.
    """
    if param.lr_policy not in _POLICIES:
        raise SolverError(f"unknown lr_policy '{param.lr_policy}'. Allowed: {', '.join(_POLICIES)}")
    return param.base_lr * _POLICIES[param.lr_policy](param, iteration)


def _step(param: SolverParameter, iteration: int) -> float:
    if param.stepsize <= 0:
        raise SolverError("lr_policy 'step' needs a stepsize of 1 or more")
    return float(param.gamma ** (iteration // param.stepsize))


def _multistep(param: SolverParameter, iteration: int) -> float:
    # Steps are passed one at a time, so a value below the one before waits for it.
    reached = 0
    for value in param.stepvalue:
        if iteration < value:
            break
        reached += 1
    return float(param.gamma**reached)


def _poly(param: SolverParameter, iteration: int) -> float:
    if param.max_iter <= 0:
        raise SolverError("lr_policy 'poly' needs a max_iter of 1 or more")
    return float((1 - iteration / param.max_iter) ** param.power)


_POLICIES: dict[str, Callable[[SolverParameter, int], float]] = {
    "fixed": lambda param, iteration: 1.0,
    "step": _step,
    "exp": lambda param, iteration: float(param.gamma**iteration),
    "inv": lambda param, iteration: float((1 + param.gamma * iteration) ** -param.power),
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": lambda param, iteration: (
        1 / (1 + math.exp(-param.gamma * (iteration - param.stepsize)))
    ),
}
