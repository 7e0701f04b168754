"""Probabilities joined with labels and pictures, by their ids."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ripen.competition.datasets.digits import DATASET
from ripen.competition.datasets.pictures import read_raw
from ripen.competition.datasets.prepared import write_part
from ripen.judge.evaluation.nets import of_photographs, of_small_pictures, trained_folders

import caffe
from caffe.formats import to_text
from ripen.competition import predictions
from ripen.competition.predictions import read_left
from ripen.core.archives import Archive
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.data.decode import decode as read
from ripen.data.sources import builtin
from ripen.judge.evaluation.gallery import photographs, small_pictures
from ripen.judge.evaluation.scored import Truth, join, known_photos
from ripen.nets.zoo import DEFINITIONS, lenet
from ripen.settings.schema import Config
from ripen.stages.prepare import prepare_pictures


def test_rows_are_joined_by_id_and_unknown_parts_are_left_out() -> None:
    truth = Truth(np.array([3, 7, 9]), np.array([0, 1, 1]), np.array([0, 1, 2]))
    said = np.array([[0.1, 0.9], [0.8, 0.2]])
    tables = [predictions.table("net", part, np.array([9, 3]), said) for part in ("a", "test")]
    (one,) = join(pd.concat(tables), {"a": truth})
    assert (one.model, one.part) == ("net", "a")
    assert (one.ids.tolist(), one.labels.tolist()) == ([9, 3], [1, 0])
    assert one.folds is not None
    assert one.folds.tolist() == [2, 0]
    np.testing.assert_array_equal(one.probabilities, said)


def test_training_pictures_are_validated_on_by_folds() -> None:
    index = pd.DataFrame(
        {
            "part": ["train", "train", "train", "test", "test"],
            "label": [0, 1, 1, -1, -1],
            "problem": ["", "is broken", "", "", ""],
            "fold": [1, -1, 0, -1, -1],
        }
    )
    known = known_photos(index)
    assert list(known) == ["validation"]
    truth = known["validation"]
    assert (truth.ids.tolist(), truth.labels.tolist()) == ([0, 2], [0, 1])
    assert truth.folds is not None
    assert truth.folds.tolist() == [1, 0]


def test_test_pictures_whose_labels_are_known() -> None:
    index = pd.DataFrame({"part": ["test"] * 3, "label": [5, 7, 9], "problem": ["", "x", ""]})
    known = known_photos(index)
    assert list(known) == ["test"]
    assert known["test"].ids.tolist() == [0, 2]
    assert known["test"].labels.tolist() == [5, 9]
    assert known["test"].folds is None


def test_what_stages_left_is_read_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("imagenet")
    with pytest.raises(DataError, match=r"data/imagenet/models: no model left a predictions\.csv"):
        read_left(layout)
    rows = predictions.table("squeezenet", "test", np.array([4]), np.array([[0.25, 0.75]]))
    predictions.write(layout.baselines / "predictions.csv", [rows])
    left = read_left(layout)
    assert list(left) == ["baselines"]
    assert left["baselines"].to_dict("list") == rows.to_dict("list")


def test_small_pictures_are_shown_as_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., Config]
) -> None:
    config, layout = make_config(), Layout("digits")
    monkeypatch.chdir(tmp_path)
    layout.raw.mkdir(parents=True)
    layout.prepared.mkdir(parents=True)
    builtin.fetch(DATASET, config.competition.digits.fetch, 1, layout.raw)
    for name, part in prepare_pictures(DATASET, layout.raw, 0.2, 1).items():
        write_part(layout.prepared, name, part)
    raw = read_raw(layout.raw / "test.h5", DATASET, 5)
    with small_pictures(layout) as gallery:
        shown = np.asarray(gallery.picture(int(raw.ids[3])))
        assert gallery.name(int(raw.ids[3])) == f"id {raw.ids[3]}"
    np.testing.assert_array_equal(shown, np.rint(raw.pictures[3] * (255 / 16)))


def test_photographs_are_those_of_the_archives(cats: Callable[..., Config]) -> None:
    cats()
    layout = Layout("cats_vs_dogs")
    index = indexes.read(layout.prepared / "index.csv")
    row = int(index.index[index.name == "train/dog.2.jpg"][0])
    with photographs(layout, index) as gallery:
        assert gallery.name(row) == "train/dog.2.jpg"
        shown = np.asarray(gallery.picture(row))
    with Archive(layout.raw / "dogs-vs-cats.zip") as outer, outer.inner("train.zip") as archive:
        expected = read(archive.read("train/dog.2.jpg"), "dog")
    np.testing.assert_array_equal(shown, np.asarray(expected))


def test_nets_of_small_pictures_begin_with_the_pretrained_but_for_scratch(tmp_path: Path) -> None:
    folders = {"net": tmp_path / "full", "scratch": tmp_path / "scratch"}
    for folder in folders.values():
        folder.mkdir()
        (folder / "deploy.prototxt").write_text(to_text(lenet.lenet8_deploy(5)))
    found = of_small_pictures(folders, tmp_path / "pretrained", DATASET)
    assert found["net"].before == tmp_path / "pretrained" / "model.caffemodel"
    assert found["scratch"].before is None
    assert found["net"].weights == tmp_path / "full" / "model.caffemodel"
    assert (found["net"].input.height, found["net"].input.channel_order) == (8, "grey")
    assert [layer.type for layer in found["net"].deploy.layer][:2] == ["Input", "Convolution"]


def test_of_photographs_what_was_trained_and_takes_one_picture_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cats: Callable[..., Config]
) -> None:
    cats()
    layout = Layout("cats_vs_dogs")
    single = DEFINITIONS["cifar10_quick"].deploy()
    twice = caffe.proto.caffe_pb2.NetParameter()
    twice.CopyFrom(single)
    twice.layer.add(name="again", type="Input", top=["again"])
    for name, net in (("scratch", single), ("net", twice)):
        (layout.train / name).mkdir(parents=True)
        (layout.train / name / "deploy.prototxt").write_text(to_text(net))
        (layout.train / name / "training.json").write_text("{}")
    (layout.train / "scratch" / "curve.csv").write_text("iteration\n")
    made_from = dict.fromkeys(("net", "full", "scratch"), "cifar10_quick")
    found = of_photographs(layout, made_from)
    assert list(found) == ["scratch"]
    assert found["scratch"].before is None
    assert trained_folders(layout) == {"scratch": layout.train / "scratch"}
