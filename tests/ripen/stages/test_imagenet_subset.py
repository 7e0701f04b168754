"""imagenet_subset: photographs that the user has, from a folder or a tar a class to metrics."""

import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ripen.competition import predictions
from ripen.core.errors import ConfigError, DataError, RipenError
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.settings.schema import Config
from ripen.stages import fetch, prepare
from tests.ripen.conftest import ROOT
from tests.ripen.frozen import SMALL, run_all
from tests.ripen.photographs import of_synsets

LAYOUT = Layout("imagenet_subset")
SECTION = "competition.imagenet_subset.fetch"
SYNSETS = ("n02085620", "n02123045", "n02123394")
SIX = ("n01440764", "n01443537", "n01484850", *SYNSETS)
EACH = 8
MakeConfig = Callable[..., Config]


@pytest.fixture
def config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> Callable[..., Config]:
    """Return a function that takes overrides; the working folder has the classes' names."""

    def make(*overrides: str) -> Config:
        made = make_config(*SMALL, f"{SECTION}.images=mine", *overrides)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "models").symlink_to(ROOT / "models")
        return made

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


def test_from_folders_and_a_tar_to_metrics(config: MakeConfig) -> None:
    made = config(f"{SECTION}.classes=[{','.join(reversed(SIX))}]")
    # A class that is there and was not chosen, and what an operating system leaves.
    write(of_synsets([*SIX, "n01491361"], EACH) | {f"{SIX[0]}/.DS_Store": b""})
    as_tar(SIX[1])
    run_all(made, "imagenet_subset")

    index = indexes.read(LAYOUT.prepared / "index.csv")
    assert index.name.tolist() == sorted(of_synsets(SIX, EACH))
    assert index.label.tolist() == [k for k in range(6) for _ in range(EACH)]
    assert set(index.part) == {"train"}
    assert index.groupby("label").fold.value_counts().tolist() == [EACH // 2] * 12

    table = predictions.read_left(LAYOUT)["train"]
    assert set(table.part) == {"validation"}
    net = table[table.model == "net"]
    assert net.id.tolist() == index.index.tolist()
    right = predictions.probabilities(net).argmax(axis=1) == index.label
    metrics = json.loads(LAYOUT.metrics.read_text())["models"]
    assert metrics["net"]["validation"]["accuracy"] == round(float(right.mean()), 4) >= 0.8
    assert metrics["net"]["validation"]["top5"] >= 0.9
    # One fold is held out of the ways.
    assert metrics["full"]["validation"]["n"] == 6 * EACH // 2
    assert metrics["svm_histogram"]["validation"]["accuracy"] >= 0.8
    confusion = pd.read_csv(LAYOUT.evaluate / "net" / "confusion.csv")
    assert {"tench (n01440764)", "tabby (n02123045)"} < set(confusion.actual)
    assert confusion.actual.nunique() == 6
    assert np.mean(confusion.actual == confusion.predicted) == pytest.approx(right.mean())


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
            r"^mine/n02123394: no image of Persian cat \(n02123394\) found$",
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
def test_photographs_that_are_not_there(
    config: MakeConfig, change: Callable[[], object], message: str
) -> None:
    made = config()
    write(of_synsets(SYNSETS, 2))
    change()
    with pytest.raises(DataError, match=message):
        fetch.run(made, "imagenet_subset")
    assert not LAYOUT.raw.exists()


def test_a_class_of_fewer_pictures_than_folds(config: MakeConfig) -> None:
    made = config()
    write(of_synsets(SYNSETS[1:], 2) | of_synsets(SYNSETS[:1], 1))
    fetch.run(made, "imagenet_subset")
    message = r"^class 'Chihuahua \(n02085620\)' has 1 good training images\. Needed: at least 2$"
    with pytest.raises(DataError, match=message):
        prepare.run(made, "imagenet_subset")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("[n02123045]", r"fetch\.classes is \['n02123045'\]: list should have at least 2 items"),
        ("[n02123045,n02123045]", r"fetch: classes names n02123045 twice$"),
        ("[n02123045,cat]", r"fetch\.classes\.1 is 'cat': string should match pattern"),
        (
            "[n02123045,n00000001]",
            r"^synset n00000001 is none of the 1000 of models/classes/imagenet\.csv$",
        ),
    ],
)
def test_classes_that_are_none(config: MakeConfig, classes: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        fetch.run(config(f"{SECTION}.classes={classes}"), "imagenet_subset")
    assert isinstance(raised.value, RipenError)
