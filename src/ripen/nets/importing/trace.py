"""A PyTorch module traced with `torch.export`, and the Caffe layers that its operators become.

`operators` and `windows` hold one writer for each operator; `@writes("conv2d")` registers it.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from caffe.proto.caffe_pb2 import LayerParameter
from ripen.core.errors import UsageError
from ripen.nets.folding import Array, Sides

INPUT = "data"
# Batch size of the trace. With 1, the batch axis could be mistaken for an axis to broadcast.
BATCH = 2
NONE: Sides = (0, 0)


@dataclass(frozen=True)
class Piece:
    """A layer with its weights, and one top of its own, named like the layer."""

    layer: LayerParameter
    weights: tuple[Array, ...] = ()

    @property
    def name(self) -> str:
        return str(self.layer.name)

    @property
    def type(self) -> str:
        return str(self.layer.type)

    @property
    def bottoms(self) -> list[str]:
        return list(self.layer.bottom)

    def taking(self, bottoms: Sequence[str]) -> "Piece":
        """Return the layer with other bottoms."""
        layer = LayerParameter()
        layer.CopyFrom(self.layer)
        layer.bottom[:] = bottoms
        return Piece(layer, self.weights)


@dataclass
class Pieces:
    """All layers of a net in the order in which they run, and the net's output."""

    items: list[Piece]
    output: str

    def uses(self) -> Counter[str]:
        """Count the uses of each top; being the output counts as one."""
        used = (bottom for piece in self.items for bottom in piece.bottoms)
        return Counter([*used, self.output])

    def renamed(self, kept: Sequence[Piece], names: dict[str, str]) -> "Pieces":
        """Return some of the layers, with some of their bottoms renamed.

        Parameters
        ----------
        kept : sequence of Piece
        names : dict
            The new bottom by the old one; may itself be renamed.
        """

        def newest(top: str) -> str:
            while top in names:
                top = names[top]
            return top

        return Pieces([p.taking([newest(b) for b in p.bottoms]) for p in kept], newest(self.output))

    def alive(self) -> "Pieces":
        """Return the layers on which the output depends."""
        wanted, kept = {self.output}, []
        for each in reversed(self.items):
            if each.name in wanted:
                wanted.update(each.bottoms)
                kept.append(each)
        return Pieces(kept[::-1], self.output)


def piece(name: str, type: str, bottoms: Sequence[str], *weights: Array, **settings: Any) -> Piece:
    """Return a layer; `settings` are fields of its LayerParameter."""
    layer = LayerParameter(name=name, type=type, bottom=bottoms, top=[name], **settings)
    return Piece(layer, weights)


@dataclass(frozen=True)
class Map:
    """The result of an operator: a top, and the zeros around its maps that no layer has added yet.

    Attributes
    ----------
    before, after : (int, int)
        Zeros above and left, below and right.
    """

    top: str
    before: Sides = NONE
    after: Sides = NONE


