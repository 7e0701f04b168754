"""Snapshots of a solver: writing weights and state in Caffe's formats, and resuming."""

import os
from pathlib import Path

import torch

from caffe import glog
from caffe.errors import FormatError, SolverError
from caffe.formats import blob_array, set_blob
from caffe.hdf5 import is_hdf5, read_state, write_state
from caffe.net import Net
from caffe.proto.caffe_pb2 import SolverParameter, SolverState

History = list[list[torch.Tensor]]

# For each format: the source lines of Caffe that log it, its name, and its files' extension.
_FORMATS = {
    SolverParameter.BINARYPROTO: (("solver.cpp:464", "sgd_solver.cpp:284"), "binary proto", ""),
    SolverParameter.HDF5: (("solver.cpp:474", "sgd_solver.cpp:296"), "HDF5", ".h5"),
}


def check_writable(param: SolverParameter) -> None:
    """Check, before hours of training, that snapshots can be written.

    Raises
    ------
    SolverError
        If snapshots are enabled and their folder is not writable.
    """
    if not param.snapshot:
        return
    folder = Path(f"{param.snapshot_prefix}_").parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SolverError(
            f"cannot write to snapshot_prefix '{param.snapshot_prefix}': the folder '{folder}' "
            "must exist and be writable"
        )


def write(
    param: SolverParameter, net: Net, iteration: int, current_step: int, history: History
) -> None:
    """Write the weights, then the state that names them.

    Parameters
    ----------
    param : SolverParameter
        For `snapshot_prefix`, `snapshot_format`, `snapshot_diff`.
    net : Net
    iteration : int
    current_step : int
        Number of learning rate steps passed.
    history : list of list of Tensor
        The solver's state for each parameter.

    Raises
    ------
    FormatError
        If a file cannot be written.
    """
    place, what, suffix = _FORMATS[param.snapshot_format]
    stem = f"{param.snapshot_prefix}_iter_{iteration}"
    weights = f"{stem}.caffemodel{suffix}"
    glog.info(place[0], f"Snapshotting to {what} file %s", weights)
    net.save(weights, write_diff=param.snapshot_diff)
    state = SolverState(iter=iteration, learned_net=weights, current_step=current_step)
    for values in (values for part in history for values in part):
        set_blob(state.history.add(), values.cpu().numpy())
    file = f"{stem}.solverstate{suffix}"
    glog.info(place[1], f"Snapshotting solver state to {what} file %s", file)
    write_state(file, state)


def read(file: str | os.PathLike[str], net: Net, history: History, solver: str) -> tuple[int, int]:
    """Restore weights and history in place from a state; return iteration and step.

    Raises
    ------
    CaffeError
        If the file, or the caffemodel that it names, does not fit.
    """
    state = read_state(file)
    expected = [values for part in history for values in part]
    if len(state.history) != len(expected):
        raise SolverError(
            f"{file}: has {len(state.history)} history blobs; this {solver} has {len(expected)}"
        )
    if state.HasField("learned_net"):
        net.copy_from(state.learned_net)
    if not is_hdf5(file):
        glog.info("sgd_solver.cpp:336", "SGDSolver: restoring history")
    for i, (proto, values) in enumerate(zip(state.history, expected, strict=True)):
        stored = blob_array(proto)
        if stored.shape != tuple(values.shape):
            raise FormatError(
                f"{file}: history blob {i} has shape {stored.shape}; "
                f"the solver's has {tuple(values.shape)}"
            )
        values.copy_(torch.from_numpy(stored))
    return state.iter, state.current_step
