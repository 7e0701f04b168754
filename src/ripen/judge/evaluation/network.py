"""Nets drawn: a table's as in the talk, from first weights to last; a picture's layer by layer."""

import json
from collections.abc import Sequence
from pathlib import Path

import caffe
from caffe.draw import draw_net
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import write_text
from ripen.judge import drawings


def draw(trained: Path, inputs: Sequence[str], outputs: Sequence[str], folder: Path) -> None:
    """Draw a net of fully connected layers as in the talk: before, after, and on the way.

    Parameters
    ----------
    trained : Path
        The model's folder, with the weights of some iterations in `history/`.
    inputs, outputs : sequence of str
        Names of the nodes.
    folder : Path
        Exists; gets ``network_before.svg``, ``network_after.svg``, ``network_strip.svg``, and
        ``network.svg``, which moves.
    """
    frames = snapshots(trained)
    names = (inputs, outputs)
    ends = {"before": next(iter(frames)), "after": list(frames)[-1]}
    largest = drawings.largest_weight(list(frames.values()))
    for name, caption in ends.items():
        svg = drawings.network(frames[caption], *names, caption, largest)
        write_text(folder / f"network_{name}.svg", svg)
    for name, drawn in (
        ("network_strip", drawings.strip(frames, *names, "The network while it learns")),
        ("network", drawings.animation(frames, *names, "The network while it learns, moving")),
    ):
        write_text(folder / f"{name}.svg", drawn)


def draw_definition(net: NetParameter, folder: Path) -> None:
    """Write ``definition.gv``: a net's layers as Caffe draws them, in Graphviz's language."""
    write_text(folder / "definition.gv", draw_net(net, "TB", "gv", caffe.TEST).decode())


def snapshots(folder: Path) -> dict[str, drawings.Layers]:
    """Return the weights of a training's history and those that it kept, by what they are."""
    deploy = folder / "deploy.prototxt"
    files = {int(path.stem.removeprefix("iter_")): path for path in folder.glob("history/*")}
    kept = json.loads((folder / "training.json").read_text(encoding="utf-8"))["best_iteration"]
    named = {
        f"after {number} iterations" if number else "before training": path
        for number, path in sorted(files.items())
        if number < kept
    }
    named[f"as kept, of iteration {kept}"] = folder / "model.caffemodel"
    return {name: read_layers(deploy, path) for name, path in named.items()}


def read_layers(deploy: Path, weights: Path) -> drawings.Layers:
    """Return weight and bias of each layer of a net."""
    net = caffe.Net(str(deploy), str(weights), caffe.TEST)
    return [(weight.data.copy(), bias.data.copy()) for weight, bias in net.params.values()]
