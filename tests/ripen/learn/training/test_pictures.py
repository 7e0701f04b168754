from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caffe
from ripen.competition.datasets.digits import DATASET
from ripen.competition.datasets.prepared import Part, write_part
from ripen.data.sources import builtin
from ripen.learn.training.pictures import Task, Way, learning_curve, pretrain, train_way, ways_from
from ripen.nets.engines.engine import TorchEngine
from ripen.settings.schema import Config
from ripen.stages.prepare import prepare_pictures

MakeConfig = Callable[..., Config]
SEEDS = (0, 1, 2, 3)


def prepared(config: Config, folder: Path, seed: int) -> dict[str, Part]:
    """Fetch and prepare the digits; write the parts into the folder."""
    (folder / "raw").mkdir()
    builtin.fetch(DATASET, config.competition.digits.fetch, seed, folder / "raw")
    parts = prepare_pictures(DATASET, folder / "raw", 0.2, seed)
    for name, part in parts.items():
        write_part(folder, name, part)
    return parts


def accuracies(config: Config, folder: Path, sizes: list[int], seed: int) -> dict[str, list[float]]:
    """Return the test accuracy of each way at each size."""
    parts = prepared(config, folder, seed)
    task = Task(config.competition.digits.train, DATASET, seed, TorchEngine())
    rows = learning_curve(
        ways_from(task, pretrain(task, folder, folder / "pretrained")),
        task,
        (parts["train"].join(parts["more"]), parts["validation"], parts["test"]),
        sizes,
    )
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(str(row["model"]), []).append(float(row["accuracy"]))
    return found


def test_at_the_same_budget_the_pretrained_net_is_ahead(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    means: dict[str, np.ndarray] = {}
    for seed in SEEDS:
        (tmp_path / str(seed)).mkdir()
        for way, found in accuracies(make_config(), tmp_path / str(seed), [50, 100], seed).items():
            means[way] = means.get(way, np.zeros(2)) + np.array(found) / len(SEEDS)
    # Measured 0.878 and 0.919, against 0.826 and 0.834.
    assert means["net"][0] > means["scratch"][0] + 0.03
    assert means["net"][1] > means["scratch"][1] + 0.06
    assert means["net"][1] > means["head"][1] + 0.06


@pytest.mark.parametrize("name", ["net", "head", "scratch"])
def test_what_each_way_begins_with_and_leaves(
    make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    config = make_config(
        "competition.digits.train.pretrain.max_iter=20",
        "competition.digits.train.solver.max_iter=5",
    )
    prepared(config, tmp_path, 0)
    task = Task(config.competition.digits.train, DATASET, 0, TorchEngine())
    start = pretrain(task, tmp_path, tmp_path / "pretrained")
    way: Way = ways_from(task, start)[name]
    (tmp_path / name).mkdir()
    lists = (tmp_path / "train.txt", 25), (tmp_path / "validation.txt", 25)
    training = train_way(way, replace(task, seed=1), lists, tmp_path / name)
    assert training.iterations == 5
    first = caffe.Net(str(tmp_path / "pretrained" / "deploy.prototxt"), str(start), caffe.TEST)
    last = caffe.Net(
        str(tmp_path / name / "deploy.prototxt"),
        str(tmp_path / name / "model.caffemodel"),
        caffe.TEST,
    )
    moved = {}  # in standard deviations of the weights it would begin with
    for layer in ("conv1", "conv2", "ip1"):
        before, after = (net.params[layer][0].data for net in (first, last))
        moved[layer] = float(np.abs(after - before).mean() / before.std())
    if name == "head":
        assert moved == {"conv1": 0, "conv2": 0, "ip1": 0}
    elif name == "net":
        assert all(0 < change < 0.2 for change in moved.values()), moved
    else:
        assert all(change > 0.7 for change in moved.values()), moved
    assert list(last.params)[-1] == "ip2_5to9"
