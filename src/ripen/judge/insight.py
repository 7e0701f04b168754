"""The responses of a net: its first filters, its activation maps, and the saliency of images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import caffe
from caffe.formats import read_binary, read_text
from caffe.proto.caffe_pb2 import NetParameter, ParamSpec
from ripen.core.atomic import write_text
from ripen.core.json_files import read_json
from ripen.data import image_input
from ripen.data.card import GAP, montage
from ripen.data.image_input import Input
from ripen.judge.image_figures import Tile, fitted, in_rows, tile_figure
from ripen.judge.plots import evenly
from ripen.learn.seen import SEEN
from ripen.learn.target_transform import ONE, Unit
from ripen.settings.compose import check

MAPS = 6  # layers with a map in the figure
MOST = 99  # percentile of a gradient: a few extreme pixels would leave the others dark
FILTERS_SIDE = 400  # pixels
SIDE = 128  # pixels of a tile: its caption names a layer
PAIRS = 8  # tiles in a row of images and what decides in them

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetFiles:
    """The files of a net that takes images and gives scores or probabilities.

    Attributes
    ----------
    deploy : NetParameter
    weights : Path
    before : Path or None
        The weights that its training began with.
    input : Input
        How an image becomes its input; height and width are those of `deploy`.
    unit : (float, float), or of lists
        Mean and standard deviation by which its targets were standardized.
    """

    deploy: NetParameter
    weights: Path
    before: Path | None
    input: Input
    unit: Unit = ONE


def read_files(folder: Path) -> NetFiles:
    """Read which net of a model takes an image (`ripen.learn.seen`)."""
    file = folder / SEEN
    values = read_json(file)
    deploy = NetParameter()
    read_text(Path(values["deploy"]), deploy)
    before = values["before"] and Path(values["before"])
    wanted = check(values["input"], Input, str(file))
    unit = tuple(values.get("unit", ONE))
    return NetFiles(deploy, Path(values["weights"]), before or None, wanted, unit)


@dataclass(frozen=True)
class Response:
    """A net's response to one image.

    Attributes
    ----------
    scores : float32 ndarray of shape (classes,)
    gradient : float32 ndarray of the input's shape (channels, height, width)
        Of the highest score.
    maps : dict of str to (int, float32 ndarray of shape (height, width))
        The channel of the largest mean of some layers, the first and the last among them; layers
        of single values are excluded.
    """

    scores: Floats
    gradient: Floats
    maps: dict[str, tuple[int, Floats]]


class Probe:
    """A net that takes one image at a time and shows its response.

    Parameters
    ----------
    files : NetFiles
    """

    def __init__(self, files: NetFiles) -> None:
        stored = read_binary(files.weights, NetParameter())
        self._net = caffe.Net(probed(files.deploy, stored), caffe.TEST)
        self._net.copy_from(str(files.weights))
        (self._data,) = self._net.inputs
        _, channels, height, width = self._net.blobs[self._data].shape
        self._net.blobs[self._data].reshape(1, channels, height, width)
        self._net.reshape()
        self._input = files.input.sized(height, width)

    def response(self, image: Image.Image) -> Response:
        """Run an image forward, and the highest score backward."""
        self._net.blobs[self._data].data[0] = image_input.values(image, self._input)
        (scores,) = self._net.forward().values()
        maps = {name: self._strongest(name) for name in self._chosen()}
        (output,) = self._net.outputs
        diff = self._net.blobs[output].diff
        diff[...] = 0
        diff.flat[int(scores.argmax())] = 1
        gradient = self._net.backward()[self._data][0]
        return Response(np.array(scores).reshape(-1), np.array(gradient), maps)

    def _chosen(self) -> list[str]:
        names = [
            name
            for name, blob in self._net.blobs.items()
            if name != self._data and len(blob.shape) == 4 and min(blob.shape[2:]) > 1
        ]
        return [names[place] for place in evenly(len(names), MAPS)]

    def _strongest(self, name: str) -> tuple[int, Floats]:
        values = np.array(self._net.blobs[name].data[0])
        channel = int(values.mean(axis=(1, 2)).argmax())
        return channel, values[channel]


def probed(deploy: NetParameter, stored: NetParameter) -> NetParameter:
    """Return a net that gives scores, and gradients of its input alone.

    Its Softmax layers are removed: a probability depends on the other classes' scores too.
    """
    blobs = {layer.name: len(layer.blobs) for layer in stored.layer}
    definition = NetParameter()
    definition.CopyFrom(deploy)
    del definition.layer[:]
    definition.layer.extend(layer for layer in deploy.layer if layer.type != "Softmax")
    definition.force_backward = True
    for layer in definition.layer:
        del layer.param[:]
        layer.param.extend([ParamSpec(lr_mult=0)] * blobs.get(layer.name, 0))
    return definition


def draw(
    files: NetFiles,
    shown: Sequence[tuple[str, Image.Image]],
    classes: Sequence[str],
    folder: Path,
) -> None:
    """Draw a net's filters, and its responses to images.

    Parameters
    ----------
    files : NetFiles
    shown : sequence of (str, Image)
        Images with their captions.
    classes : sequence of str
    folder : Path
        Gets ``filters.svg``, ``activations.svg`` and ``saliency.svg``.
    """
    tiles = [filters_tile(files.deploy, files.weights, files.input, "as trained")]
    if files.before is not None:
        tiles.insert(0, filters_tile(files.deploy, files.before, files.input, "before training"))
    write_text(folder / "filters.svg", tile_figure("First-layer filters", [tiles], FILTERS_SIDE))
    probe = Probe(files)
    responses = [(name, image, probe.response(image)) for name, image in shown]
    maps = [activations(*each) for each in responses]
    drawn = tile_figure("The strongest channel of some layers", maps, SIDE)
    write_text(folder / "activations.svg", drawn)
    decisive = [tile for each in responses for tile in saliency(*each, classes)]
    drawn = tile_figure("What decides the predicted class", in_rows(decisive, PAIRS), SIDE)
    write_text(folder / "saliency.svg", drawn)


def first_filters(deploy: NetParameter, weights: Path) -> tuple[str, Floats]:
    """Return the first convolution's name and filters, shape (filters, channels, height, width)."""
    name = next(layer.name for layer in deploy.layer if layer.type == "Convolution")
    stored = read_binary(weights, NetParameter())
    (blob,) = (layer.blobs[0] for layer in stored.layer if layer.name == name)
    return name, np.array(blob.data, np.float32).reshape(tuple(blob.shape.dim))


