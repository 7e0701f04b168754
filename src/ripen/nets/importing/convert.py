"""A PyTorch module as a Caffe net that gives the same, which is made sure of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import caffe
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.errors import DataError
from ripen.nets.importing.operators import write
from ripen.nets.importing.pieces import INPUT, Pieces
from ripen.nets.importing.rewrite import folded, in_place, of_pixels, without_flattens
from ripen.nets.importing.trace import Trace, exported
from ripen.nets.zoo.folding import Array

TOLERANCE = 1e-4
Weights = dict[str, tuple[Array, ...]]


@dataclass(frozen=True)
class Converted:
    """A net, and the weights of its layers by name.

    Attributes
    ----------
    net : NetParameter
        To be used: an Input layer `data`, no labels, no loss.
    weights : dict of str to arrays
        In the order of each layer's blobs.
    difference : float
        How far the net's answers to random pictures are from the module's, as a share of the
        largest.
    """

    net: NetParameter
    weights: Weights
    difference: float

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
        Is run in evaluation, and left in it.
    shape : (C, H, W)
        Of the pictures that it takes.
    title : str
        Name of the net; the module's class, if none is given.
    deviation : three floats, optional
        What the module expects its pictures in RGB to be divided by. The net then takes pictures
        in BGR that are not: Caffe's.

    Returns
    -------
    Converted
        Whose answers are the module's: for scores, no Softmax is added.

    Raises
    ------
    UsageError
        If the module does what no layer of Caffe 1.0 does; it is named.
    DataError
        If the net's answers are others.
    """
    module.eval()
    program = exported(module, shape)
    trace = Trace(module, program)
    for node in program.graph.nodes:
        if node.op == "call_function":
            write(trace, node)
    pieces = without_flattens(folded(trace.finished(program.graph.output_node())))
    if deviation is not None:
        pieces = of_pixels(pieces, np.array(deviation))
    net, weights = _written(title or type(module).__name__, shape, pieces)
    found = _difference(module, _filled(net, weights), shape, deviation)
    if not found <= TOLERANCE:
        raise DataError(
            f"{net.name}: the net's answers differ from the network's by {found:.2g} of the "
            f"largest, and {TOLERANCE:g} is allowed"
        )
    return Converted(net, weights, found)


def _written(title: str, shape: Sequence[int], pieces: Pieces) -> tuple[NetParameter, Weights]:
    net = NetParameter(name=title)
    given = net.layer.add(name=INPUT, type="Input", top=[INPUT])
    given.input_param.shape.add(dim=[1, *shape])
    net.layer.extend(in_place(pieces))
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
    """Return how far the answers to two pictures of random numbers are apart."""
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
        raise DataError(f"the net gives {found.shape}, and the network {expected.shape}")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
