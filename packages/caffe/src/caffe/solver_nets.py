"""Build a solver's nets from its definition: the one to train and those to test."""

import os

from caffe import debug, glog, net_log
from caffe.errors import SolverError, naming
from caffe.formats import PathLike, read_text
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter, NetState, SolverParameter
from caffe.upgrade import set_snapshot_prefix, upgrade_solver

# Each with the source line of Caffe that logs it, and the text that names its origin.
_TRAIN_FIELDS = {
    "train_net_param": ("solver.cpp:88", "train_net_param"),
    "train_net": ("solver.cpp:92", "train_net file: {}"),
    "net_param": ("solver.cpp:97", "net_param"),
    "net": ("solver.cpp:102", "net file: {}"),
}


def read_solver(solver: PathLike | SolverParameter) -> SolverParameter:
    """Return a copy of a definition; read from a file, its snapshots default to that folder.

    Raises
    ------
    CaffeError
        If the file is not a solver's.
    """
    param = SolverParameter()
    if isinstance(solver, SolverParameter):
        param.CopyFrom(solver)
    else:
        solver = os.fsdecode(solver)
        read_text(solver, param)
        if param.HasField("solver_type"):
            old = "deprecated 'solver_type' field (enum)"
            line = "Attempting to upgrade input file specified using %s': %s"
            glog.info("upgrade_proto.cpp:1084", line, old, solver)
            line = "Successfully upgraded file specified using %s to 'type' field (string)."
            glog.info("upgrade_proto.cpp:1091", line, old)
            glog.warning(
                "upgrade_proto.cpp:1093",
                "Note that future Caffe releases will only support 'type' field (string) for a "
                "solver's type.",
            )
        given = param.snapshot_prefix if param.HasField("snapshot_prefix") else None
        set_snapshot_prefix(param, solver)
        if given is None:
            line = "snapshot_prefix was not specified and is set to %s"
            glog.info("upgrade_proto.cpp:1108", line, param.snapshot_prefix)
        elif given != param.snapshot_prefix:
            line = "snapshot_prefix was a directory and is replaced to %s"
            glog.info("upgrade_proto.cpp:1113", line, param.snapshot_prefix)
    return upgrade_solver(param)


def train_net(param: SolverParameter) -> Net:
    """Return the net to train.

    Raises
    ------
    CaffeError
        If not exactly one net is given, or it is invalid.
    """
    given = [name for name in _TRAIN_FIELDS if param.HasField(name)]
    if len(given) != 1:
        raise SolverError(
            f"the net to train is given by {', '.join(reversed(given)) or 'nothing'}. Needed: one "
            "of net, net_param, train_net, train_net_param"
        )
    where, what = _TRAIN_FIELDS[given[0]]
    source = getattr(param, given[0])
    origin = what.format(source)
    glog.info(where, "Creating training net from %s", origin)
    return _net(source, param.train_state, TRAIN, param)


def test_nets(param: SolverParameter) -> list[Net]:
    """Return the nets to test, one for each `test_iter`.

    Raises
    ------
    CaffeError
        If the numbers differ, or a net is invalid.
    """
    named = [(net, "test_net_param") for net in param.test_net_param]
    sources: list[tuple[str | NetParameter, str]] = [
        *named,
        *((net, f"test_net file: {net}") for net in param.test_net),
    ]
    rest = len(param.test_iter) - len(sources)
    common: list[tuple[str | NetParameter, str]] = []
    if param.HasField("net_param"):
        common = [(param.net_param, "net_param")]
    elif param.HasField("net"):
        common = [(param.net, f"net file: {param.net}")]
    if rest < 0 or (rest and not common):
        raise SolverError(
            f"{len(param.test_iter)} test_iter for {len(sources)} test nets. Needed: one for each"
        )
    sources += common * rest
    states = list(param.test_state) or [NetState()] * len(sources)
    if len(states) != len(sources):
        raise SolverError(
            f"{len(states)} test_state for {len(sources)} test nets. Needed: none, or one for each"
        )
    nets = []
    for i, ((source, origin), state) in enumerate(zip(sources, states, strict=True)):
        glog.info("solver.cpp:190", "Creating test net (#%d) specified by %s", i, origin)
        nets.append(_net(source, state, TEST, param))
    return nets


def _net(source: str | NetParameter, state: NetState, phase: int, param: SolverParameter) -> Net:
    definition = NetParameter()
    if isinstance(source, str):
        read_text(source, definition)
        net_log.upgrades(definition, source)
    else:
        definition.CopyFrom(source)
    definition.state.MergeFrom(state)
    with naming(source if isinstance(source, str) else ""):
        net = Net(definition, phase=phase)
    for names in param.weights:
        for name in names.split(","):
            glog.info("solver.cpp:72", "Finetuning from %s", name.strip())
            net.copy_from(name.strip())
    if param.debug_info and phase == TEST:  # the solver watches the net that it trains
        debug.watch(net)
    return net
