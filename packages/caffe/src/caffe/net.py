"""A net: layers that run in order, and blobs between them, with pycaffe's names.

Definitions are NetParameter messages of `caffe.proto`; `caffe.graph` filters them by phase and
inserts Split layers. `caffe.build` decides what needs a gradient, as Caffe's Net::Init (net.cpp).
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from google.protobuf.message import Message
from numpy.typing import NDArray

from caffe import debug, forks, fuse, glog, net_log
from caffe.arguments import assign, listed, net_options, set_inputs
from caffe.batches import batches, forward_all, forward_backward_all
from caffe.blob import Blob
from caffe.build import Built, Learnable, Step, build
from caffe.device import current, too_large, tuned
from caffe.errors import ArraysError, CallError, LookupFailed, NetError, naming
from caffe.folded import Folded
from caffe.formats import PathLike, read_text, write_binary
from caffe.hdf5 import write_weights
from caffe.layers.base import Layer
from caffe.layers.data import MemoryData
from caffe.layers.python import PythonLayer
from caffe.proto.caffe_pb2 import NetParameter
from caffe.vectors import Fixed, LayerVec
from caffe.weights import copy_weights, net_message, share_weights


class Net(Fixed):
    """A net in one phase.

    Parameters
    ----------
    network_file : path, or NetParameter
        The definition.
    phase : int
        `caffe.TRAIN` or `caffe.TEST`. As in old pycaffe the weights may come before it.
    level : int
    stages : sequence of str
        State that include and exclude rules are compared with, besides the phase. The default level
        is the NetParameter's own.
    weights : path
        A caffemodel to copy from.

    Attributes
    ----------
    blobs : OrderedDict of str to Blob
        Every blob between layers, by name.
    params : OrderedDict of str to list of Blob
        The parameters of each layer that has any.
    layers : list of Layer
    inputs, outputs : list of str
        The tops of Input layers, and the blobs that no layer uses.

    Raises
    ------
    CaffeError
        If a file, a layer or a shape is invalid.
    """

    fixed = frozenset({"blobs", "params", "layers", "layer_dict", "inputs", "outputs"})

    def __init__(
        self,
        network_file: PathLike | NetParameter,
        *arguments: Any,
        phase: int | None = None,
        level: int | None = None,
        stages: Sequence[str] | None = None,
        weights: PathLike | None = None,
    ) -> None:
        named = {"phase": phase, "level": level, "stages": stages, "weights": weights}
        options = net_options(arguments, {k: v for k, v in named.items() if v is not None})
        definition = NetParameter()
        if isinstance(network_file, Message):
            file = ""
            definition.CopyFrom(forks.plain(network_file, NetParameter))
        else:
            file = os.fsdecode(network_file)
            if arguments and isinstance(arguments[0], str | bytes | os.PathLike):
                net_log.deprecated(file, options["phase"], os.fsdecode(arguments[0]))
            read_text(file, definition)
            net_log.upgrades(definition, file)
        definition.state.phase = options["phase"]
        if "level" in options or not isinstance(network_file, Message):
            definition.state.level = options.get("level", 0)
        definition.state.stage.extend(options.get("stages", ()))
        self.phase: int = options["phase"]
        self._device = current()
        with naming(file):
            built = build(definition)
        if glog.enabled():
            net_log.describe(definition, built)
        self._take(built)
        self._before: dict[str, list[Callable[[int], Any]]] = {"forward": [], "backward": []}
        self._after: dict[str, list[Callable[[int], Any]]] = {"forward": [], "backward": []}
        self.name: str = definition.name
        if definition.debug_info:
            debug.watch(self)
        if "weights" in options:
            self.copy_from(options["weights"])

    def _take(self, built: Built) -> None:
        """Set pycaffe's attributes from the built net."""
        self._built = built
        # Layers that run as one in both directions, and at least forward, by the first one's index.
        self._both_ways = fuse.both_ways(built.steps)
        self._groups = fuse.groups(built.steps, self._both_ways)
        self._shapes: list[tuple[int, ...]] = []  # of the last pass's inputs
        self._folded: dict[int, Folded] = {}  # those that the last pass ran so
        self._layers: list[Layer] = [step.layer for step in built.steps]
        # For a Python layer, scripts see the object of their own class.
        self.layers: list[Any] = LayerVec(
            layer.user if isinstance(layer, PythonLayer) else layer for layer in self._layers
        )
        self.layer_dict: OrderedDict[str, Any] = OrderedDict(
            zip(self._layer_names, self.layers, strict=True)
        )
        self.blobs: OrderedDict[str, Blob] = built.blobs
        self.params: OrderedDict[str, list[Blob]] = OrderedDict(
            (layer.name, layer.blobs) for layer in self._layers if layer.blobs
        )
        self.inputs: list[str] = built.inputs
        self.outputs: list[str] = built.outputs

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self._layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.outputs]

    def _top_ids(self, layer: int) -> list[int]:
        return [self._blob_names.index(name) for name in self._built.steps[layer].top_names]

    def _bottom_ids(self, layer: int) -> list[int]:
        return [self._blob_names.index(name) for name in self._layers[layer].param.bottom]

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Names of each layer's bottoms, by layer."""
        return OrderedDict((layer.name, list(layer.param.bottom)) for layer in self._layers)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Names of each layer's tops, by layer."""
        return OrderedDict((s.layer.name, list(s.top_names)) for s in self._built.steps)

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """The weight of each blob in the loss, by name."""
        weights = dict.fromkeys(self.blobs, 0.0)
        for step in self._built.steps:
            weights.update(zip(step.top_names, step.loss_weights, strict=True))
        return OrderedDict(weights)

    @property
    def steps(self) -> list[Step]:
        """The layers with their blobs, and which of these need a gradient."""
        return self._built.steps

    @property
    def learnable_params(self) -> list[Learnable]:
        """The blobs that a solver updates, each once and in Caffe's order, with multipliers."""
        return self._built.learnable

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        **inputs: NDArray[Any],
    ) -> dict[str, NDArray[Any]]:
        """Run layers forward.

        Parameters
        ----------
        blobs : iterable of str
            Blobs to return in addition to the outputs.
        start, end : str or int
            First and last layer to run, by name or index; the last is included.
        **inputs : ndarray
            Values of the input blobs, all of them or none.

        Returns
        -------
        dict of str to ndarray
            Live views of the outputs, or of the last layer's tops if `end` is given.
        """
        first = 0 if start is None else self._index(start)
        last = len(self.layers) - 1 if end is None else self._index(end)
        names = self.outputs if end is None else self._built.steps[last].top_names
        if inputs:
            set_inputs(self.blobs, self.inputs, inputs)
        self._pass_forward(first, last)
        return {name: self.blobs[name].data for name in dict.fromkeys([*names, *listed(blobs)])}

    def run_forward(self, first: int = 0, last: int | None = None) -> float:
        """Run layers by index, both ends included; return their part of the loss."""
        return _loss(self._pass_forward(first, len(self._layers) - 1 if last is None else last))

    def _pass_forward(self, first: int, last: int) -> list[tuple[torch.Tensor, float]]:
        """Run layers; return the sum of each loss among their tops, and its weight."""
        self._check_range(first, last)
        losses = []
        fused = self._groups if self._unwatched("forward") else {}
        with self._computing():
            for i, step in fuse.upward(self._built.steps, fused, first, last):
                for call in self._before["forward"]:
                    call(i)
                step.forward()
                losses += [(top.tensor.sum(), weight) for top, weight in step.losses]
                for call in self._after["forward"]:
                    call(i)
                if isinstance(step, Folded):
                    self._folded[i] = step
                else:
                    self._folded.pop(i, None)
        return losses

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | int | None = None,
        end: str | int | None = None,
        **grads: NDArray[Any],
    ) -> dict[str, NDArray[Any]]:
        """Run layers backward.

        Parameters
        ----------
        diffs : iterable of str
            Blobs whose gradients to return in addition to those of the inputs.
        start, end : str or int
            Layer to start at, and the last one to run.
        **grads : ndarray
            Gradients of output blobs.

        Returns
        -------
        dict of str to ndarray
            Live views of the gradients of the inputs, or of the last layer's bottoms.
        """
        first = len(self.layers) - 1 if start is None else self._index(start)
        last = 0 if end is None else self._index(end)
        names: Sequence[str] = self.inputs
        if end is not None:
            names = list(self._built.steps[last].layer.param.bottom)
        for name, values in grads.items():
            if name not in self.outputs:
                raise NetError(f"'{name}' is not an output. The outputs: {', '.join(self.outputs)}")
            assign(name, self.blobs[name].diff, values)
        self.run_backward(first, last)
        return {name: self.blobs[name].diff for name in dict.fromkeys([*names, *listed(diffs)])}

    def run_backward(self, first: int | None = None, last: int = 0) -> None:
        """Run layers backward by index, from `first` (the topmost) down to `last`."""
        steps = self._built.steps
        first = len(steps) - 1 if first is None else first
        self._check_range(last, first)
        fused = self._both_ways if self._unwatched("backward") else {}
        with self._computing():
            self._unfold()
            for i, step in fuse.downward(steps, fused, first, last):
                for call in self._before["backward"]:
                    call(i)
                step.backward()
                for call in self._after["backward"]:
                    call(i)

    def forward_backward(self) -> float:
        """Run all layers forward and backward; return the loss.

        On a GPU the loss is read at the end, so that its queue of work is never empty meanwhile.
        """
        parts = self._pass_forward(0, len(self._layers) - 1)
        self.run_backward()
        return _loss(parts)

    def _unfold(self) -> None:
        """Run folded layers one by one, now and in later passes: folded ones have no gradient."""
        if not self._folded:
            return
        self._groups, again = dict(self._both_ways), self._folded
        self._folded = {}
        for first in sorted(again):
            again[first].unfold()

    _forward = run_forward
    _backward = run_backward

    def _unwatched(self, way: str) -> bool:
        """Whether no callback watches single layers."""
        return not self._before[way] and not self._after[way]

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Move the blobs to the current device; explain the error if they exceed its memory."""
        if current() != self._device:
            self._device = current()
            for blob in [*self.blobs.values(), *(b for layer in self._layers for b in layer.blobs)]:
                blob.follow(self._device)
        shapes = [blob.shape for step in self._built.steps if not step.bottom for blob in step.top]
        repeated, self._shapes = shapes == self._shapes, shapes
        try:
            with tuned(repeated):
                yield
        except torch.OutOfMemoryError:
            raise too_large(self.blobs.values()) from None

    def _check_range(self, lowest: int, highest: int) -> None:
        if lowest < 0 or highest >= len(self._layers):
            raise NetError(
                f"layers {lowest} to {highest} of a net with layers 0 to {len(self._layers) - 1}"
            )

    def reshape(self) -> None:
        """Propagate the inputs' shapes to all blobs."""
        with self._computing():
            for step in self._built.steps:
                step.reshape()

    def clear_param_diffs(self) -> None:
        """Set the gradients of all parameters to zero."""
        gradients = [learnable.blob.grad for learnable in self._built.learnable]
        if gradients:
            torch._foreach_zero_(gradients)

    def copy_from(self, weights: PathLike) -> None:
        """Copy weights from a caffemodel, binary or HDF5, to the layers of the same names.

        Raises
        ------
        ShapeError
            If a layer's stored blobs differ from the net's in number or shape.
        """
        copy_weights(weights, self._layers, self._owned())

    def load_hdf5(self, weights: PathLike) -> None:
        """Copy weights from a `.caffemodel.h5`, as `copy_from` does."""
        self.copy_from(weights)

    def share_with(self, other: "Net") -> None:
        """Share the weights of another net, for layers of the same name."""
        if not isinstance(other, Net):
            raise CallError(f"weights are shared with a Net; came: a {type(other).__name__}")
        for name in other.layer_dict:
            if name not in self.layer_dict:
                glog.info("net.cpp:678", "Ignoring source layer %s", name)
        theirs = {name: other.params.get(name, []) for name in other.layer_dict}
        share_weights(self.params, theirs)

    def save(self, path: PathLike, write_diff: bool = False) -> None:
        """Write a caffemodel; as HDF5 if the name ends in `.h5`."""
        if os.fsdecode(path).endswith(".h5"):
            self.save_hdf5(path, write_diff)
        else:
            write_binary(path, self.to_proto(write_diff))

    def save_hdf5(self, path: PathLike, write_diff: bool = False) -> None:
        """Write weights as HDF5, for any file name."""
        write_weights(path, self._layers, self._owned(), write_diff)

    def _owned(self) -> list[Blob]:
        return [learnable.blob for learnable in self._built.learnable]

    def to_proto(self, write_diff: bool = False) -> NetParameter:
        """Return definition and weights as one message, Split layers included as Caffe does."""
        return net_message(self.name, self._layers, write_diff)

    def _batch(self, blobs: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
        return batches(self, blobs)

    def set_input_arrays(self, data: NDArray[Any], labels: NDArray[Any]) -> None:
        """Set the arrays that the net's first layer, a MemoryData, reads."""
        first = self._layers[0]
        if not isinstance(first, MemoryData):
            raise ArraysError(f"layer '{first.name}' is {first.type}: MemoryData must be the first")
        first.set_input_arrays(data, labels)

    _set_input_arrays = set_input_arrays

    def forward_all(
        self, blobs: Iterable[str] | None = None, **inputs: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Run any number of items in batches; return copies of the outputs for all."""
        return forward_all(self, blobs, inputs)

    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **given: NDArray[Any],
    ) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Run any number of items forward and backward, in batches.

        Parameters
        ----------
        blobs, diffs : iterable of str
            Blobs whose values and gradients to return in addition to those of outputs and inputs.
        **given : ndarray
            Values of inputs, and gradients of outputs that are not losses.

        Returns
        -------
        values, gradients : dict of str to ndarray
            Copies, for all items.
        """
        return forward_backward_all(self, blobs, diffs, given)

    def before_forward(self, call: Callable[[int], Any]) -> None:
        """Register a callback that gets the layer's index before each layer runs."""
        self._before["forward"].append(call)

    def after_forward(self, call: Callable[[int], Any]) -> None:
        """Register a callback that gets the layer's index after each layer ran."""
        self._after["forward"].append(call)

    def before_backward(self, call: Callable[[int], Any]) -> None:
        """Register a callback that gets the layer's index before each layer runs backward."""
        self._before["backward"].append(call)

    def after_backward(self, call: Callable[[int], Any]) -> None:
        """Register a callback that gets the layer's index after each layer ran backward."""
        self._after["backward"].append(call)

    def _index(self, layer: str | int) -> int:
        if isinstance(layer, int):
            if not 0 <= layer < len(self._layers):
                raise LookupFailed(f"no layer {layer}. The layers: 0 to {len(self._layers) - 1}")
            return layer
        if layer not in self.layer_dict:
            raise LookupFailed(f"no layer '{layer}'. The layers: {', '.join(self._layer_names)}")
        return self._layer_names.index(layer)


def _loss(parts: Sequence[tuple[torch.Tensor, float]]) -> float:
    """Return the sum of each loss times its weight, as Caffe's Layer::Forward."""
    return sum((weight * float(total) for total, weight in parts), 0.0)
