"""Pretrained nets on ImageNet's photographs, as a stage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ripen.competition import predictions
from ripen.core.archives import Archive
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.data.decode import decode
from ripen.nets.classify import Classifier
from ripen.settings.schema import Config
from ripen.stages import baselines, prepare
from tests.ripen.conftest import ROOT
from tests.ripen.photographs import zipped

DVC = """
stages:
  baselines:
    matrix: {competition: "${graph.baselines}"}
    cmd: baselines
    deps: []
"""
NAMES = ("n01514859_hen.JPEG", "n01806143_peacock.JPEG", "n02510455_giant_panda.JPEG")


@pytest.fixture
def photographs(mirror: Path) -> dict[str, bytes]:
    folder = mirror / "EliSchwartz/imagenet-sample-images"
    chosen = sorted(path for path in folder.iterdir() if path.name in NAMES)
    return {path.name: path.read_bytes() for path in chosen}


def test_a_net_says_what_ripen_classify_says(
    photographs: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_config: Callable[..., Config],
) -> None:
    config = make_config(
        "competition.imagenet.baselines.nets=[squeezenet]",
        "competition.imagenet.baselines.batch_size=2",
        "competition.imagenet.prepare.max_broken=0.25",
    )
    layout = Layout("imagenet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    layout.raw.mkdir(parents=True)
    broken = {"n01440764_tench.JPEG": b"no picture"}
    (layout.raw / "photographs.zip").write_bytes(zipped(photographs | broken))
    prepare.run(config, "imagenet")
    baselines.run(config, "imagenet")

    table = predictions.read(layout.baselines / "predictions.csv")
    index = indexes.read(layout.prepared / "index.csv")
    assert set(table["model"]) == {"squeezenet"}
    assert set(table["part"]) == {"test"}
    assert index.loc[table["id"], "name"].tolist() == sorted(photographs)
    found = predictions.probabilities(table)
    assert found.shape == (len(photographs), 1000)
    classifier = Classifier("squeezenet")
    with Archive(layout.raw / "photographs.zip") as archive:
        for row, name in zip(found, sorted(photographs), strict=True):
            guesses = classifier.classify(decode(archive.read(name), name), 5)
            best = np.sort(row)[::-1][:5]
            np.testing.assert_allclose(best, [g.probability for g in guesses], atol=2e-6)
    labels = index.loc[table["id"], "label"].to_numpy()
    assert found.argmax(1)[-1] == labels[-1]  # it knows the panda
