"""Caffe 1.0's Python interface, run on PyTorch."""

from caffe import _caffe, glog, io, net_spec, proto, pycaffe
from caffe.blob import Blob
from caffe.classifier import Classifier
from caffe.detector import Detector
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.errors import CaffeError
from caffe.glog import init_log, log
from caffe.layers import layer_type_list
from caffe.layers.python import Layer
from caffe.net import Net
from caffe.net_spec import NetSpec, Top, layers, params, to_proto
from caffe.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
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
from caffe.timer import Timer

__version__ = "1.0.0"

glog.init_log(glog.level_of_environment())


__all__ = [
    "_caffe",
    "net_spec",
    "pycaffe",
    "solver_rank",
    "solver_count",
    "set_solver_rank",
    "set_solver_count",
    "set_multiprocess",
    "has_nccl",
    "Timer",
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "CaffeError",
    "Classifier",
    "Detector",
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
    "io",
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
