"""What a net has learnt to see: its first filters, its maps of pictures, what decides it."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter

import caffe
from caffe.formats import read_binary, read_text
from caffe.proto.caffe_pb2 import NetParameter, ParamSpec
from ripen.core.atomic import write_text
from ripen.data import image_input
from ripen.data.card import GAP, montage
from ripen.data.image_input import Input
from ripen.judge.evaluation.sheet import Tile, fitted, sheet
from ripen.learn.seen import SEEN

MAPS = 6  # layers of which one is shown
MOST = 99  # percentile of a gradient that is shown as the most
FILTERS_SIDE = 400

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetFiles:
    """A net that takes pictures and gives scores or probabilities.

    Attributes
    ----------
    deploy : NetParameter
    weights : Path
    before : Path or None
        The weights that its training began with.
    input : Input
        How a picture is made its input; height and width are those of `deploy`.
    """

    deploy: NetParameter
    weights: Path
    before: Path | None
    input: Input


def read_files(folder: Path) -> NetFiles | None:
    """Read which net of a model takes an image (`ripen.learn.seen`); None where none does."""
    file = folder / SEEN
    if not file.exists():
        return None
    values = json.loads(file.read_text(encoding="utf-8"))
    deploy = NetParameter()
    read_text(Path(values["deploy"]), deploy)
    before = values["before"] and Path(values["before"])
    wanted = TypeAdapter(Input).validate_json(json.dumps(values["input"]))
    return NetFiles(deploy, Path(values["weights"]), before or None, wanted)


@dataclass(frozen=True)
class Look:
    """What a net sees of one picture.

    Attributes
    ----------
    scores : float32 ndarray of shape (classes,)
    gradient : float32 ndarray of the input's shape (channels, height, width)
        How much each value moves the highest score.
    maps : dict of str to (int, float32 ndarray of shape (height, width))
        The strongest channel, that of the largest mean, of some layers, the first and the last
        among them; layers of single values are left out.
    """

    scores: Floats
    gradient: Floats
    maps: dict[str, tuple[int, Floats]]


class Looker:
    """A net that is asked what it sees, one picture at a time.

    Parameters
    ----------
    files : NetFiles
    """

    def __init__(self, files: NetFiles) -> None:
        stored = read_binary(files.weights, NetParameter())
        self._net = caffe.Net(to_look(files.deploy, stored), caffe.TEST)
        self._net.copy_from(str(files.weights))
        (self._data,) = self._net.inputs
        _, channels, height, width = self._net.blobs[self._data].shape
        self._net.blobs[self._data].reshape(1, channels, height, width)
        self._net.reshape()
        self._input = files.input.sized(height, width)

    def look(self, picture: Image.Image) -> Look:
        """Run a picture forward, and the highest score backward."""
        self._net.blobs[self._data].data[0] = image_input.values(picture, self._input)
        (scores,) = self._net.forward().values()
        maps = {name: self._strongest(name) for name in self._chosen()}
        (output,) = self._net.outputs
        moved = self._net.blobs[output].diff
        moved[...] = 0
        moved.flat[int(scores.argmax())] = 1
        gradient = self._net.backward()[self._data][0]
        return Look(np.array(scores).reshape(-1), np.array(gradient), maps)

    def _chosen(self) -> list[str]:
        names = [
            name
            for name, blob in self._net.blobs.items()
            if name != self._data and len(blob.shape) == 4 and min(blob.shape[2:]) > 1
        ]
        spread = np.linspace(0, len(names) - 1, min(MAPS, len(names)))
        return [names[i] for i in np.unique(spread.astype(int))]

    def _strongest(self, name: str) -> tuple[int, Floats]:
        values = np.array(self._net.blobs[name].data[0])
        channel = int(values.mean(axis=(1, 2)).argmax())
        return channel, values[channel]


def to_look(deploy: NetParameter, stored: NetParameter) -> NetParameter:
    """Return a net that gives scores, and gradients of its input alone.

    Its Softmax layers are left out: a probability depends on the other classes' scores too.
    """
    learnt = {layer.name: len(layer.blobs) for layer in stored.layer}
    definition = NetParameter()
    definition.CopyFrom(deploy)
    del definition.layer[:]
    definition.layer.extend(layer for layer in deploy.layer if layer.type != "Softmax")
    definition.force_backward = True
    for layer in definition.layer:
        del layer.param[:]
        layer.param.extend([ParamSpec(lr_mult=0)] * learnt.get(layer.name, 0))
    return definition


def draw(
    files: NetFiles,
    shown: Sequence[tuple[str, Image.Image]],
    classes: Sequence[str],
    folder: Path,
) -> None:
    """Write what there is to see of a net, and of pictures, each with its name.

    Parameters
    ----------
    files : NetFiles
    shown : sequence of (str, Image)
    classes : sequence of str
    folder : Path
        Gets ``filters.svg``, ``activations.svg`` and ``saliency.svg``.
    """
    tiles = [filters_tile(files.deploy, files.weights, files.input, "as trained")]
    if files.before is not None:
        tiles.insert(0, filters_tile(files.deploy, files.before, files.input, "before training"))
    write_text(folder / "filters.svg", sheet("First-layer filters", [tiles], FILTERS_SIDE))
    looker = Looker(files)
    looks = [(name, picture, looker.look(picture)) for name, picture in shown]
    maps = [activations(*each) for each in looks]
    write_text(folder / "activations.svg", sheet("The strongest channel of some layers", maps))
    decisive = [saliency(*each, classes) for each in looks]
    write_text(folder / "saliency.svg", sheet("What decides the class that is said", decisive))


def first_filters(deploy: NetParameter, weights: Path) -> tuple[str, Floats]:
    """Return the first convolution's name and filters, shape (filters, channels, height, width)."""
    name = next(layer.name for layer in deploy.layer if layer.type == "Convolution")
    stored = read_binary(weights, NetParameter())
    (blob,) = (layer.blobs[0] for layer in stored.layer if layer.name == name)
    return name, np.array(blob.data, np.float32).reshape(tuple(blob.shape.dim))


