"""Log a net's construction as Caffe does: filtered layers, shapes, gradients, memory."""

from collections.abc import Iterator

from caffe import glog
from caffe.build import Built, Step
from caffe.graph import filter_net, unmet
from caffe.proto.caffe_pb2 import NetParameter
from caffe.upgrade import upgrade_net

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
        if step.need_backward:
            glog.info("net.cpp:200", "%s needs backward computation.", step.layer.name)
        else:
            glog.info("net.cpp:202", "%s does not need backward computation.", step.layer.name)
    for output in built.outputs:
        glog.info("net.cpp:244", "This network produces output %s", output)
    glog.info("net.cpp:257", "Network initialization done.")


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
    if step.layer.type in _WITHIN:
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
