"""Where the nets are that a competition trained, or uses as they are."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from caffe.formats import read_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.competition.datasets.pictures import Images
from ripen.core.errors import SourceError, UsageError
from ripen.core.layout import Layout
from ripen.data.image_input import Input
from ripen.judge.evaluation.insight import NetFiles
from ripen.nets.contract import contract
from ripen.nets.weights import caffemodel
from ripen.nets.zoo import DEFINITIONS

WEIGHTS = "model.caffemodel"
FINETUNED = ("full", "head")
WAYS = (*FINETUNED, "scratch")
"""The models of photographs that were trained in several ways at the same budget."""


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
    return {
        name: _files(own, wanted, None if name == "scratch" else pretrained / WEIGHTS)
        for name, own in folders.items()
    }


def of_photographs(layout: Layout, made_from: Mapping[str, str]) -> dict[str, NetFiles]:
    """Return trained nets that take photographs, by the model's name.

    Parameters
    ----------
    layout : Layout
    made_from : mapping of str to str
        Of each model the net of the zoo that it is made from. What was not trained is left out,
        and what takes a photograph more than once.
    """
    found = {}
    for model, name in made_from.items():
        folder = layout.train / model
        if (folder / "deploy.prototxt").exists():
            start = _published(name) if model in FINETUNED else None
            # They were trained on whole pictures, whatever the published net is given.
            files = _files(folder, replace(contract(name).input, crop=None), start)
            if sum(layer.type == "Input" for layer in files.deploy.layer) == 1:
                found[model] = files
    return found


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
    return NetFiles(deploy, folder / WEIGHTS, start, wanted)


def _published(name: str) -> Path | None:
    """The weights of a net of the zoo; without them there is only less to see."""
    try:
        return caffemodel(name)
    except (SourceError, UsageError) as error:
        print(f"evaluate: no filters before training are drawn: {error}")
        return None