def filters_tile(deploy: NetParameter, weights: Path, wanted: Input, when: str) -> Tile:
    """Return all filters of the first convolution as one picture: grey is zero."""
    name, filters = first_filters(deploy, weights)
    columns = math.ceil(math.sqrt(len(filters)))
    side = FILTERS_SIDE // columns - GAP
    bgr = wanted.channel_order == "BGR"
    shown = [fitted(filter_picture(each, bgr), side) for each in filters]
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    n, _, height, width = map(int, filters.shape)
    return Tile(montage(rows, side), (f"{name}, {when}: {n} filters of {height}x{width}",))


def filter_picture(weights: Floats, bgr: bool) -> Image.Image:
    """Return a filter, shape (channels, height, width), as a picture, its largest weight at an end.

    One of neither 1 nor 3 channels is shown by their mean.
    """
    largest = float(np.abs(weights).max())
    scaled = 0.5 + weights / (2 * largest if largest > 0 else 1)
    if len(scaled) == 3:
        pixels = scaled[::-1] if bgr else scaled
        return Image.fromarray(np.rint(pixels.transpose(1, 2, 0) * 255).astype(np.uint8))
    return Image.fromarray(np.rint(scaled.mean(axis=0) * 255).astype(np.uint8)).convert("RGB")


def activations(name: str, picture: Image.Image, look: Look) -> list[Tile]:
    """Return a picture and its maps."""
    maps = [
        Tile(heat(values), (layer, f"channel {channel}, {values.shape[0]}x{values.shape[1]}"))
        for layer, (channel, values) in look.maps.items()
    ]
    return [Tile(picture, (Path(name).name, "")), *maps]


def saliency(name: str, picture: Image.Image, look: Look, classes: Sequence[str]) -> list[Tile]:
    """Return a picture, and where a change of it moves the score of the class said most."""
    strength = np.abs(look.gradient).max(axis=0)
    most = np.percentile(strength, MOST)
    shown = heat(np.minimum(strength, most) if most > 0 else strength)
    said = classes[int(look.scores.argmax())]
    return [Tile(picture, (Path(name).name, "")), Tile(shown, (f"said {said}", ""))]


def heat(values: Floats) -> Image.Image:
    """Return values as a picture: dark is the least, light the most of them."""
    least, most = float(values.min()), float(values.max())
    levels = np.rint((values - least) * (255 / (most - least) if most > least else 0))
    return Image.fromarray(mpl.colormaps["inferno"](levels.astype(np.uint8), bytes=True)[..., :3])
