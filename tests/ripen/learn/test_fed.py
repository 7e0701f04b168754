"""A training that is fed from memory: losses, the held-out images, and its end."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caffe
from ripen.core.errors import ConfigError
from ripen.learn.fed import Fed, Feeding, Watched
from ripen.nets.engines.engine import RealEngine, TorchEngine

NET = """
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TRAIN }
  memory_data_param { batch_size: 5 channels: 6 height: 1 width: 1 } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST }
  input_param { shape { dim: [1, 6, 1, 1] } } }
layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
  include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "scores" top: "prob" include { phase: TEST } }
"""


def rows(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    data = np.random.default_rng(seed).normal(size=(n, 6, 1, 1)).astype(np.float32)
    return data, (data[:, 0, 0, 0] > 0).astype(np.int64)


def feeding(folder: Path, engine: Any, size: int = 5, wide: int = 6) -> Feeding:
    """Return a training on 200 rows, 5 in each iteration, that is evaluated on 10 and 7 others."""
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/net.prototxt" snapshot_prefix: "{folder}/fed" base_lr: 0.1 '
        f'momentum: 0.9 lr_policy: "fixed" max_iter: 20 random_seed: 3'
    )
    data, labels = rows(200, 0)

    def batches() -> Iterator[tuple[Any, Any]]:
        for start in range(0, 200, size):
            part = slice(start, start + size)
            yield np.ascontiguousarray(data[part, :wide]), labels[part].astype(np.float32)

    fed: Fed = batches()  # type: ignore[assignment]
    held, known = rows(17, 1)
    return Feeding(engine, fed, folder / "net.prototxt", Watched([held[:10], held[10:]], known))


@pytest.fixture(params=["torch", "real"])
def engine(request: pytest.FixtureRequest) -> Any:
    return TorchEngine() if request.param == "torch" else request.getfixturevalue("real")


def test_losses_are_those_of_the_iterations_and_the_evaluation_that_of_the_weights(
    engine: TorchEngine | RealEngine, tmp_path: Path
) -> None:
    given = feeding(tmp_path, engine)
    solver = given.solver(tmp_path / "solver.prototxt")
    first = solver.advance(8)
    assert len(first["losses"]) == 8
    assert first["seconds"] > 0
    assert first["gradient_norm"] > 0
    last = solver.advance(12)
    assert np.mean(last["losses"]) < np.mean(first["losses"])
    solver.snapshot()
    held, labels = rows(17, 1)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "fed_iter_20.caffemodel"))
    net.blobs["data"].reshape(*held.shape)
    (found,) = net.forward(data=held).values()
    right = found[np.arange(17), labels]
    assert last["validation_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert last["validation_accuracy"] == np.mean(found.argmax(axis=1) == labels) > 0.7


def test_a_loss_that_is_not_finite_ends_the_interval_and_is_not_evaluated(tmp_path: Path) -> None:
    given = feeding(tmp_path, TorchEngine())
    text = (tmp_path / "solver.prototxt").read_text().replace("base_lr: 0.1", "base_lr: 1e38")
    (tmp_path / "solver.prototxt").write_text(text)
    found = given.solver(tmp_path / "solver.prototxt").advance(20)
    assert len(found["losses"]) < 20
    assert not math.isfinite(found["losses"][-1])
    assert math.isnan(found["validation_loss"])
    assert math.isnan(found["validation_accuracy"])


def test_a_start_of_another_shape_is_one_line(tmp_path: Path) -> None:
    given = feeding(tmp_path, TorchEngine())
    other = NET.replace("num_output: 2", "num_output: 3")
    (tmp_path / "other.prototxt").write_text(other)
    start = tmp_path / "start.caffemodel"
    caffe.Net(str(tmp_path / "other.prototxt"), caffe.TEST).save(str(start))
    with pytest.raises(ConfigError, match=r"^the net cannot be trained at this size: .*scores"):
        given.solver(tmp_path / "solver.prototxt", start)
