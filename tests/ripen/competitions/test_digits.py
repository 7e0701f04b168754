"""The digits: each image in one file with its own label, and classes dealt alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_digits

from ripen.competitions import digits
from ripen.core.errors import ConfigError
from tests.ripen.conftest import ROOT

PIXELS = [f"pixel_{k}" for k in range(64)]
CLASSES = ["5", "6", "7", "8", "9"]
SOLVER = {"type": "SGD", "base_lr": 0.02, "lr_policy": "fixed", "max_iter": 5}


def settings(**changed: Any) -> dict[str, Any]:
    """Return the settings of conf/, with five iterations of pretraining."""
    values = yaml.safe_load((ROOT / "conf/competition/digits.yaml").read_text())
    found = values["source"]["generate"]
    found["pretrain"]["solver"] |= {"max_iter": 5}
    return found | changed


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the competition's files, of seed 1."""
    folder: Path = tmp_path_factory.mktemp("raw")
    digits.generate(settings(), 1, folder)
    return folder


def read(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}


def pixels(table: pd.DataFrame) -> np.ndarray:
    return table[PIXELS].to_numpy().astype(np.uint8)


def test_every_image_is_in_one_file_with_its_own_label(raw: Path) -> None:
    files = read(raw)
    sizes = {name: len(files[name]) for name in ("train", "more", "test")}
    assert sizes == {"train": 125, "more": 275, "test": 496}
    ids = np.concatenate([files[name].id for name in sizes])
    assert len(set(ids)) == len(ids) == 896
    assert set(ids) <= set(range(1, 1798))
    source = load_digits()
    known = {
        (image.astype(np.uint8).tobytes(), label)
        for image, label in zip(source.images, source.target, strict=True)
    }
    for name in ("train", "more"):
        for image, label in zip(pixels(files[name]), files[name].label, strict=True):
            assert (image.tobytes(), label) in known
    assert "label" not in files["test"]
    assert files["solution"].id.tolist() == files["test"].id.tolist()
    for image, label in zip(pixels(files["test"]), files["solution"].label, strict=True):
        assert (image.tobytes(), label) in known


def test_train_and_more_hold_as_many_of_each_class(raw: Path) -> None:
    files = read(raw)
    for name, each in (("train", 25), ("more", 55)):
        assert files[name].label.value_counts().to_dict() == {int(c): each for c in CLASSES}


def test_a_fifth_of_each_class_validates_and_the_others_take_turns(raw: Path) -> None:
    train = read(raw)["train"]
    kept, held = train[train.fold == -1], train[train.fold == 0]
    assert held.label.value_counts().to_dict() == {int(c): 5 for c in CLASSES}
    assert kept.label.tolist() == [5, 6, 7, 8, 9] * 20
    assert train.fold.tolist() == [-1] * 100 + [0] * 25


def test_a_seed_gives_one_deal_and_one_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt, nets = [], []
    for place, seed in enumerate((1, 1, 2)):
        (tmp_path / str(place) / "raw").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / str(place))  # a net's file holds the path of its rows
        digits.generate(settings(), seed, Path("raw"))
        dealt.append(read(Path("raw"))["train"].id.tolist())
        nets.append(Path("raw/pretrained/model.caffemodel").read_bytes())
    assert dealt[0] == dealt[1] != dealt[2]
    assert nets[0] == nets[1] != nets[2]


def test_the_sample_gives_every_class_the_same(raw: Path) -> None:
    sample = read(raw)["sample_submission"]
    assert sample.columns.tolist() == ["id", *CLASSES]
    assert (sample[CLASSES] == 0.2).all(axis=None)


def test_the_pretrained_net_is_whole(raw: Path) -> None:
    curve = pd.read_csv(raw / "pretrained/curve.csv")
    assert curve.iteration.tolist() == [5]
    assert {"deploy.prototxt", "model.caffemodel", "training.json"} <= {
        path.name for path in (raw / "pretrained").iterdir()
    }


def test_rows_keep_their_order_within_a_class_when_classes_take_turns() -> None:
    labels = np.array([1, 0, 0, 1, 1, 0, 2])
    found = digits.in_turn(np.arange(7), labels)
    assert found.tolist() == [1, 0, 6, 2, 3, 5, 4]
    assert labels[found].tolist() == [0, 1, 2, 0, 1, 0, 1]


def test_a_split_is_stratified_and_complete() -> None:
    labels = np.arange(30) // 6
    kept, held = digits.split(np.arange(30), labels, 1 / 3, seed=1)
    assert sorted([*kept, *held]) == list(range(30))
    assert np.bincount(labels[held]).tolist() == [2] * 5
    assert labels[kept].tolist() == [0, 1, 2, 3, 4] * 4


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.generate.*n_train"):
        digits.generate(settings(n_train=5), 1, tmp_path)
