"""train for photographs: what a head leaves behind, and that it has learnt."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import caffe
from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.data import image_input
from ripen.data.decode import decode as read
from ripen.data.decode import open_archives
from ripen.data.image_input import Input
from ripen.learn.models import served
from ripen.nets.weights import caffemodel
from ripen.settings.schema import Config
from ripen.stages import features, train
from tests.ripen.frozen import ALONE, pipeline, with_weights

LAYOUT = Layout("cats_vs_dogs")
MakeConfig = Callable[..., Config]


def test_heads_of_one_net_and_of_two(cats: MakeConfig) -> None:
    section = "competition.cats_vs_dogs"
    narrow = "{net: squeezenet, layers: [fire5/concat], pools: [AVE], sides: [67], views: mirror}"
    config = cats(
        *ALONE,
        f"{section}.features.nets.squeezenet.sides=[83]",
        f"+{section}.features.nets.narrow={narrow}",
        f"{section}.train.heads.net.nets=[squeezenet,narrow]",
        *(
            f"{section}.train.heads.{name}.solver.{key}"
            for name in ("net", "squeezenet_head")
            for key in ("max_iter=60", "base_lr=2e-4")
        ),
        f"{section}.train.ways.side=83",
        f"{section}.train.ways.batch_size=2",
        f"{section}.train.ways.check_pictures=2",
        f"{section}.train.ways.solver.max_iter=1",
        each=12,
        tests=6,
    )
    with_weights("squeezenet")
    pipeline()
    features.run(config, "cats_vs_dogs")
    train.run(config, "cats_vs_dogs")
    table = predictions.read(LAYOUT.train / "predictions.csv")
    index = indexes.read(LAYOUT.prepared / "index.csv")
    assert set(table["model"]) == {"net", "squeezenet_head", "scratch", "head", "full"}
    for model in ("net", "squeezenet_head"):
        rows = table[table.model == model]
        validation, test = rows[rows.part == "validation"], rows[rows.part == "test"]
        assert validation["id"].tolist() == list(range(24))
        assert test["id"].tolist() == list(range(24, 30))
        found = predictions.probabilities(validation).argmax(axis=1)
        assert np.mean(found == index["label"].iloc[:24]) >= 0.9, model
        # The first test picture is a cat, the next a dog, and so on.
        assert predictions.probabilities(test).argmax(axis=1).tolist() == [0, 1] * 3
    curve = pd.read_csv(LAYOUT.train / "net" / "curve.csv")
    assert curve["iteration"].tolist() == [20, 40, 60]
    # Two folds of equal size: the loss of all rows is the mean of the folds' losses.
    rows = table[(table.model == "net") & (table.part == "validation")]
    right = predictions.probabilities(rows)[np.arange(24), index["label"].iloc[:24]]
    expected = -np.log(right).mean()
    assert curve["validation_loss"].iloc[-1] == pytest.approx(expected, rel=1e-4)
    check_whole_net(table[(table.model == "net") & (table.part == "test")])
    check_served(table[(table.model == "net") & (table.part == "test")])


def check_served(rows: pd.DataFrame) -> None:
    """What MLflow serves says of the files, and of their bytes, what the head has said."""
    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], "attributes.run_name = 'net'")
    folder = Path(client.download_artifacts(run.info.run_id, served.FOLDER, Path.cwd()))
    served.complete(folder, caffemodel)
    model = served.read(folder)
    index = indexes.read(LAYOUT.prepared / "index.csv")
    with open_archives(LAYOUT.raw) as archives:
        content = [file.read() for file in indexes.files(index, archives)[24:]]
    found = model.predict(pd.DataFrame({"content": content}))
    np.testing.assert_allclose(found[["p0", "p1"]], rows[["p0", "p1"]], atol=1e-4)
    Path("one.jpg").write_bytes(content[0])
    path = model.predict(pd.DataFrame({"path": ["one.jpg"]}))
    np.testing.assert_allclose(path, found[:1], atol=1e-4)
    with pytest.raises(DataError, match=r"row 0: none\.jpg is no file"):
        model.predict(pd.DataFrame({"path": ["none.jpg"]}))


def check_whole_net(rows: pd.DataFrame) -> None:
    """The whole net, given the two views in the two sizes, says what the head has said."""
    folder = LAYOUT.train / "net"
    net = caffe.Net(
        str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "model.caffemodel")
    )
    index = indexes.read(LAYOUT.prepared / "index.csv")
    with open_archives(LAYOUT.raw) as archives:
        files = indexes.files(index, archives)
        picture = read(files[24].read(), files[24].name)
    for name, side in (("squeezenet/data", 83), ("narrow/data", 67)):
        wanted = Input(
            height=side, width=side, channel_order="BGR", raw_scale=255.0, mean=[104, 117, 123]
        )
        views = [image_input.values(picture, wanted, mirror=mirror) for mirror in (False, True)]
        net.blobs[name].reshape(2, 3, side, side)
        net.blobs[name].data[...] = np.stack(views)
    net.forward()
    scores = net.blobs["scores"].data.mean(axis=0)
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(rows[["p0", "p1"]].iloc[0], expected, rtol=2e-3)
