"""What pycaffe has for training on several devices. Here a net trains on one."""

from typing import NoReturn

from caffe.errors import CaffeError

_state = {"count": 1, "rank": 0, "multiprocess": False}


def solver_count() -> int:
    """Return the number of solvers that share the work, as `set_solver_count` said."""
    return int(_state["count"])


def set_solver_count(count: int) -> None:
    """Say how many solvers share the work; kept and given back, and nothing else."""
    _state["count"] = count


def solver_rank() -> int:
    """Return this solver's number, as `set_solver_rank` said."""
    return int(_state["rank"])


def set_solver_rank(rank: int) -> None:
    """Say which of the solvers this is; kept and given back, and nothing else."""
    _state["rank"] = rank


def set_multiprocess(multiprocess: bool) -> None:
    """Say whether each solver has a process of its own; kept, and nothing else."""
    _state["multiprocess"] = multiprocess


def has_nccl() -> bool:
    """Return whether solvers can share gradients over NCCL: they cannot."""
    return False


class NCCL:
    """Shares gradients between devices, in a Caffe that was built with NCCL.

    Raises
    ------
    CaffeError
        Always, as `has_nccl` says.
    """

    def __init__(self, solver: object, uid: str) -> None:
        self.new_uid()

    @staticmethod
    def new_uid() -> NoReturn:
        raise CaffeError("NCCL: nets train on one device. Ask caffe.has_nccl() first")
