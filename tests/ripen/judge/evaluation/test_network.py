import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ripen.competition.datasets import avocado
from ripen.competition.datasets.prepared import Part, write_part, write_scaler
from sklearn.preprocessing import StandardScaler

from ripen.core.layout import Layout
from ripen.judge.evaluation import network
from ripen.learn.models import mlp
from ripen.learn.models.batched import first_weights
from ripen.learn.models.train_net import CaffeNet, fit, write_training
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Config

MakeConfig = Callable[..., Config]


@pytest.fixture
def trained(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Layout, Config]:
    """A folder in which avocado is prepared and a small net is trained, with its history."""
    monkeypatch.chdir(tmp_path)
    config = make_config(
        "net.hidden_layers=[3]", "solver.max_iter=100", "train.check_interval=10", "seed=7"
    )
    layout = Layout("avocado")
    for folder in (layout.prepared, layout.train):
        folder.mkdir(parents=True)
    table = avocado.sample(300, 0.05, np.random.default_rng(0))
    labels = table.pop("ripe").to_numpy()
    scaler = StandardScaler().fit(table.to_numpy())
    data = scaler.transform(table.to_numpy()).astype(np.float32)
    lists = [
        (write_part(layout.prepared, name, Part(ids, data[ids], labels[ids])), len(ids))
        for name, ids in (("train", np.arange(200)), ("validation", np.arange(200, 300)))
    ]
    write_scaler(layout.prepared, avocado.DATASET, scaler)
    deploy = mlp.to_text(mlp.deploy(config.net, 6, 2))
    (layout.train / "deploy.prototxt").write_text(deploy)
    history = layout.train / "history"
    own = config.competition.avocado.train, config.seed, 2
    done = fit(*own, *lists, layout.train, lambda check: None, history=history)
    assert done.best_iteration == 100
    write_training(layout.train, done)
    return layout, config


def test_the_history_is_of_the_start_and_of_ever_rarer_checks(
    trained: tuple[Layout, Config],
) -> None:
    layout, config = trained
    assert {path.name for path in (layout.train / "history").iterdir()} == {
        f"iter_{n}.caffemodel" for n in (0, 10, 20, 40, 80)
    }
    frames = network.snapshots(layout.train)
    assert list(frames) == [
        "before training",
        *(f"after {n} iterations" for n in (10, 20, 40, 80)),
        "as kept, of iteration 100",
    ]
    first = first_weights(config.net, 6, 2, 7)
    for found, expected in zip(frames["before training"], first, strict=True):
        np.testing.assert_array_equal(found[0], expected[0])
    assert not list(layout.train.glob("model_iter*"))


def test_what_is_drawn(trained: tuple[Layout, Config], tmp_path: Path) -> None:
    layout, _ = trained
    names = {f"network{name}.svg" for name in ("", "_before", "_after", "_strip")}
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        network.draw(layout, avocado.DATASET, ("squishiness", "green"), tmp_path / folder)
    found = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(found) == names | {"regions.svg"}
    assert all((tmp_path / "two" / name).read_bytes() == drawn for name, drawn in found.items())
    assert found["network_before.svg"].count(b"<line") == 6 * 3 + 3 * 2
    assert found["network_strip.svg"].count(b"<circle") == 6 * (6 + 3 + 2)
    assert b"<title>green against squishiness" in found["regions.svg"]


def test_regions_are_what_the_net_says(trained: tuple[Layout, Config]) -> None:
    layout, _ = trained
    figure = network.regions(layout, avocado.DATASET, ("red", "height_cm"))
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("red", "height_cm")
    points = np.concatenate([drawn.get_offsets() for drawn in axes.collections[-2:]])
    table = avocado.sample(300, 0.05, np.random.default_rng(0))
    expected = table.iloc[200:][["red", "height_cm"]].to_numpy()
    order = np.lexsort(points.T)
    np.testing.assert_allclose(points[order], expected[np.lexsort(expected.T)], rtol=1e-5)


def test_regions_at_the_medians(trained: tuple[Layout, Config]) -> None:
    layout, _ = trained
    x, y, found = network.landscape(layout, avocado.DATASET, ("red", "height_cm"))
    table = avocado.sample(300, 0.05, np.random.default_rng(0)).drop(columns="ripe")
    row = table.iloc[200:].median()
    row["red"], row["height_cm"] = x[5], y[60]
    scaler = StandardScaler().fit(table.to_numpy())
    scaled = scaler.transform(row.to_numpy()[None]).astype(np.float32)
    net = CaffeNet(layout.train / "deploy.prototxt", layout.train / "model.caffemodel")
    assert found[60, 5] == pytest.approx(net.predict_proba(scaled)[0, 1], rel=1e-4)


def test_a_definition_is_a_graph_of_its_layers(tmp_path: Path) -> None:
    network.draw_definition(DEFINITIONS["lenet"].deploy(), tmp_path)
    graph = (tmp_path / "definition.gv").read_text()
    assert graph.startswith('digraph "LeNet"')
    assert '"data" -> "conv1 (Convolution) kernel size: 5 stride: 1 pad: 0"' in graph
    assert '"ip2" -> "prob (Softmax)"' in graph


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_draws_a_definition(tmp_path: Path) -> None:
    network.draw_definition(DEFINITIONS["lenet"].deploy(), tmp_path)
    command = ["dot", "-Tsvg", str(tmp_path / "definition.gv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ">data<" in done.stdout
