"""How the learning rate changes with the iteration (Caffe's sgd_solver.cpp)."""

import math
from collections.abc import Callable

from caffe.errors import SolverError
from caffe.proto.caffe_pb2 import SolverParameter

_WITH_GAMMA = ("step", "exp", "inv", "multistep", "sigmoid")


def learning_rate(param: SolverParameter, iteration: int, passed: int | None = None) -> float:
    """Return the rate of an iteration, counted from 0, before any `lr_mult`.

    ========= =========================================================
    fixed     base_lr
    step      base_lr * gamma ^ floor(iter / stepsize)
    exp       base_lr * gamma ^ iter
    inv       base_lr * (1 + gamma * iter) ^ -power
    multistep base_lr * gamma ^ (number of stepvalue passed)
    poly      base_lr * (1 - iter / max_iter) ^ power
    sigmoid   base_lr / (1 + exp(-gamma * (iter - stepsize)))
    ========= =========================================================

    Parameters
    ----------
    param : SolverParameter
    iteration : int
    passed : int
        Number of steps passed, if a solver has counted them; by default the number it would have
        counted from iteration 0 on.

    Raises
    ------
    SolverError
        For an unknown policy, or one whose settings are missing.
    """
    check_policy(param)
    if passed is None:
        passed = _counted_from_start(param, iteration)
    return param.base_lr * _POLICIES[param.lr_policy](param, iteration, passed)


def check_policy(param: SolverParameter) -> None:
    """Check that a solver has a known policy and the settings that it needs.

    Raises
    ------
    SolverError
        For an unknown policy, or one whose settings are missing.
    """
    if param.lr_policy not in _POLICIES:
        raise SolverError(f"unknown lr_policy '{param.lr_policy}'. Allowed: {', '.join(_POLICIES)}")
    if param.lr_policy in ("step", "sigmoid") and param.stepsize <= 0:
        raise SolverError(f"lr_policy '{param.lr_policy}' needs a stepsize of 1 or more")
    if param.lr_policy in _WITH_GAMMA and param.gamma < 0:
        raise SolverError(
            f"lr_policy '{param.lr_policy}': gamma is {param.gamma:g}. Allowed: 0 or more"
        )
    if param.lr_policy == "poly" and param.max_iter <= 0:
        raise SolverError("lr_policy 'poly' needs a max_iter of 1 or more")


def passed_steps(param: SolverParameter, iteration: int, passed: int) -> int:
    """Return how many steps of the learning rate are passed by an iteration.

    Multistep passes at most one stepvalue an iteration, in the given order, as Caffe does: of two
    equal or descending values the second counts an iteration later.
    """
    if param.lr_policy == "step":
        return int(iteration // param.stepsize)
    values = param.stepvalue
    if param.lr_policy == "multistep" and passed < len(values) and iteration >= values[passed]:
        return passed + 1
    return passed


def _counted_from_start(param: SolverParameter, iteration: int) -> int:
    if param.lr_policy != "multistep":
        return passed_steps(param, iteration, 0)
    passed, earliest = 0, 0
    for value in param.stepvalue:
        earliest = max(earliest, value)
        if iteration < earliest:
            break
        passed, earliest = passed + 1, earliest + 1
    return passed


def _power(base: float, exponent: float) -> float:
    """Return C's pow: infinity or NaN where Python raises."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan if base else math.inf


def _sigmoid(param: SolverParameter, iteration: int, passed: int) -> float:
    exponent = -param.gamma * (iteration - param.stepsize)
    return 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0


_POLICIES: dict[str, Callable[[SolverParameter, int, int], float]] = {
    "fixed": lambda param, iteration, passed: 1.0,
    "step": lambda param, iteration, passed: _power(param.gamma, passed),
    "exp": lambda param, iteration, passed: _power(param.gamma, iteration),
    "inv": lambda param, iteration, passed: _power(1 + param.gamma * iteration, -param.power),
    "multistep": lambda param, iteration, passed: _power(param.gamma, passed),
    "poly": lambda param, iteration, passed: _power(1 - iteration / param.max_iter, param.power),
    "sigmoid": _sigmoid,
}
