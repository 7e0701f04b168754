"""Upgrade old definitions; those in today's form are returned unchanged.

The steps and their order are those of Caffe's upgrade_proto.cpp: layers of the first release (V0,
`upgrade_v0`), layers with types as enums (V1, `upgrade_v1`), inputs as fields of the net, three
learning rates of BatchNorm, and the solver's type as an enum.
"""

import os
from pathlib import Path

from caffe.errors import NetError, SolverError
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from caffe.upgrade_v0 import is_v0, upgrade_v0
from caffe.upgrade_v1 import upgrade_v1

SOLVER_TYPES = {
    SolverParameter.SGD: "SGD",
    SolverParameter.NESTEROV: "Nesterov",
    SolverParameter.ADAGRAD: "AdaGrad",
    SolverParameter.RMSPROP: "RMSProp",
    SolverParameter.ADADELTA: "AdaDelta",
    SolverParameter.ADAM: "Adam",
}


def upgrade_net(net: NetParameter) -> NetParameter:
    """Return the net in today's form.

    Raises
    ------
    NetError
        If the net mixes forms, or its old parts contradict each other.
    """
    if is_v0(net):
        net = upgrade_v0(net)
    if net.layers:
        net = upgrade_v1(net)
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    _upgrade_input(upgraded)
    _upgrade_batch_norm(upgraded)
    return upgraded


def net_needs_upgrade(net: NetParameter) -> bool:
    """Return whether any part of the net is in an old form."""
    return bool(net.layers or net.input or batch_norm_needs_upgrade(net))


def batch_norm_needs_upgrade(net: NetParameter) -> bool:
    """Return whether a BatchNorm's statistics are given learning rates."""
    return any(layer.type == "BatchNorm" and len(layer.param) == 3 for layer in net.layer)


def upgrade_solver(param: SolverParameter) -> SolverParameter:
    """Return the solver with its type as a string.

    Raises
    ------
    SolverError
        If it has both `solver_type`, the enum, and `type`.
    """
    upgraded = SolverParameter()
    upgraded.CopyFrom(param)
    if not param.HasField("solver_type"):
        return upgraded
    if param.HasField("type"):
        raise SolverError(
            f"solver_type is {SOLVER_TYPES[param.solver_type]} and type is '{param.type}'. "
            "Allowed: one of them"
        )
    upgraded.type = SOLVER_TYPES[param.solver_type]
    upgraded.ClearField("solver_type")
    return upgraded


def set_snapshot_prefix(param: SolverParameter, file: str | os.PathLike[str]) -> None:
    """Name snapshots after the solver's file if the prefix is missing or only a folder."""
    name = os.fspath(file)
    stem = name.removesuffix(Path(name).suffix)
    if not param.HasField("snapshot_prefix"):
        param.snapshot_prefix = stem
    elif param.snapshot_prefix and Path(param.snapshot_prefix).is_dir():
        param.snapshot_prefix = os.path.join(param.snapshot_prefix, os.path.basename(stem))


def _upgrade_input(net: NetParameter) -> None:
    """Turn the fields `input`, `input_shape` and `input_dim` into one Input layer at the start.

    Of `input_shape` and `input_dim` the first counts, as in Caffe.
    """
    count = len(net.input)
    if not count:
        return  # shapes without a name are ignored, as in Caffe
    shapes = [list(shape.dim) for shape in net.input_shape] or [
        list(net.input_dim[i : i + 4]) for i in range(0, len(net.input_dim), 4)
    ]
    if shapes and (len(shapes) != count or (not net.input_shape and len(net.input_dim) % 4)):
        raise NetError(
            f"the net has {count} input, {len(net.input_shape)} input_shape and "
            f"{len(net.input_dim)} input_dim. Needed for each input: a shape, or 4 dims"
        )
    if shapes:
        layer = LayerParameter(name="input", type="Input", top=net.input)
        for dims in shapes:
            layer.input_param.shape.add(dim=dims)
        layers = [layer, *net.layer]
        del net.layer[:]
        net.layer.extend(layers)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _upgrade_batch_norm(net: NetParameter) -> None:
    """Set the learning rates of BatchNorm's statistics to 0 if they are given."""
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for param in layer.param:
                param.lr_mult = param.decay_mult = 0
