"""The traced layers made fewer, none of which changes what the net answers."""

from dataclasses import replace

import numpy as np

from caffe.proto.caffe_pb2 import LayerParameter
from ripen.core.errors import UsageError
from ripen.nets.importing.pieces import INPUT, Piece, Pieces
from ripen.nets.zoo.folding import Array, Filter, Normalization

FILTERS = ("Convolution", "InnerProduct")
# A layer in place of its bottom is right, backward too, where the layer below does not look at
# what it gave.
IN_PLACE = ("ReLU", "Dropout", "BatchNorm", "Scale")
BELOW = (*FILTERS, "Eltwise", "Concat", "BatchNorm", "Scale", "ReLU", "Dropout", "Pooling", "Power")


def folded(pieces: Pieces) -> Pieces:
    """Take each normalization into the convolution, or the layer of sums, before it.

    It stays where others take from that layer too, or the layer before it is another.
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


def without_flattens(pieces: Pieces) -> Pieces:
    """Drop what makes rows of maps for layers of sums alone, which do so themselves."""
    takers: dict[str, list[Piece]] = {}
    for each in pieces.items:
        for bottom in each.bottoms:
            takers.setdefault(bottom, []).append(each)

    def summed(top: str) -> bool:
        through = ("ReLU", "Dropout")
        found = takers.get(top, [])
        return (
            bool(found)
            and top != pieces.output
            and all(p.type == "InnerProduct" or p.type in through and summed(p.name) for p in found)
        )

    names = {p.name: p.bottoms[0] for p in pieces.items if p.type == "Flatten" and summed(p.name)}
    return pieces.renamed([p for p in pieces.items if p.name not in names], names)


def of_pixels(pieces: Pieces, deviation: Array) -> Pieces:
    """Return the net for pictures in BGR that nobody has divided by their deviation.

    Parameters
    ----------
    pieces : Pieces
        For pictures in RGB, less their mean and divided by their deviation.
    deviation : array of shape (3,)
        In the order RGB.

    Raises
    ------
    UsageError
        If anything but convolutions looks at the picture.
    """
    items = []
    for each in pieces.items:
        if INPUT in each.bottoms:
            if each.type != "Convolution" or each.layer.convolution_param.group != 1:
                raise UsageError(
                    f"{each.name} ({each.type}) takes the picture itself, whose channels and scale "
                    "cannot be changed for it. Allowed: convolutions without groups"
                )
            weight, *bias = each.weights
            filter = Filter(weight, np.zeros(len(weight))).of_pixels(deviation, reverse=True)
            each = replace(each, weights=(filter.weight, *bias))
        items.append(each)
    return replace(pieces, items=items)


def in_place(pieces: Pieces) -> list[LayerParameter]:
    """Return the layers, those in place of their bottoms that nobody else takes from."""
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
