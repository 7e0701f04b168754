"""Definitions as they were written once, made new ones. What is new already stays as it is."""

from caffe.errors import NetError
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter


def upgrade_net(net: NetParameter) -> NetParameter:
    """Return the net in today's form (Caffe's upgrade_proto.cpp).

    Raises
    ------
    NetError
        If `input` has neither one shape each nor four `input_dim` each.
    """
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    _upgrade_input(upgraded)
    return upgraded


def _upgrade_input(net: NetParameter) -> None:
    """Turn the fields `input`, `input_shape` and `input_dim` into one Input layer, the first."""
    count = len(net.input)
    shapes = [list(shape.dim) for shape in net.input_shape] or [
        list(net.input_dim[i : i + 4]) for i in range(0, len(net.input_dim), 4)
    ]
    if net.input_shape and net.input_dim:
        raise NetError("the net has input_shape and input_dim. Allowed: one of them")
    if shapes and (len(shapes) != count or (net.input_dim and len(net.input_dim) != 4 * count)):
        raise NetError(
            f"the net has {count} input, {len(net.input_shape)} input_shape and "
            f"{len(net.input_dim)} input_dim. Needed for each input: a shape, or 4 dims"
        )
    if count:
        layer = LayerParameter(name="input", type="Input", top=net.input)
        for dims in shapes:
            layer.input_param.shape.add(dim=dims)
        layers = [layer, *net.layer]
        del net.layer[:]
        net.layer.extend(layers)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)
