"""imagenet_subset: images that the user has, from a folder or a tar a class to metrics."""

import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.compose import load_competition
from ripen.stages import fetch, prepare
from tests.ripen.frozen import SMALL, with_weights
from tests.ripen.images import of_synsets
from tests.ripen.stages.conftest import run_all

LAYOUT = Layout("imagenet_subset")
SYNSETS = ("n02085620", "n02123045", "n02123394")
SIX = ("n01440764", "n01443537", "n01484850", *SYNSETS)
EACH = 8


@pytest.fixture
def params(here: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a function that takes synsets and overrides, and returns what `here` does."""

    def make(synsets: tuple[str, ...] = SYNSETS, *overrides: str) -> dict[str, Any]:
        chosen = ",".join(synsets)
        return here(
            "competitions=[imagenet_subset]",
            *SMALL,
            f"source.folder={{path: mine, classes: [{chosen}]}}",
            f"classes=[{chosen}]",
            *overrides,
        )

    return make


def write(files: Mapping[str, bytes], folder: str = "mine") -> None:
    for name, content in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def as_tar(synset: str) -> None:
    """Put a class's folder into a tar, as ImageNet has it: files with no folder."""
    folder = Path("mine") / synset
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.add(path, path.name)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_from_folders_and_a_tar_to_metrics(params: Callable[..., dict[str, Any]]) -> None:
    values = params(SIX)
    # A class that is there and was not chosen, and what an operating system leaves.
    write(of_synsets([*SIX, "n01491361"], EACH) | {f"{SIX[0]}/.DS_Store": b""})
    as_tar(SIX[1])
    with_weights("squeezenet")
    run_all("imagenet_subset", values)

    index = indexes.read(LAYOUT, load_competition("imagenet_subset"))
    assert index.rows.name.tolist() == sorted(of_synsets(SIX, EACH))
    assert index.targets.tolist() == [k for k in range(6) for _ in range(EACH)]
    assert set(index.rows.part) == {"train"}
    assert index.rows.groupby("target").fold.value_counts().tolist() == [EACH // 2] * 12

    net, full = predictions.read(LAYOUT, ["net", "full"]).values()
    assert set(net.part) == set(full.part) == {"validation"}
    assert sorted(net.row) == index.rows.index.tolist()
    right = predictions.outputs(net).argmax(axis=1) == index.targets[net.row]
    metrics = json.loads(LAYOUT.metrics.read_text())["models"]
    assert metrics["net"]["validation"]["accuracy"] == round(float(right.mean()), 4) >= 0.8
    assert metrics["net"]["validation"]["top5"] >= 0.9
    # The net that is trained further is so in one fold.
    assert metrics["full"]["validation"]["n"] == 6 * EACH // 2
    assert metrics["svm_histogram"]["validation"]["accuracy"] >= 0.8
    confusion = pd.read_csv(LAYOUT.evaluate / "net" / "confusion.csv")
    assert {"tench (n01440764)", "tabby (n02123045)"} < set(confusion.actual)
    assert confusion.actual.nunique() == 6
    assert np.mean(confusion.actual == confusion.predicted) == pytest.approx(right.mean())
    assert not LAYOUT.submission.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: shutil.rmtree("mine/n02123045"),
            r"^mine: has neither a folder n02123045 nor n02123045\.tar\. Put the images "
            r"there, or change the folder in the settings$",
        ),
        (lambda: shutil.rmtree("mine"), "^mine: has neither a folder n02085620 nor n02085620.tar"),
        (
            lambda: [path.unlink() for path in Path("mine/n02123394").iterdir()],
            r"^mine/n02123394: no image of n02123394 found$",
        ),
        (
            lambda: write({"n02123394/words.txt": b""}),
            r"^n02123394/words\.txt: is not an image's name",
        ),
        (
            lambda: (shutil.rmtree("mine/n02123045"), write({"n02123045.tar": b"text" * 400})),
            r"^mine/n02123045\.tar: is not a tar, or is truncated",
        ),
        (
            lambda: (
                as_tar("n02123045"),
                write({"n02123045.tar": Path("mine/n02123045.tar").read_bytes()[:1700]}),
            ),
            r"^mine/n02123045\.tar: is not a tar, or is truncated",
        ),
    ],
)
def test_images_that_are_missing(
    params: Callable[..., dict[str, Any]], change: Callable[[], object], message: str
) -> None:
    params()
    write(of_synsets(SYNSETS, 2))
    change()
    with pytest.raises(DataError, match=message):
        fetch.run("imagenet_subset")
    assert not LAYOUT.raw.exists()


def test_a_class_of_fewer_images_than_folds(params: Callable[..., dict[str, Any]]) -> None:
    params()
    write(of_synsets(SYNSETS[1:], 2) | of_synsets(SYNSETS[:1], 1))
    fetch.run("imagenet_subset")
    message = r"^class 'n02085620' has 1 labelled rows\. Needed: 2, one a fold"
    with pytest.raises(DataError, match=message):
        prepare.run("imagenet_subset")


@pytest.mark.parametrize(
    ("synsets", "message"),
    [
        (("n02123045",), r"the target has 1 classes \(n02123045\), and task 'multiclass' needs at"),
        (("n02123045", "n02123045"), r"the target has 1 classes \(n02123045\), and task 'multicl"),
        (
            ("n02123045", "n00000001"),
            r"^classes: n00000001 is not one of the 1000 of models/classes/imagenet\.csv$",
        ),
    ],
)
def test_classes_that_are_too_few_or_unknown(
    params: Callable[..., dict[str, Any]], synsets: tuple[str, ...], message: str
) -> None:
    params(synsets)
    write(of_synsets(synsets, 2))
    fetch.run("imagenet_subset")
    with pytest.raises(DataError, match=message):
        prepare.run("imagenet_subset")
