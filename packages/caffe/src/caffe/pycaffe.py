"""The names that scripts import from `caffe.pycaffe`."""

from operator import attrgetter

from caffe.net import Net
from caffe.parallel import NCCL
from caffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
)
from caffe.timer import Timer

# The functions that pycaffe adds to the binding's Net; scripts call or replace them by these names.
_Net_blobs = attrgetter("blobs")
_Net_blob_loss_weights = attrgetter("blob_loss_weights")
_Net_layer_dict = attrgetter("layer_dict")
_Net_params = attrgetter("params")
_Net_inputs = attrgetter("inputs")
_Net_outputs = attrgetter("outputs")
_Net_forward = Net.forward
_Net_backward = Net.backward
_Net_forward_all = Net.forward_all
_Net_forward_backward_all = Net.forward_backward_all
_Net_set_input_arrays = Net._set_input_arrays
_Net_batch = Net._batch

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
]
