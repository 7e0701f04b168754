"""Build a net: its layers in order, their blobs, its parameters, and what needs a gradient.

The steps follow Caffe's Net::Init (net.cpp), so that a definition gives the same parameters in the
same order.
"""

import difflib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import torch

from caffe import forks
from caffe.blob import Blob
from caffe.errors import CaffeError, LayerError, NetError, ShapeError, first_line
from caffe.formats import blob_array
from caffe.graph import filter_net, insert_splits
from caffe.layers import registry
from caffe.layers.base import Layer
from caffe.memory import check_room
from caffe.process import prepare_process
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, ParamSpec
from caffe.upgrade import upgrade_net


@dataclass
class Learnable:
    """A learnt blob, and the multipliers of its learning rate and weight decay."""

    blob: Blob
    lr_mult: float | None
    decay_mult: float | None

    @property
    def lr(self) -> float:
        return 1.0 if self.lr_mult is None else self.lr_mult

    @property
    def decay(self) -> float:
        return 1.0 if self.decay_mult is None else self.decay_mult


# Types whose tops hold the values of their bottoms.
_SHARING = ("Flatten", "Parameter", "Reshape", "Split")
# What torch and Python raise inside a layer.
_WITHOUT_A_NAME = (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError)


@dataclass
class Step:
    """A layer with its blobs, and which of them need a gradient."""

    layer: Layer
    bottom: list[Blob]
    top: list[Blob]
    top_names: list[str]
    need_backward: bool = False
    forced: bool = False  # needed because of `force_backward` alone
    propagate_down: list[bool] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)
    losses: list[tuple[Blob, float]] = field(default_factory=list)

    def setup(self) -> None:
        try:
            self.layer.setup(self.bottom, self.top)
        except Exception as error:
            self._raise(error)

    def set_losses(self) -> None:
        """Set the gradient of each loss to its weight: there the backward pass begins."""
        self.losses = [
            (blob, weight)
            for blob, weight in zip(self.top, self.loss_weights, strict=True)
            if weight
        ]
        for blob, weight in self.losses:
            blob.set_diff(torch.full(blob.shape, weight, dtype=blob.dtype))

    def reshape(self) -> None:
        try:
            self.layer.reshape(self.bottom, self.top)
        except Exception as error:
            self._raise(error)
        self.set_losses()

    def forward(self) -> None:
        # As in Caffe, every pass reshapes first: the inputs may have a new shape.
        before = [blob.shape for blob, _ in self.losses] if self.losses else None
        try:
            self.layer.reshape(self.bottom, self.top)
            if before and before != [blob.shape for blob, _ in self.losses]:
                self.set_losses()
            self.layer.forward(self.bottom, self.top)
        except Exception as error:
            self._raise(error)

    def backward(self) -> None:
        if not self.need_backward:
            return
        try:
            self.layer.backward(self.top, self.propagate_down, self.bottom)
        except Exception as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        """Raise an error that names the layer; a script's own error is raised unchanged."""
        if isinstance(error, torch.OutOfMemoryError):
            raise error  # the net reports a batch that would fit
        if isinstance(error, ShapeError):
            raise self.layer.error(str(error)) from None
        named = isinstance(error, CaffeError) or not isinstance(error, _WITHOUT_A_NAME)
        if self.layer.type == "Python" or named:
            raise error
        shapes = ", ".join(str(blob.shape) for blob in self.bottom) or "nothing"
        raise self.layer.error(f"cannot be computed from {shapes}: {first_line(error)}") from error


@dataclass
class Built:
    """A net that is ready to run."""

    steps: list[Step]
    blobs: OrderedDict[str, Blob]
    inputs: list[str]
    outputs: list[str]
    learnable: list[Learnable]


def build(definition: NetParameter) -> Built:
    """Build the net of a definition whose state says phase, level and stages.

    Raises
    ------
    CaffeError
        Naming the layer, and what is wrong with it.
    """
    prepare_process()
    net = insert_splits(filter_net(upgrade_net(definition)))
    _check_types(net)
    builder = _Builder(net)
    for param in net.layer:
        builder.add(param)
    builder.prune_backward()
    if net.force_backward:
        builder.force_backward()
    return builder.built()


def _check_types(net: NetParameter) -> None:
    """Refuse a layer of an unknown type."""
    types = registry()
    for layer in net.layer:
        if layer.type not in types:
            if whose := forks.of_type(layer.type):
                raise LayerError(f"layer '{layer.name}': type '{layer.type}' is {whose}")
            raise LayerError(
                f"layer '{layer.name}': unknown type '{layer.type}'; {_near(layer.type, types)}"
            )


