"""Where the nets are that a competition trained, or uses as they are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from caffe.formats import read_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.datasets.pictures import Images
from ripen.errors import SourceError, UsageError
from ripen.evaluation.insight import NetFiles
from ripen.layout import Layout
from ripen.zoo import DEFINITIONS
from ripen.zoo.contract import Input, contract
from ripen.zoo.weights import caffemodel

WEIGHTS = "model.caffemodel"


def trained_folders(layout: Layout) -> dict[str, Path]:
    """Return the folders of nets whose training was followed to its end, by name."""
    folders = (path.parent for path in sorted(layout.train.glob("*/training.json")))
    return {own.name: own for own in folders if (own / "curve.csv").exists()}


def of_small_pictures(
    folders: Mapping[str, Path], pretrained: Path, dataset: Images
) -> dict[str, NetFiles]:
    """Return the nets of small pictures; all but the one from scratch were pretrained."""
    height, width = dataset.size
    wanted = Input(height=height, width=width, channel_order="grey", raw_scale=1.0)
    start = pretrained / WEIGHTS
    return {name: _files(own, wanted, start) for name, own in folders.items()}


def of_photographs(layout: Layout, finetuned: str) -> dict[str, NetFiles]:
    """Return the trained nets that take photographs, by the model's name.

    Parameters
    ----------
    layout : Layout
    finetuned : str
        The net of the zoo that they are made from.
    """
    wanted, start = contract(finetuned).input, _published(finetuned)
    paths = sorted(layout.train.glob("*/deploy.prototxt"))
    found = {path.parent.name: _files(path.parent, wanted, start) for path in paths}
    return {name: files for name, files in found.items() if _takes_pictures(files.deploy)}


def of_zoo(models: Iterable[str]) -> dict[str, NetFiles]:
    """Return those of the models that are nets of the zoo, by name."""
    return {
        name: NetFiles(DEFINITIONS[name].deploy(), caffemodel(name), None, contract(name).input)
        for name in models
        if name in DEFINITIONS
    }


def _files(folder: Path, wanted: Input, start: Path | None) -> NetFiles:
    deploy = NetParameter()
    read_text(folder / "deploy.prototxt", deploy)
    before = None if folder.name == "scratch" else start
    return NetFiles(deploy, folder / WEIGHTS, before, wanted)


def _published(name: str) -> Path | None:
    """The weights of a net of the zoo; without them there is only less to see."""
    try:
        return caffemodel(name)
    except (SourceError, UsageError) as error:
        print(f"evaluate: no filters before training are drawn: {error}")
        return None


def _takes_pictures(deploy: NetParameter) -> bool:
    return any(layer.type == "Convolution" for layer in deploy.layer)
