"""A PyTorch module, traced once with torch.export, operator by operator."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from ripen.core.errors import UsageError
from ripen.nets.importing.pieces import INPUT, Piece, Pieces, piece
from ripen.nets.zoo.folding import Array, Sides

# Of the traced picture's axis: with 1, an operator could not tell it from an axis without numbers.
BATCH = 2
NONE: Sides = (0, 0)


@dataclass(frozen=True)
class Map:
    """What an operator gave: a top, and zeros that are still to be put about its maps.

    Attributes
    ----------
    before, after : (int, int)
        Above and left, below and right.
    """

    top: str
    before: Sides = NONE
    after: Sides = NONE


def exported(module: nn.Module, shape: Sequence[int]) -> ExportedProgram:
    """Trace a module in evaluation, for a picture of shape (C, H, W).

    Raises
    ------
    UsageError
        If what it does depends on the picture's values, or PyTorch cannot say what it does.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch says of its own trace
            return torch.export.export(module, (torch.zeros(BATCH, *shape),), strict=False)
    except Exception as error:  # whatever the module raises for such a picture
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{type(module).__name__} cannot be traced for a picture of {tuple(shape)}: {reason}"
        ) from None


class Trace:
    """The layers written so far, and which of their tops each operator's answer is.

    Parameters
    ----------
    module : Module
    program : ExportedProgram
        Its trace.
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
        """Return what an operator gave."""
        return self._maps[node]

    def top(self, node: Node, bottom: Any) -> str:
        """Return the top of what an operator takes.

        Raises
        ------
        UsageError
            If it has zeros about it that no layer of Caffe would put there.
        """
        found = self._maps[bottom]
        if found.before != NONE or found.after != NONE:
            raise self.unsupported(node, "takes maps padded with zeros", "before a convolution")
        return found.top

    def array(self, node: Node, of: Any) -> Array:
        """Return a weight as float64.

        Raises
        ------
        UsageError
            If it is no weight but something computed.
        """
        if not isinstance(of, Node) or of.name not in self._stored:
            raise self.unsupported(node, "has computed weights", "weights that are stored")
        stored = self._state[self._stored[of.name]]
        return np.asarray(stored.detach().cpu().to(torch.float64).numpy())

    def add(
        self, node: Node, type: str, bottoms: Sequence[str], *weights: Array, **settings: Any
    ) -> str:
        """Write a layer named for an operator's module; return its top."""
        part = settings.pop("part", "")
        name = self._free(self._name(node) + (f"/{part}" if part else ""))
        self.items.append(piece(name, type, bottoms, *weights, **settings))
        return name

    def give(self, node: Node, found: Map | str, changed: Node | None = None) -> None:
        """Note what an operator gave; `changed` is what it changed in place."""
        answer = Map(found) if isinstance(found, str) else found
        for each in (node, changed):
            if each is not None:
                self._maps[each] = answer

    def finished(self, output: Node) -> Pieces:
        """Return the layers.

        Raises
        ------
        UsageError
            If the module gives more than one tensor, or only what it was given.
        """
        (answers,) = output.args
        if not isinstance(answers, tuple | list) or len(answers) != 1:
            raise UsageError("the network gives several tensors. Allowed: one")
        top = self.top(output, answers[0])
        if top == INPUT:
            raise UsageError("the network gives what it is given: it has no layers")
        return Pieces(self.items, top).alive()

    def unsupported(self, node: Node, what: str, allowed: str) -> UsageError:
        """Return the error for an operator that Caffe has no layer for."""
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
    """Return an operator's name, the same whether it works in place or not: relu for relu_."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(getattr(node.target, "__name__", node.target))
    name = str(schema.name).rpartition("::")[2]
    return name.removesuffix("_") if schema.is_mutable else name


def arguments(node: Node) -> dict[str, Any]:
    """Return an operator's arguments by the names in its schema, defaults filled in."""
    schema: Any = getattr(node.target, "_schema")  # noqa: B009 - mypy knows no such attribute
    names = [each.name for each in schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return {each.name: given.get(each.name, each.default_value) for each in schema.arguments}


def shape(node: Any) -> tuple[int, ...]:
    """Return the shape of what an operator gave."""
    return tuple(int(size) for size in node.meta["val"].shape)


def _module(node: Node) -> tuple[str, str]:
    """Return the path of the module that an operator is of, and its class."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    if not stack:
        return "", operator(node)
    where, kind = stack[-1]
    return str(where), str(kind).rpartition(".")[2]