def _near(name: str, types: Iterable[str]) -> str:
    """Return the type that a misspelt name probably means, else all types."""
    by_lower = {kind.lower(): kind for kind in types}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.8)
    if near:
        return f"did you mean {by_lower[near[0]]}?"
    return f"it is not Caffe's, nor of a fork known here. Known: {', '.join(types)}"


class _Builder:
    """The state of Net::Init while it walks through the layers."""

    def __init__(self, net: NetParameter) -> None:
        self._phase = net.state.phase
        self._steps: list[Step] = []
        self._blobs: OrderedDict[str, Blob] = OrderedDict()
        self._available: OrderedDict[str, None] = OrderedDict()
        self._learns: dict[str, bool] = {}  # blob name to whether something below it learns
        self._owners: dict[str, tuple[str, Blob, Learnable]] = {}
        self._learnable: list[Learnable] = []
        self._inputs: list[str] = []
        self._overwritable: dict[str, bool] = {}
        self._bytes = 0

    def add(self, definition: LayerParameter) -> None:
        """Create a layer, connect it, and let it set up."""
        param = LayerParameter()
        param.CopyFrom(definition)
        # A layer's own phase takes precedence over that of the net.
        if not param.HasField("phase"):
            param.phase = self._phase
        layer = registry()[param.type](param, param.phase)
        if param.propagate_down and len(param.propagate_down) != len(param.bottom):
            raise layer.error(
                f"has {len(param.bottom)} bottoms and {len(param.propagate_down)} propagate_down: "
                "none or one for each"
            )
        bottom = [self._take(layer, i) for i in range(len(param.bottom))]
        top_names = [self._give(layer, name) for name in param.top]
        top = [self._blobs[name] for name in top_names]
        if layer.is_loss and not top:
            # An unnamed loss cannot be a bottom; of several, the net shows the last.
            top, top_names = [Blob()], ["(automatic)"]
            self._blobs["(automatic)"] = top[0]
        step = Step(layer, bottom, top, top_names)
        layer.check_counts(step.bottom, step.top)
        self._set_loss_weights(step)
        step.setup()
        self._copy_stored(layer)
        step.reshape()
        # propagate_down has no say in whether the layer runs backward (net.cpp).
        step.need_backward = any(self._learns[name] for name in param.bottom)
        step.propagate_down = self._wanted(param)
        self._steps.append(step)
        self._check_memory(step)
        self._add_params(step)
        self._set_overwrites(step)
        for name in step.top_names:
            self._learns[name] = step.need_backward or self._learns.get(name, False)

    def _check_memory(self, step: Step) -> None:
        """Check that memory suffices for all tops so far; a pass allocates them one by one."""
        own = [b for b in step.top if not any(b is below for below in step.bottom)]
        if step.layer.type not in _SHARING:
            self._bytes += sum(blob.count for blob in own) * 4
        with step.layer.naming():
            check_room(self._bytes, f"the net up to it, with shapes {[b.shape for b in own]},")

    def _take(self, layer: Layer, index: int) -> Blob:
        """Return a layer's bottom, which a layer before it has made."""
        name = layer.param.bottom[index]
        if name not in self._available:
            raise NetError(
                f"unknown bottom blob '{name}' (layer '{layer.name}', bottom index {index})"
            )
        # A used blob is no output of the net, and a second use would have gone through a Split.
        if name not in layer.param.top:
            del self._available[name]
        return self._blobs[name]

    def _give(self, layer: Layer, name: str) -> str:
        """Make a layer's top, unless the layer is in place; return its name."""
        # In place means the same name at the same index (net.cpp, AppendTop).
        in_place = name in layer.param.bottom
        if in_place and list(layer.param.bottom).index(name) == list(layer.param.top).index(name):
            self._available[name] = None
            return name
        if name in self._blobs:
            raise NetError(
                f"top blob '{name}' (layer '{layer.name}') is produced by multiple sources"
            )
        self._blobs[name] = Blob()
        self._available[name] = None
        if layer.type == "Input":
            self._inputs.append(name)
        return name

    def _wanted(self, param: LayerParameter) -> list[bool]:
        """Return for each bottom whether its gradient is to be computed."""
        if param.propagate_down:
            return list(param.propagate_down)
        return [self._learns[name] for name in param.bottom]

    def _set_loss_weights(self, step: Step) -> None:
        param = step.layer.param
        given = list(param.loss_weight)
        if given and len(given) != len(step.top) and len(param.top):
            raise step.layer.error(
                f"has {len(param.top)} tops and {len(given)} loss_weight: none or one for each"
            )
        if not given and step.layer.is_loss:
            given = [1.0]
        step.loss_weights = (given + [0.0] * len(step.top))[: len(step.top)]

    def _set_overwrites(self, step: Step) -> None:
        """Let an in-place layer overwrite its bottom if nothing else holds that tensor."""
        layer = step.layer
        in_place = set(step.top_names).intersection(layer.param.bottom)
        layer.overwrites = bool(in_place) and all(self._overwritable[name] for name in in_place)
        for name in step.top_names:
            free = layer.overwrites if name in in_place else True
            self._overwritable[name] = layer.overwritable and free

    def _copy_stored(self, layer: Layer) -> None:
        """Load the values that the definition itself contains."""
        stored = layer.param.blobs
        if not stored:
            return
        if len(stored) != len(layer.blobs):
            raise layer.error(f"contains {len(stored)} blobs. Needed: {len(layer.blobs)}")
        for proto, blob in zip(stored, layer.blobs, strict=True):
            values = blob_array(proto)
            if values.size != blob.count:
                raise layer.error(f"contains a blob of {values.shape}. Needed: {blob.shape}")
            blob.tensor.copy_(torch.from_numpy(values.reshape(blob.shape)))

    def _add_params(self, step: Step) -> None:
        # Only owners are learnable: the gradients of blobs that share theirs add up there.
        layer, specs = step.layer, list(step.layer.param.param)
        if len(specs) > len(layer.blobs):
            raise layer.error(
                f"has {len(layer.blobs)} parameter blobs and {len(specs)} param: too many"
            )
        for i in range(len(layer.blobs)):
            spec = specs[i] if i < len(specs) else ParamSpec()
            learns = spec.lr_mult != 0
            layer.param_propagate_down[i] = learns
            step.need_backward = step.need_backward or learns
            if spec.name in self._owners:
                self._share(layer, i, spec)
                continue
            learnable = Learnable(
                layer.blobs[i],
                spec.lr_mult if spec.HasField("lr_mult") else None,
                spec.decay_mult if spec.HasField("decay_mult") else None,
            )
            self._learnable.append(learnable)
            if spec.name:
                self._owners[spec.name] = (layer.name, layer.blobs[i], learnable)

    def _share(self, layer: Layer, index: int, spec: ParamSpec) -> None:
        """Let a parameter share the values and gradients of the one with the same name."""
        owner, theirs, learnable = self._owners[spec.name]
        blob = layer.blobs[index]
        permissive = spec.share_mode == ParamSpec.PERMISSIVE
        fits = blob.count == theirs.count if permissive else blob.shape == theirs.shape
        if not fits:
            raise ShapeError(
                f"layer '{layer.name}' cannot share parameter '{spec.name}' of shape {blob.shape} "
                f"with layer '{owner}', where it has shape {theirs.shape}"
            )
        blob.share_data(theirs)
        blob.share_diff(theirs)
        for name in ("lr_mult", "decay_mult"):
            if spec.HasField(name):
                ours, known = getattr(spec, name), getattr(learnable, name)
                if known not in (None, ours):
                    raise NetError(
                        f"layer '{layer.name}': shared parameter '{spec.name}' has {name} {ours:g} "
                        f"here and {known:g} in layer '{owner}'"
                    )
                setattr(learnable, name, ours)

    def prune_backward(self) -> None:
        """Drop gradients that come from no loss, or that a layer above does not propagate."""
        # From the top down: `under_loss` are blobs that contribute to a loss, `skipped` those whose
        # gradient a layer above does not propagate.
        under_loss: set[str] = set()
        skipped: set[str] = set()
        for step in reversed(self._steps):
            contributes, skip = False, True
            for name, weight in zip(step.top_names, step.loss_weights, strict=True):
                contributes = contributes or bool(weight) or name in under_loss
                skip = skip and name in skipped
                if contributes and not skip:
                    break
            if step.need_backward and skip:
                step.need_backward = False
                step.propagate_down = [False] * len(step.bottom)
            step.need_backward = step.need_backward and contributes
            for i, name in enumerate(step.layer.param.bottom):
                if contributes:
                    under_loss.add(name)
                else:
                    step.propagate_down[i] = False
                if not step.propagate_down[i]:
                    skipped.add(name)

    def force_backward(self) -> None:
        """Compute the gradients of all blobs."""
        for step in self._steps:
            step.forced, step.need_backward = not step.need_backward, True
            for i in range(len(step.bottom)):
                allowed = i not in step.layer.no_backward
                step.propagate_down[i] = step.propagate_down[i] or allowed
            # Frozen parameters get gradients too; their lr_mult 0 keeps the solver from updates.
            step.layer.param_propagate_down = [True] * len(step.layer.blobs)

    def built(self) -> Built:
        """Return the net; its outputs are the unused tops, in alphabetical order, as in Caffe."""
        outputs = sorted(self._available)
        return Built(self._steps, self._blobs, self._inputs, outputs, self._learnable)