def filters_tile(deploy: NetParameter, weights: Path, wanted: Input, when: str) -> Tile:
    """Return all filters of the first convolution as one image: grey is zero."""
    name, filters = first_filters(deploy, weights)
    columns = math.ceil(math.sqrt(len(filters)))
    side = FILTERS_SIDE // columns - GAP
    bgr = wanted.channel_order == "BGR"
    shown = [fitted(filter_image(each, bgr), side) for each in filters]
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    n, _, height, width = map(int, filters.shape)
    return Tile(montage(rows, side), (f"{name}, {when}: {n} filters of {height}x{width}",))


def filter_image(weights: Floats, bgr: bool) -> Image.Image:
    """Return a filter, shape (channels, height, width), as an image: its largest weight is extreme.

    One of neither 1 nor 3 channels is shown by their mean.
    """
    largest = float(np.abs(weights).max())
    scaled = 0.5 + weights / (2 * largest if largest > 0 else 1)
    if len(scaled) == 3:
        pixels = scaled[::-1] if bgr else scaled
        return Image.fromarray(np.rint(pixels.transpose(1, 2, 0) * 255).astype(np.uint8))
    return Image.fromarray(np.rint(scaled.mean(axis=0) * 255).astype(np.uint8)).convert("RGB")


def activations(name: str, image: Image.Image, response: Response) -> list[Tile]:
    """Return an image and its activation maps."""
    maps = [
        Tile(heat(values), (layer, f"channel {channel}", f"{values.shape[0]}x{values.shape[1]}"))
        for layer, (channel, values) in response.maps.items()
    ]
    return [Tile(image, (name, "")), *maps]


def saliency(
    name: str, image: Image.Image, response: Response, classes: Sequence[str]
) -> list[Tile]:
    """Return an image, and where a change of it moves the score of the predicted class most."""
    strength = np.abs(response.gradient).max(axis=0)
    most = np.percentile(strength, MOST)
    shown = heat(np.minimum(strength, most) if most > 0 else strength)
    predicted = classes[int(response.scores.argmax())]
    return [Tile(image, (name, "")), Tile(shown, (f"pred: {predicted}", ""))]


def heat(values: Floats) -> Image.Image:
    """Return values as an image: dark is the least, light the most of them."""
    least, most = float(values.min()), float(values.max())
    levels = np.rint((values - least) * (255 / (most - least) if most > least else 0))
    return Image.fromarray(mpl.colormaps["inferno"](levels.astype(np.uint8), bytes=True)[..., :3])
