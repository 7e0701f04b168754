"""pycaffe's functions for training on several devices. Here a net trains on one."""

from operator import index
from typing import NoReturn

from caffe.errors import CaffeError

_state = {"count": 1, "rank": 0, "multiprocess": False}


def solver_count() -> int:
    """Return the number of solvers, as set by `set_solver_count`."""
    return int(_state["count"])


def set_solver_count(count: int) -> None:
    """Set the number of solvers; it is stored and has no other effect."""
    _state["count"] = index(count)  # a TypeError for None, as in pycaffe


def solver_rank() -> int:
    """Return this solver's rank, as set by `set_solver_rank`."""
    return int(_state["rank"])


def set_solver_rank(rank: int) -> None:
    """Set this solver's rank; it is stored and has no other effect."""
    _state["rank"] = index(rank)


def set_multiprocess(multiprocess: bool) -> None:
    """Set whether each solver has its own process; it is stored and has no other effect."""
    _state["multiprocess"] = multiprocess


def has_nccl() -> bool:
    """Return whether solvers can share gradients over NCCL: always False."""
    return False


class NCCL:
    """Shares gradients between devices in a Caffe built with NCCL; not supported here.

    Raises
    ------
    CaffeError
        Always.
    """

    def __init__(self, solver: object, uid: str) -> None:
        self.new_uid()

    @staticmethod
    def new_uid() -> NoReturn:
        raise CaffeError("NCCL: nets train on one device. Check caffe.has_nccl() first")
