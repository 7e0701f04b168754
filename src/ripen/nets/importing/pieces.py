"""A net being put together: its layers, each with its weights."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caffe.proto.caffe_pb2 import LayerParameter
from ripen.nets.zoo.folding import Array

INPUT = "data"


@dataclass(frozen=True)
class Piece:
    """A layer with one top of its own, named as the layer is, and its weights."""

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
    """All layers, in the order in which they run, and the top that is the net's answer."""

    items: list[Piece]
    output: str

    def uses(self) -> Counter[str]:
        """Count how often each top is taken from, the answer once more."""
        taken = (bottom for piece in self.items for bottom in piece.bottoms)
        return Counter([*taken, self.output])

    def renamed(self, kept: Sequence[Piece], names: dict[str, str]) -> "Pieces":
        """Return some of the layers, which take from other tops now.

        Parameters
        ----------
        kept : sequence of Piece
        names : dict
            The new top by the old one, which may itself have a newer.
        """

        def newest(top: str) -> str:
            while top in names:
                top = names[top]
            return top

        return Pieces([p.taking([newest(b) for b in p.bottoms]) for p in kept], newest(self.output))

    def alive(self) -> "Pieces":
        """Return the layers without those whose tops lead nowhere."""
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