def exported(module: nn.Module, shape: Sequence[int]) -> ExportedProgram:
    """Trace a module in evaluation mode, for images of shape (C, H, W).

    Raises
    ------
    UsageError
        If PyTorch cannot trace it, for example because its operators depend on the image's values.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of its own internals
            return torch.export.export(module, (torch.zeros(BATCH, *shape),), strict=False)
    except Exception as error:  # a module may raise anything
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{type(module).__name__} cannot be traced for images of shape {tuple(shape)}: {reason}"
        ) from None


class Trace:
    """The layers written so far, and the top that holds each operator's result.

    Parameters
    ----------
    module : Module
    program : ExportedProgram
        The module's trace.
    """

    def __init__(self, module: nn.Module, program: ExportedProgram) -> None:
        self._leaves = {name for name, each in module.named_modules() if not any(each.children())}
        self._state: dict[str, Any] = {**program.state_dict, **program.constants}
        signature = program.graph_signature
        self._stored = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self._names: set[str] = set()
        self._maps: dict[Node, Map] = {}
        self.items: list[Piece] = []
        (user_input,) = signature.user_inputs
        self._maps |= {node: Map(INPUT) for node in program.graph.nodes if node.name == user_input}

    def map(self, node: Any) -> Map:
        """Return the result of an operator."""
        return self._maps[node]

    def top(self, node: Node, bottom: Any) -> str:
        """Return the top of an operator's operand.

        Raises
        ------
        UsageError
            If the operand is padded with zeros: only Caffe's convolutions pad.
        """
        found = self._maps[bottom]
        if found.before != NONE or found.after != NONE:
            raise self.unsupported(
                node, "has maps padded with zeros", "padding before convolutions"
            )
        return found.top

    def array(self, node: Node, of: Any) -> Array:
        """Return a weight as float64.

        Raises
        ------
        UsageError
            If it is not a stored weight but computed.
        """
        if not isinstance(of, Node) or of.name not in self._stored:
            raise self.unsupported(node, "has computed weights", "stored weights")
        stored = self._state[self._stored[of.name]]
        return np.asarray(stored.detach().cpu().to(torch.float64).numpy())

    def add(
        self, node: Node, type: str, bottoms: Sequence[str], *weights: Array, **settings: Any
    ) -> str:
        """Add a layer named after an operator's module; return its top."""
        part = settings.pop("part", "")
        name = self._free(self._name(node) + (f"/{part}" if part else ""))
        self.items.append(piece(name, type, bottoms, *weights, **settings))
        return name

    def record(self, node: Node, found: Map | str, changed: Node | None = None) -> None:
        """Record the result of an operator; `changed` is the operand that it changed in place."""
        result = Map(found) if isinstance(found, str) else found
        for each in (node, changed):
            if each is not None:
                self._maps[each] = result

    def finished(self, output: Node) -> Pieces:
        """Return the layers.

        Raises
        ------
        UsageError
            If the module returns several tensors, or its input unchanged.
        """
        (results,) = output.args
        if not isinstance(results, tuple | list) or len(results) != 1:
            raise UsageError("the network returns several tensors. Allowed: one")
        top = self.top(output, results[0])
        if top == INPUT:
            raise UsageError("the network returns its input: it has no layers")
        return Pieces(self.items, top).alive()

    def unsupported(self, node: Node, what: str, allowed: str) -> UsageError:
        """Return the error for an operator without a layer in Caffe."""
        where, kind = _module(node)
        return UsageError(f"{where or 'the network'} ({kind}) {what}. Allowed: {allowed}")

    def _name(self, node: Node) -> str:
        where, _ = _module(node)
        path = where.replace(".", "/")
        if where in self._leaves:
            return path
        return f"{path}/{operator(node)}".strip("/")

    def _free(self, name: str) -> str:
        """Return a name that no layer has yet: a module may be called several times."""
        number, free = 1, name
        while free in self._names or free == INPUT:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free


def operator(node: Node) -> str:
    """Return an operator's name, without the underscore of in-place operators: relu for relu_."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(getattr(node.target, "__name__", node.target))
    name = str(schema.name).rpartition("::")[2]
    return name.removesuffix("_") if schema.is_mutable else name


def arguments(node: Node) -> dict[str, Any]:
    """Return an operator's arguments and defaults, by the names in its schema."""
    schema: Any = getattr(node.target, "_schema")  # noqa: B009 - mypy knows no such attribute
    names = [each.name for each in schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return {each.name: given.get(each.name, each.default_value) for each in schema.arguments}


def shape(node: Any) -> tuple[int, ...]:
    """Return the shape of an operator's result."""
    return tuple(int(size) for size in node.meta["val"].shape)


def _module(node: Node) -> tuple[str, str]:
    """Return the path and the class of the module that an operator belongs to."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    if not stack:
        return "", operator(node)
    where, kind = stack[-1]
    return str(where), str(kind).rpartition(".")[2]


Arguments = dict[str, Any]
Writer = Callable[[Trace, Node, Arguments], str | Map]
_WRITERS: dict[str, Writer] = {}


def writes(*operators: str) -> Callable[[Writer], Writer]:
    """Register a function as the writer of some operators."""

    def register(writer: Writer) -> Writer:
        for name in operators:
            if name in _WRITERS:
                raise ValueError(f"operator '{name}' has two writers")
            _WRITERS[name] = writer
        return writer

    return register


def write(trace: Trace, node: Node) -> None:
    """Write an operator's layers.

    Raises
    ------
    UsageError
        If Caffe has no layers for it.
    """
    writer = _WRITERS.get(operator(node))
    if writer is None:
        raise trace.unsupported(node, f"calls {node.target}", ", ".join(sorted(_WRITERS)))
    given = arguments(node)
    schema: Any = getattr(node.target, "_schema")  # noqa: B009 - mypy knows no such attribute
    changed = node.args[0] if schema.is_mutable else None
    trace.record(node, writer(trace, node, given), changed if isinstance(changed, Node) else None)
