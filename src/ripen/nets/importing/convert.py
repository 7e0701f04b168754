"""A PyTorch module as a Caffe net with the same outputs, which are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

import caffe
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from ripen.core.errors import DataError, UsageError
from ripen.nets.folding import Array, Filter, Normalization
from ripen.nets.importing import operators, windows  # noqa: F401 - they register their writers
from ripen.nets.importing.trace import INPUT, Piece, Pieces, Trace, exported, write

TOLERANCE = 1e-4
Weights = dict[str, tuple[Array, ...]]
FILTERS = ("Convolution", "InnerProduct")
# A layer may work in place on its bottom if the layer below does not read its own output in the
# backward pass.
IN_PLACE = ("ReLU", "Dropout", "BatchNorm", "Scale")
BELOW = (*FILTERS, "Eltwise", "Concat", "BatchNorm", "Scale", "ReLU", "Dropout", "Pooling", "Power")


@dataclass(frozen=True)
class Converted:
    """A net, and the weights of its layers by name.

    Attributes
    ----------
    net : NetParameter
        The net for inference: an Input layer `data`, no labels, no loss.
    weights : dict of str to arrays
        In the order of each layer's blobs.
    difference : float or None
        Largest difference between the outputs of net and source for random images, relative to the
        largest output; None if they were not compared.
    """

    net: NetParameter
    weights: Weights
    difference: float | None

    def filled(self) -> caffe.Net:
        """Return the net in the test phase with its weights."""
        return _filled(self.net, self.weights)


def convert(
    module: nn.Module,
    shape: Sequence[int],
    title: str = "",
    deviation: Sequence[float] | None = None,
) -> Converted:
    """Write a module as a Caffe net.

    Parameters
    ----------
    module : Module
        Put into evaluation mode, and left in it.
    shape : (C, H, W)
        Shape of its images.
    title : str
        Name of the net; the module's class by default.
    deviation : three floats, optional
        The standard deviation by which the module expects its RGB images to be divided. The net
        then takes Caffe's images: BGR, not divided.

    Returns
    -------
    Converted
        A net with the module's outputs: scores get no Softmax.

    Raises
    ------
    UsageError
        If an operator of the module has no layer in Caffe 1.0; names it.
    DataError
        If the net's outputs differ from the module's.
    """
    module.eval()
    program = exported(module, shape)
    trace = Trace(module, program)
    for node in program.graph.nodes:
        if node.op == "call_function":
            write(trace, node)
    pieces = _without_flattens(_folded(trace.finished(program.graph.output_node())))
    if deviation is not None:
        pieces = of_pixels(pieces, np.array(deviation))
    net, weights = _written(title or type(module).__name__, shape, pieces)
    found = _difference(module, _filled(net, weights), shape, deviation)
    if not found <= TOLERANCE:
        raise DataError(
            f"{net.name}: the net's outputs differ from the network's by {found:.2g} of the "
            f"largest. Allowed: {TOLERANCE:g}"
        )
    return Converted(net, weights, found)


def _written(title: str, shape: Sequence[int], pieces: Pieces) -> tuple[NetParameter, Weights]:
    net = NetParameter(name=title)
    given = net.layer.add(name=INPUT, type="Input", top=[INPUT])
    given.input_param.shape.add(dim=[1, *shape])
    net.layer.extend(_in_place(pieces))
    return net, {each.name: each.weights for each in pieces.items if each.weights}


def _filled(net: NetParameter, weights: Weights) -> caffe.Net:
    made = caffe.Net(net, caffe.TEST)
    for name, arrays in weights.items():
        for blob, values in zip(made.params[name], arrays, strict=True):
            blob.data[...] = values
    return made


def _difference(
    module: nn.Module, net: caffe.Net, shape: Sequence[int], deviation: Sequence[float] | None
) -> float:
    """Return the largest difference between the outputs for two random images, relative."""
    random = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    given = random
    if deviation is not None:
        scale = np.array(deviation, np.float32).reshape(-1, 1, 1)
        given = (random * scale)[:, ::-1]
    with torch.no_grad():
        expected = module(torch.from_numpy(random)).numpy()
    net.blobs[INPUT].reshape(*given.shape)
    (found,) = net.forward(data=given).values()
    if found.shape != expected.shape:
        raise DataError(f"the net returns {found.shape}, the network {expected.shape}")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def _folded(pieces: Pieces) -> Pieces:
    """Fold each BatchNorm into the convolution or dense layer before it.

    A BatchNorm stays if that layer has other uses, or if the layer before it is of another type.
    """
    uses, kept, names = pieces.uses(), dict[str, Piece](), dict[str, str]()
    followers = {p.bottoms[0]: p for p in pieces.items if p.type == "Scale" and len(p.bottoms) == 1}
    for each in pieces.items:
        if each.name in names:
            continue
        bottom = each.bottoms[0]
        before = kept.get(names.get(bottom, bottom))
        if each.type == "BatchNorm" and before and before.type in FILTERS and uses[bottom] == 1:
            scale = followers[each.name]
            kept[before.name] = _normalized(before, each, scale)
            names |= {each.name: bottom, scale.name: bottom}
        else:
            kept[each.name] = each
    return pieces.renamed(list(kept.values()), names)


def _normalized(before: Piece, norm: Piece, scale: Piece) -> Piece:
    (mean, variance), (factor, shift) = norm.weights[:2], scale.weights
    after = Normalization(mean, variance, factor, shift, norm.layer.batch_norm_param.eps)
    weight, *bias = before.weights
    plain = Filter(weight, bias[0] if bias else np.zeros(len(weight)))
    layer = before.taking(before.bottoms).layer
    settings = (
        layer.convolution_param if before.type == "Convolution" else layer.inner_product_param
    )
    settings.ClearField("bias_term")
    return Piece(layer, tuple(plain.normalized(after)))


def _without_flattens(pieces: Pieces) -> Pieces:
    """Drop Flatten layers whose only users are dense layers, which flatten their input anyway."""
    users: dict[str, list[Piece]] = {}
    for each in pieces.items:
        for bottom in each.bottoms:
            users.setdefault(bottom, []).append(each)

    def flattened_anyway(top: str) -> bool:
        through = ("ReLU", "Dropout")
        found = users.get(top, [])
        return (
            bool(found)
            and top != pieces.output
            and all(
                p.type == "InnerProduct" or p.type in through and flattened_anyway(p.name)
                for p in found
            )
        )

    names = {
        p.name: p.bottoms[0]
        for p in pieces.items
        if p.type == "Flatten" and flattened_anyway(p.name)
    }
    return pieces.renamed([p for p in pieces.items if p.name not in names], names)


def of_pixels(pieces: Pieces, deviation: Array) -> Pieces:
    """Return the net for images in BGR that are not divided by their standard deviation.

    Parameters
    ----------
    pieces : Pieces
        The net for images in RGB, less their mean, divided by their standard deviation.
    deviation : array of shape (3,)
        In the order RGB.

    Raises
    ------
    UsageError
        If a layer other than a convolution reads the image.
    """
    items = []
    for each in pieces.items:
        if INPUT in each.bottoms:
            if each.type != "Convolution" or each.layer.convolution_param.group != 1:
                raise UsageError(
                    f"{each.name} ({each.type}) reads the image; channel order and scale can be "
                    "folded into convolutions without groups only"
                )
            weight, *bias = each.weights
            filter = Filter(weight, np.zeros(len(weight))).of_pixels(deviation, reverse=True)
            each = replace(each, weights=(filter.weight, *bias))
        items.append(each)
    return replace(pieces, items=items)


def _in_place(pieces: Pieces) -> list[LayerParameter]:
    """Return the layers; those that are the only users of their bottom work in place."""
    uses, types = pieces.uses(), {p.name: p.type for p in pieces.items}
    tops: dict[str, str] = {}
    layers = []
    for each in pieces.items:
        bottom = each.bottoms[0]
        layer = each.taking([tops.get(name, name) for name in each.bottoms]).layer
        if (
            each.type in IN_PLACE
            and len(each.bottoms) == 1
            and types.get(bottom) in BELOW
            and uses[bottom] == 1
        ):
            tops[each.name] = tops.get(bottom, bottom)
            layer.top[:] = [tops[each.name]]
        layers.append(layer)
    return layers
