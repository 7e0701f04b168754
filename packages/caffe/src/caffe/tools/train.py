"""`caffe train`: train a net, resume from a snapshot, or finetune weights."""

from argparse import Namespace
from collections.abc import Sequence

from caffe import glog
from caffe.errors import CaffeError, SolverError
from caffe.proto.caffe_pb2 import SolverParameter
from caffe.solver_nets import read_solver
from caffe.solvers import get_solver
from caffe.tools import devices, strict
from caffe.tools.flags import Flags, add_net_flags, names
from caffe.tools.signals import Signals


def main(argv: Sequence[str]) -> int:
    """Train with the solver of the flags."""
    flags = Flags("train", "Train a net by its solver.")
    add_net_flags(flags)
    flags.add("cpu", False, "compute on the CPU, whatever the solver says")
    found = flags.parse(argv)
    if not found.solver:
        flags.error("flag '--solver' is needed: the solver's prototxt")
    if found.snapshot and found.weights:
        flags.error("--snapshot resumes and --weights finetunes. Allowed: one of them")
    strict.check(found)
    with Signals(found.sigint_effect, found.sighup_effect) as signals:
        param = _definition(found)
        _choose_device(found, param)
        solver = get_solver(param)
        solver.set_action_function(signals.requested)
        if found.snapshot:
            glog.info("caffe.cpp:242", "Resuming from %s", found.snapshot)
            solver.restore(found.snapshot)
        glog.info("caffe.cpp:248", "Starting Optimization")
        solver.solve()
        glog.info("caffe.cpp:259", "Optimization Done.")
    return 0


def _definition(found: Namespace) -> SolverParameter:
    """Return the solver, with the settings that the flags add."""
    param = read_solver(found.solver)
    param.train_state.level = found.level
    param.train_state.stage.extend(names(found.stage))
    if found.weights:
        param.ClearField("weights")
        param.weights.append(found.weights)
    return param


def _choose_device(found: Namespace, param: SolverParameter) -> None:
    """Choose the device by the flags, else by the solver's mode if that is set explicitly."""
    if found.cpu and found.gpu:
        raise SolverError(f"-cpu and -gpu {found.gpu} are given. Allowed: one of them")
    wants_gpu = param.HasField("solver_mode") and param.solver_mode == SolverParameter.GPU
    if found.cpu or found.gpu or not wants_gpu:
        devices.choose(found.gpu, "caffe.cpp:218")
        return
    try:
        devices.choose(str(param.device_id), "caffe.cpp:218")
    except CaffeError as error:
        raise SolverError(
            f"{found.solver} has solver_mode: GPU; {error}. -cpu computes on the CPU"
        ) from None
