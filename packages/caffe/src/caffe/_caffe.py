"""The names that scripts import from `caffe._caffe`, pycaffe's C++ binding."""

from caffe.blob import Blob, BlobVec, RawBlobVec
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.glog import init_log, log
from caffe.layers import layer_type_list
from caffe.layers.python import Layer
from caffe.net import Net
from caffe.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe.proto.caffe_pb2 import LayerParameter, SolverParameter
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
from caffe.timer import Timer
from caffe.vectors import BoolVec, DtypeVec, IntVec, LayerVec, NetVec, StringVec

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "BoolVec",
    "DtypeVec",
    "IntVec",
    "Layer",
    "LayerParameter",
    "LayerVec",
    "NesterovSolver",
    "Net",
    "NetVec",
    "RMSPropSolver",
    "RawBlobVec",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "StringVec",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]
