"""Models on features of images: an image goes through the frozen nets, and then to the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import Task
from ripen.data.decode import File, decode
from ripen.data.image_input import Input
from ripen.nets import frozen
from ripen.serve.answers import Answer, Field
from ripen.serve.image_models import NAME, png, seen
from ripen.serve.mixture import Mixture, answer
from ripen.settings.schema import Competition, Images


@dataclass(frozen=True)
class Extractor:
    """One set of features of an image, by nets that stay open.

    Attributes
    ----------
    settings : Extraction
    images : Images
    nets : sequence of (caffe.Net, Input)
    """

    settings: frozen.Extraction
    images: Images
    nets: Sequence[frozen.Opened]

    def __call__(self, image: bytes) -> NDArray[np.float32]:
        """Return the features of an image file, the mean over its views, shape (1, size)."""
        files = [File(NAME, lambda: image)]
        found = self.settings.extract(files, self.images, threads=1, nets=self.nets)
        return np.asarray(found.array().mean(axis=1, dtype=np.float32))

    @property
    def input(self) -> Input | None:
        """How an image becomes the net's input; None of colours, which have no net."""
        for (_, wanted), net in zip(self.nets, self.settings.nets(), strict=True):
            return wanted.sized(net.sides[0], net.sides[0])
        return None


@dataclass(frozen=True)
class OfFeatures:
    """Models on features of an image, which answer together.

    Attributes
    ----------
    mixture : Mixture
    inputs : mapping of str to list
        By model, the sets of features that it takes side by side.
    extractors : mapping of str to Extractor
        By set of features.
    task : Task
    names : sequence of str
        Of the outputs.
    """

    mixture: Mixture
    inputs: Mapping[str, Sequence[str]]
    extractors: Mapping[str, Extractor]
    task: Task
    names: Sequence[str]
    title: str
    about: str
    takes: Literal["image"] = "image"
    fields: Sequence[Field] = field(default=())

    def answer(self, question: bytes) -> Answer:
        """Predict from an image file (`Served.answer`)."""
        image = decode(question, NAME)
        found = {name: extract(question) for name, extract in self.extractors.items()}
        outputs = self.mixture.outputs(
            lambda name, model: model.outputs(
                np.concatenate([found[each] for each in self.inputs[name]], axis=1)
            )
        )
        said = answer(self.task, self.names, outputs)
        wanted = next((each.input for each in self.extractors.values() if each.nets), None)
        return said if wanted is None else replace(said, seen=png(seen(image, wanted)))


def of_features(
    competition: Competition,
    task: Task,
    mixture: Mixture,
    inputs: Mapping[str, Sequence[str]],
    names: Sequence[str],
    title: str,
    about: str,
) -> OfFeatures:
    """Return what answers by fitted models on features; opens the frozen nets."""
    images = competition.images
    assert images is not None  # or there would be no features
    extractors = {}
    for name in dict.fromkeys(each for names in inputs.values() for each in names):
        settings = frozen.settings(competition.features[name], f"features.{name}")
        nets = [frozen.from_zoo(net) for net in settings.nets()]
        extractors[name] = Extractor(settings, images, nets)
    return OfFeatures(mixture, inputs, extractors, task, names, title, about)
