"""Nets of the zoo as they are, on images that they know the classes of."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caffe
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.splitters import splitter
from ripen.core.archives import Archive
from ripen.data.decode import File, decode
from ripen.data.image_input import values
from ripen.learn import fitting
from ripen.learn.estimator import estimator
from ripen.learn.image_files import Images
from ripen.learn.seen import SEEN
from ripen.nets.classify import Classifier
from ripen.nets.contract import contract
from ripen.nets.zoo import DEFINITIONS
from tests.ripen.images import cats_and_dogs, zipped
from tests.ripen.learn import fits, tiny

NAMES = ("n01514859_hen.JPEG", "n01806143_peacock.JPEG", "n02510455_giant_panda.JPEG")
SECTION = {"estimator": "pretrained", "inputs": ["images"], "net": "squeezenet", "batch_size": 2}


def predicted(
    section: dict[str, object], index: Index, files: list[File], folder: Path
) -> NDArray[np.float64]:
    """Return a net's outputs for test images, shape (n, classes)."""
    fit = fits.fit_of(section, index, Images(files), folder, splitter({"split": "none"}))
    (table,), _ = fitting.run(fit)
    assert set(table["part"]) == {"test"}
    assert table["row"].tolist() == list(range(len(files)))
    return predictions.outputs(table)


def test_it_gives_what_ripen_classify_gives(mirror: Path, tmp_path: Path) -> None:
    folder = mirror / "EliSchwartz/imagenet-sample-images"
    contents = {name: (folder / name).read_bytes() for name in NAMES}
    (tmp_path / "images.zip").write_bytes(zipped(contents))
    classes = [f"class {k}" for k in range(1000)]
    index = fits.index_of("multiclass", [classes[388]] * 3, [-1] * 3, ["test"] * 3, classes)
    classifier = Classifier("squeezenet")
    with Archive(tmp_path / "images.zip") as archive:
        files = [File(name, lambda name=name: archive.read(name)) for name in NAMES]
        found = predicted(SECTION, index, files, tmp_path / "model")
        for row, name in zip(found, NAMES, strict=True):
            guesses = classifier.classify(decode(archive.read(name), name), 5)
            best = np.sort(row)[::-1][:5]
            np.testing.assert_allclose(best, [g.probability for g in guesses], atol=2e-6)
    assert found.argmax(axis=1)[-1] == 388  # it knows the panda
    assert (tmp_path / "model" / SEEN).exists()


def test_images_are_those_of_the_contract_and_probabilities_have_six_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)
    contents = list(cats_and_dogs(2, 1).items())
    files = [File(name, lambda content=content: content) for name, content in contents]
    classes = [f"class {k}" for k in range(tiny.CLASSES)]
    index = fits.index_of("multiclass", [""] * 5, [-1] * 5, ["test"] * 5, classes)
    found = predicted(SECTION | {"net": "tiny"}, index, files, tmp_path / "model")
    net = caffe.Net(DEFINITIONS["tiny"].deploy(), caffe.TEST, weights="models/tiny/tiny.caffemodel")
    wanted = contract("tiny").input
    rows = [values(decode(content, name), wanted) for name, content in contents]
    net.blobs["data"].reshape(5, 3, 32, 32)
    expected = net.forward(data=np.stack(rows))["prob"]
    np.testing.assert_array_equal(found, np.asarray(expected, np.float64).round(6))


def test_it_learns_nothing_and_has_no_learning_curve() -> None:
    settings = estimator(SECTION, "models.squeezenet")
    assert (settings.learns, settings.has_learning_curve, settings.refits) == (False, False, True)
    assert settings.nets() == ["squeezenet"]
