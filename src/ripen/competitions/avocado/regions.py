"""The talk's figures of the avocado's net: its weights, and its decisions over two columns."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import caffe
from ripen.competition import index as indexes
from ripen.core.frames import read_frame
from ripen.core.layout import Layout
from ripen.data.encoders import Encoder
from ripen.judge import network, plots
from ripen.nets.engines.pycaffe import probabilities
from ripen.settings.schema import Competition

NET = "net"  # the model that is drawn
STEPS = 80  # of the regions, along each column


def draw(competition: Competition, layout: Layout, folder: Path) -> None:
    """Write the network's figures and ``regions.svg`` into the evaluation's folder of the net.

    Draws nothing if the settings have removed the net.
    """
    folder = folder / NET
    if NET not in competition.models or not folder.exists():
        return
    index = indexes.read(layout, competition)
    table = read_frame(layout.table)
    network.draw(layout.model(NET), [str(name) for name in table], index.names, folder)
    shown = list(competition.own["regions"])
    rows = index.learnable()
    # The saved net is that of the first fold: fit the encoder on the rows that it trained on.
    held = rows[index.folds[rows] == 0]
    encoder = Encoder().fit(table.iloc[rows[index.folds[rows] != 0]])
    points = table.iloc[held][shown].set_axis(["x", "y"], axis=1)
    points["label"] = np.array(index.names)[index.targets[held].astype(np.int64)]
    x, y, probability = landscape(layout, encoder, table.iloc[held], shown)
    names = (shown[0], shown[1], index.names[-1])
    plots.save(plots.regions(x, y, probability, points, names), folder / "regions.svg")


def landscape(
    layout: Layout, encoder: Encoder, rows: pd.DataFrame, shown: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return the net's probabilities over two columns, the others at the rows' medians.

    Returns
    -------
    x, y : ndarray of shape (STEPS,)
        Values of the columns, over the range of the rows and a twentieth around it.
    probability : ndarray of shape (STEPS, STEPS)
        Of the last class; a row for each y.
    """
    x, y = (_range(rows[name].to_numpy()) for name in shown)
    medians = rows.median().to_numpy()
    grid = pd.DataFrame(np.tile(medians, (STEPS * STEPS, 1)), columns=list(rows))
    grid[shown] = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    folder = layout.model(NET)
    weights = str(folder / "model.caffemodel")
    net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=weights)
    found = probabilities(net, encoder.transform(grid))
    return x, y, found[:, -1].reshape(STEPS, STEPS)


def _range(column: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = column.min(), column.max()
    room = (high - low) / 20
    return np.linspace(low - room, high + room, STEPS)
