"""Models that take an image: nets of the zoo, nets trained here, models of rows of pixels."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

import caffe
from ripen.competition.tasks import TASKS, Task
from ripen.data.decode import decode
from ripen.data.image_input import RESAMPLING, Input, middle, values
from ripen.judge.insight import NetFiles, Probe, read_files, saliency
from ripen.learn.target_transform import in_units
from ripen.nets.contract import contract, labels
from ripen.nets.opening import open_net
from ripen.nets.published import caffemodel, definition, load
from ripen.serve.answers import Answer, Field
from ripen.serve.mixture import answer
from ripen.serve.rows import Table

NAME = "the image"  # in errors: a browser need not say what its file is called


@dataclass(frozen=True)
class Net:
    """A net that takes images, with the saliency of each.

    Parameters
    ----------
    files : NetFiles
    names : sequence of str
        Of its outputs.
    title, about : str
    task : Task
        Of what it predicts: classes, independent labels, or numbers.
    """

    files: NetFiles
    names: Sequence[str]
    title: str
    about: str
    task: Task = TASKS["multiclass"]
    takes: Literal["image"] = "image"
    fields: Sequence[Field] = ()
    probe: Probe = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "probe", Probe(self.files))

    def answer(self, question: bytes) -> Answer:
        """Predict from an image file (`Served.answer`)."""
        image = decode(question, NAME)
        response = self.probe.response(image)
        outputs = in_units(response.scores[np.newaxis], self.files.unit)[0]
        if self.task.classifies:  # what the probe has removed: a Softmax
            outputs = np.exp(response.scores - response.scores.max(), dtype=np.float64)
            outputs /= outputs.sum()
        said = answer(self.task, self.names, outputs)
        _, decisive = saliency(NAME, image, response, self.names)
        wanted = self.files.input.sized(*response.gradient.shape[1:])
        return replace(said, seen=png(seen(image, wanted)), saliency=png(decisive.image))


@dataclass(frozen=True)
class Pixels:
    """A model of a table whose rows are images, as the handwritten digits are.

    Attributes
    ----------
    table : Table
        The model.
    input : Input
        How an image becomes the values of a row.
    """

    table: Table
    input: Input
    takes: Literal["image"] = "image"
    fields: Sequence[Field] = ()

    @property
    def title(self) -> str:
        return self.table.title

    @property
    def about(self) -> str:
        return self.table.about

    def answer(self, question: bytes) -> Answer:
        """Predict from an image file (`Served.answer`)."""
        image = decode(question, NAME)
        pixels = values(image, self.input).reshape(-1)
        names = [each.name for each in self.table.fields]
        row = {name: f"{value:g}" for name, value in zip(names, pixels, strict=True)}
        return replace(self.table.answer(row), notes=(), seen=png(seen(image, self.input)))


def of_the_zoo(name: str) -> Net:
    """Return a net of the zoo or an imported one; fetches its weights if need be.

    Raises
    ------
    UsageError, SourceError, DataError
        As `ripen.nets.published.load`.
    """
    promised, classes = contract(name), [label.name for label in labels(name)]
    load(name)  # refuses Python layers, and weights of another net
    files = NetFiles(definition(name).deploy(), caffemodel(name), None, promised.input)
    names = classes or [f"class {place}" for place in range(_outputs(files))]
    about = f"A net of the zoo, {promised.name}, with {len(names):,} classes."
    return Net(files, names, name, about)


def trained(folder: Path, names: Sequence[str], title: str, about: str, task: Task) -> Net:
    """Return a net that was trained here on images, from its model's folder."""
    files = read_files(folder)
    open_net(files.deploy, caffe.TEST)  # refuses Python layers
    return Net(files, names, title, about, task)


def _outputs(files: NetFiles) -> int:
    net = open_net(files.deploy, caffe.TEST)
    return int(np.prod(net.blobs[net.outputs[0]].shape[1:]))


def seen(image: Image.Image, wanted: Input) -> Image.Image:
    """Return what a net sees of an image, in its size."""
    size, filter_ = (wanted.width, wanted.height), RESAMPLING[wanted.interpolation]
    mode = "L" if wanted.channel_order == "grey" else "RGB"
    return image.convert(mode).resize(size, filter_, middle(image.size, wanted))


def png(image: Image.Image) -> bytes:
    """Return an image as the bytes of a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
