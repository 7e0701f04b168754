"""Competitions of photographs: their classes, the names of their files, the list of ImageNet's."""

from pathlib import Path

import pytest
from ripen.competition.datasets import PHOTOS
from ripen.competition.datasets.imagenet import DATASET as IMAGENET

from ripen.core.errors import DataError
from ripen.data.labels import Labelled
from ripen.nets.contract import labels


def test_imagenets_classes_are_those_of_the_nets() -> None:
    names = [f"{label.name.partition(',')[0]} ({label.synset})" for label in labels("squeezenet")]
    assert list(IMAGENET.classes) == names
    assert len(set(names)) == 1000


def test_every_listed_photograph_is_of_another_class() -> None:
    listed = IMAGENET.photographs()
    named = IMAGENET.read_labels(list(listed)).images
    assert len({found.label for found in named if found}) == len(listed) == 256
    for file, found in zip(listed, named, strict=True):
        assert found is not None
        name, synset = IMAGENET.classes[found.label].removesuffix(")").rsplit(" (", 1)
        assert file == f"{synset}_{name.replace(' ', '_')}.JPEG"


def test_the_mirror_has_them(mirror: Path) -> None:
    folder = mirror / "EliSchwartz/imagenet-sample-images"
    assert sorted(path.name for path in folder.iterdir()) == list(IMAGENET.photographs())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("n01440764_tench.JPEG", ("test", 0, "n01440764_tench")),
        ("train/n01443537/n01443537_16.JPEG", ("test", 1, "n01443537_16")),
        ("val/n01440764/ILSVRC2012_val_00000293.JPEG", ("test", 0, "ILSVRC2012_val_00000293")),
        ("val/n01440764/", None),
        ("readme/.DS_Store", None),
    ],
)
def test_names_of_imagenet(name: str, expected: tuple[str, int, str] | None) -> None:
    (found,) = IMAGENET.read_labels([name]).images
    if expected is None:
        assert found is None
    else:
        part, label, id = expected
        assert found == Labelled(part, label, (id,), id)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tench.JPEG", r"^tench\.JPEG: is not an image's name. Allowed: <synset>_<name>\.JPEG$"),
        ("n01440764_tench.txt", r"^n01440764_tench\.txt: is not an image's name"),
        ("n00000001_x.JPEG", r"^n00000001_x\.JPEG: synset n00000001 is not one of the 1000 cl"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        IMAGENET.read_labels([name])


def test_the_others_have_their_classes() -> None:
    assert PHOTOS["cats_vs_dogs"].classes == PHOTOS["cats_vs_dogs_redux"].classes == ("cat", "dog")
    assert PHOTOS["cats_vs_dogs"].photographs() == {}
