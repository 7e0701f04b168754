"""Caffe 1.0's Python interface, run on PyTorch."""

from caffe import glog, proto
from caffe.blob import Blob
from caffe.errors import CaffeError
from caffe.glog import init_log, log
from caffe.layers import registry
from caffe.layers.python import Layer
from caffe.net import Net
from caffe.net_spec import NetSpec, Top, layers, params, to_proto
from caffe.proto.caffe_pb2 import TEST, TRAIN
from caffe.rng import set_random_seed
from caffe.solver import Solver
from caffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__version__ = "1.0.0"

glog.init_from_environment()


def layer_type_list() -> list[str]:
    """Return the types of layers that a net may have."""
    return list(registry())


def set_mode_cpu() -> None:
    """Compute on the processor, as always."""


def set_mode_gpu() -> None:
    """Refuse: there is no computing on a GPU.

    Raises
    ------
    CaffeError
        Always.
    """
    raise CaffeError("set_mode_gpu: nets run on the processor only. Allowed: set_mode_cpu()")


def set_device(device: int) -> None:
    """Refuse, as `set_mode_gpu`.

    Raises
    ------
    CaffeError
        Always.
    """
    raise CaffeError(f"set_device({device}): nets run on the processor only")


__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "CaffeError",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "Top",
    "get_solver",
    "init_log",
    "layer_type_list",
    "layers",
    "log",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]
