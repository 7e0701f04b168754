"""Nets drawn: a table's as in the talk, from first weights to last; a picture's layer by layer."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

import caffe
from caffe.draw import draw_net
from caffe.proto.caffe_pb2 import NetParameter
from ripen.competition.datasets.prepared import read_part, read_scaler
from ripen.competition.datasets.tabular import Tabular
from ripen.core.atomic import write_text
from ripen.core.layout import Layout
from ripen.judge import drawings, plots
from ripen.nets.engines.pycaffe import probabilities

STEPS = 80  # of the regions, along each measurement


def draw(layout: Layout, dataset: Tabular, shown: Sequence[str], folder: Path) -> None:
    """Draw the net before, after and on the way, and its decisions over two measurements.

    Parameters
    ----------
    layout : Layout
        Where `prepared/` and `train/` are.
    dataset : Tabular
    shown : sequence of two str
        The measurements of the regions.
    folder : Path
        Is there already; gets ``network_before.svg``, ``network_after.svg``,
        ``network_strip.svg``, ``network.svg``, which moves, and ``regions.svg``.
    """
    frames = snapshots(layout.train)
    names = (dataset.feature_names, list(dataset.classes))
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
    plots.save(regions(layout, dataset, shown), folder / "regions.svg")


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


def regions(layout: Layout, dataset: Tabular, shown: Sequence[str]) -> Figure:
    """Draw what the net says over two measurements, beside the validation rows."""
    measured, labels = _measured(layout)
    columns = [dataset.feature_names.index(name) for name in shown]
    points = pd.DataFrame(measured[:, columns], columns=["x", "y"])
    points["label"] = np.array(dataset.classes)[labels]
    names = (shown[0], shown[1], dataset.classes[-1])
    return plots.regions(*landscape(layout, dataset, shown), points, names)


def landscape(
    layout: Layout, dataset: Tabular, shown: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return what the net says over two measurements, the others at the rows' medians.

    Returns
    -------
    x, y : ndarray of shape (STEPS,)
        The measurements, over the range of the validation rows and a twentieth around it.
    probability : ndarray of shape (STEPS, STEPS)
        Of the last class; a row for each y.
    """
    measured, _ = _measured(layout)
    mean, scale = _scaler(layout)
    columns = [dataset.feature_names.index(name) for name in shown]
    x, y = (_range(measured[:, column]) for column in columns)
    rows = np.tile(np.median(measured, axis=0), (STEPS * STEPS, 1))
    rows[:, columns] = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    files = layout.train / "deploy.prototxt", layout.train / "model.caffemodel"
    net = caffe.Net(*map(str, files), caffe.TEST)
    found = probabilities(net, ((rows - mean) / scale).astype(np.float32))
    return x, y, found[:, -1].reshape(STEPS, STEPS)


def _measured(layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the validation rows as they were measured, and their labels."""
    scaled, labels = read_part(layout.prepared, "validation").arrays()
    mean, scale = _scaler(layout)
    return scaled * scale + mean, labels


def _scaler(layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, scale = np.array(list(read_scaler(layout.prepared / "scaler.json").values())).T
    return mean, scale


def _range(column: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = column.min(), column.max()
    room = (high - low) / 20
    return np.linspace(low - room, high + room, STEPS)
