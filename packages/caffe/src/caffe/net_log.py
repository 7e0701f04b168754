"""Log a net's construction as Caffe does: filtered layers, shapes, gradients, memory."""

from collections.abc import Iterator

from caffe import glog
from caffe.build import Built, Step
from caffe.graph import filter_net, unmet
from caffe.proto.caffe_pb2 import NetParameter, V1LayerParameter
from caffe.upgrade import batch_norm_needs_upgrade, upgrade_net
from caffe.upgrade_v0 import is_v0
from caffe.upgrade_v1 import DATA, TRANSFORMATION

# Layers that create an inner layer of the same name in their setup.
_WITHIN = ("SoftmaxWithLoss", "InfogainLoss")


def describe(definition: NetParameter, built: Built) -> None:
    """Log the construction of a net from a definition whose state holds phase, level, stages."""
    upgraded = upgrade_net(definition)
    _left_out(upgraded)
    kept = filter_net(upgraded)
    glog.info("net.cpp:53", "Initializing net from parameters: \n%s", glog.text(kept))
    owners: dict[str, tuple[str, int]] = {}
    memory = 0
    for step in built.steps:
        memory = _layer(step, memory)
        for name, owner in _shared(step, owners):
            line = "Sharing parameters '%s' owned by layer '%s', param index %d"
            glog.info("net.cpp:467", line, name, *owner)
    for step in reversed(built.steps):
        if step.need_backward and not step.forced:  # decided before force_backward in Caffe
            glog.info("net.cpp:200", "%s needs backward computation.", step.layer.name)
        else:
            glog.info("net.cpp:202", "%s does not need backward computation.", step.layer.name)
    for output in built.outputs:
        glog.info("net.cpp:244", "This network produces output %s", output)
    glog.info("net.cpp:257", "Network initialization done.")


def deprecated(file: str, phase: int, weights: str) -> None:
    """Log that a script gives the weights before the phase, as in old pycaffe."""
    warning = "DEPRECATION WARNING - deprecated use of Python interface"
    glog.warning("_caffe.cpp:140", warning)
    glog.warning("_caffe.cpp:141", 'Use this instead (with the named "weights" parameter):')
    glog.warning("_caffe.cpp:143", "Net('%s', %d, weights='%s')", file, phase, weights)


def upgrades(net: NetParameter, file: str) -> None:
    """Log which old forms a file has, in the order of Caffe's UpgradeNetAsNeeded."""
    if is_v0(net):
        _upgraded(28, f"input file specified using deprecated V0LayerParameter: {file}")
        glog.info(
            _line(36), "Successfully upgraded file specified using deprecated V0LayerParameter"
        )
        glog.warning(
            _line(39),
            "Note that future Caffe releases will not support V0NetParameter; use "
            "./build/tools/upgrade_net_proto_text for prototxt and "
            "./build/tools/upgrade_net_proto_binary for model weights upgrade this and any other "
            "net protos to the new format.",
        )
    if _has_old_transformation(net):
        what = "input file specified using deprecated transformation parameters"
        _upgraded(46, f"{what}: {file}")
        done = (
            "Successfully upgraded file specified using deprecated data transformation parameters."
        )
        glog.info(_line(49), done)
        note = "Note that future Caffe releases will only support transform_param messages for "
        glog.warning(_line(51), f"{note}transformation fields.")
    if net.layers:
        _upgraded(55, f"input file specified using deprecated V1LayerParameter: {file}")
        glog.info(
            _line(63), "Successfully upgraded file specified using deprecated V1LayerParameter"
        )
    if net.input:
        _upgraded(69, f"input file specified using deprecated input fields: {file}")
        glog.info(_line(72), "Successfully upgraded file specified using deprecated input fields.")
        note = (
            "Note that future Caffe releases will only support input layers and not input fields."
        )
        glog.warning(_line(74), note)
    if batch_norm_needs_upgrade(net):
        _upgraded(79, f"batch norm layers using deprecated params: {file}")
        glog.info(_line(82), "Successfully upgraded batch norm layers using deprecated params.")


def _line(number: int) -> str:
    return f"upgrade_proto.cpp:{number}"


def _upgraded(number: int, what: str) -> None:
    glog.info(_line(number), "Attempting to upgrade %s", what)


def _has_old_transformation(net: NetParameter) -> bool:
    return any(
        getattr(layer, DATA[name]).HasField(field)
        for layer in net.layers
        if (name := V1LayerParameter.LayerType.Name(layer.type)) in DATA
        for field in TRANSFORMATION
    )


def _left_out(net: NetParameter) -> None:
    """Log each layer's unmet rules, up to the first one that is met."""
    stages = frozenset(net.state.stage)
    for layer in net.layer:
        for rule in layer.include or layer.exclude:
            reason = unmet(net.state, rule, stages)
            if reason is None:
                break
            where, text = reason
            glog.info(where, "%s specified by a rule in layer %s", text, layer.name)


def _layer(step: Step, memory: int) -> int:
    """Log one layer; return the bytes of all tops so far."""
    name, bottoms = step.layer.name, list(step.layer.param.bottom)
    glog.info("layer_factory.hpp:77", "Creating layer %s", name)
    glog.info("net.cpp:86", "Creating Layer %s", name)
    for bottom in bottoms:
        glog.info("net.cpp:408", "%s <- %s", name, bottom)
    for i, top in enumerate(step.top_names):
        if i < len(bottoms) and bottoms[i] == top:
            glog.info("net.cpp:369", "%s -> %s (in-place)", name, top)
        else:
            glog.info("net.cpp:382", "%s -> %s", name, top)
    biased = step.layer.type == "Scale" and step.layer.param.scale_param.bias_term
    if biased or step.layer.type in _WITHIN:
        glog.info("layer_factory.hpp:77", "Creating layer %s", name)
    glog.info("net.cpp:124", "Setting up %s", name)
    for blob, weight in zip(step.top, step.loss_weights, strict=True):
        shape = "".join(f"{size} " for size in blob.shape)
        glog.info("net.cpp:131", "Top shape: %s(%d)", shape, blob.count)
        if weight:
            glog.info("net.cpp:134", "    with loss weight %g", weight)
        memory += 4 * blob.count
    glog.info("net.cpp:139", "Memory required for data: %d", memory)
    return memory


def _shared(
    step: Step, owners: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, tuple[str, int]]]:
    for i, spec in enumerate(step.layer.param.param):
        if spec.name in owners:
            yield spec.name, owners[spec.name]
        elif spec.name:
            owners[spec.name] = (step.layer.name, i)
