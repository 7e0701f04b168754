"""This Caffe against real Caffe 1.0, alternating in one run: training step, inference, one item.

In packages/caffe: python -m benchmarks.caffe_speed --net squeezenet --batch 32
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.nets import NETS
from caffe import NetSpec
from caffe import layers as L
from caffe.formats import to_text
from caffe.real import interpreter

SOURCES = Path(__file__).parents[1] / "src"
SOLVER = 'net: "{}" base_lr: 1e-9 lr_policy: "fixed" momentum: 0.9 weight_decay: 5e-4 max_iter: 1'
ROWS = {"train": "training step", "infer": "inference", "single": "single item"}
WARM_UP = 2  # rounds in which either Caffe still allocates memory


class Engine:
    """A process of one of the two Caffes."""

    def __init__(self, python: str | Path, paths: Sequence[Path], folder: Path, threads: int):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads))
        environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        environment["GLOG_minloglevel"] = "2"
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("caffe_engine.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def call(self, name: str, what: str, least: float) -> Any:
        """Return the result of a method of `caffe_engine.Engine`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": name, "what": what, "least": least}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def write_nets(name: str, batch: int, folder: Path) -> None:
    """Write a net to train on, one for inference, one for a single item, and a solver."""
    shape, scores = NETS[name]
    train = _with_data(batch, shape)
    train.label = L.Input(shape={"dim": [batch]})
    train.loss = L.SoftmaxWithLoss(scores(train), train.label)
    _write(folder / "train.prototxt", train)
    for file, items in (("infer", batch), ("single", 1)):
        net = _with_data(items, shape)
        net.prob = L.Softmax(scores(net))
        _write(folder / f"{file}.prototxt", net)
    (folder / "solver.prototxt").write_text(SOLVER.format(folder / "train.prototxt"))


def _with_data(items: int, shape: Sequence[int]) -> NetSpec:
    net = NetSpec()
    net.data = L.Input(shape={"dim": [items, *shape]})
    return net


def _write(path: Path, net: NetSpec) -> None:
    path.write_text(to_text(net.to_proto()))


def compare(engines: Sequence[Engine], what: str, rounds: int, least: float) -> list[list[float]]:
    """Return the seconds of each engine; they alternate, and the first rounds do not count."""
    pairs = [
        [each.call("seconds", what, least) for each in engines] for _ in range(WARM_UP + rounds)
    ]
    return [list(seconds) for seconds in zip(*pairs[WARM_UP:], strict=True)]


def row(label: str, real: Sequence[float], ours: Sequence[float]) -> str:
    """Return a line of the table: medians, then median and range of the pairs' ratios."""
    ratios = [r / o for r, o in zip(real, ours, strict=True)]
    times = [1e3 * statistics.median(seconds) for seconds in (real, ours)]
    return (
        f"{label:14}{times[0]:12.2f}{times[1]:12.2f}{statistics.median(ratios):9.2f}"
        f"{min(ratios):9.2f} to {max(ratios):.2f}"
    )


def shares(kinds: dict[str, list[float]]) -> list[str]:
    """Return a line for each type of layer, the slowest first."""
    total = sum(map(sum, kinds.values()))
    ordered = sorted(kinds.items(), key=lambda kind: -sum(kind[1]))
    return [
        f"  {kind:18}{100 * sum(seconds) / total:6.1f} %{1e3 * seconds[0]:10.1f}"
        f"{1e3 * seconds[1]:10.1f}"
        for kind, seconds in ordered
        if sum(seconds) > total / 1000
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both engines and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", default="squeezenet", choices=sorted(NETS))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--least", type=float, default=0.5, help="seconds of one measurement, at least"
    )
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_nets(given.net, given.batch, folder)
        real, ours = (
            stack.enter_context(closing(Engine(python, paths, folder, given.threads)))
            for python, paths in ((interpreter(), []), (sys.executable, [SOURCES]))
        )
        print(f"{given.net}, batch {given.batch}, {given.threads} threads, {given.rounds} pairs")
        print(f"{'':14}{'real, ms':>12}{'ours, ms':>12}{'ratio':>9}{'least to most':>17}")
        for what, label in ROWS.items():
            print(row(label, *compare([real, ours], what, given.rounds, given.least)), flush=True)
        for what in ("train", "infer"):
            print(f"\nours, {ROWS[what]}, by type of layer: share, ms forward, ms backward")
            print("\n".join(shares(ours.call("kinds", what, given.least))), flush=True)


if __name__ == "__main__":
    main()
