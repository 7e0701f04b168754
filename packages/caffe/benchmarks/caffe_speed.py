"""Our Caffe against real Caffe 1.0, in turn in one run: training step, inference, single item.

python -m benchmarks.caffe_speed --net squeezenet --batch 32
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

from google.protobuf import text_format

from caffe.proto.caffe_pb2 import NetParameter
from ripen.engines.environment import interpreter
from ripen.zoo import DEFINITIONS

ROOT = Path(__file__).parents[1]
NETS = sorted(name for name, made in DEFINITIONS.items() if made.train_val)
NOT_TIMED = {"Data", "ImageData", "HDF5Data", "Accuracy"}
SOLVER = 'net: "{}" base_lr: 1e-9 lr_policy: "fixed" momentum: 0.9 weight_decay: 5e-4 max_iter: 1'
ROWS = {"train": "training step", "infer": "inference", "single": "single item"}
WARM_UP = 2  # rounds until memory is there


class Engine:
    """A process with one of the two Caffes."""

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

    def ask(self, call: str, what: str, least: float) -> Any:
        """Return what the engine's method of this name gives."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "what": what, "least": least}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def write_nets(name: str, batch: int, folder: Path) -> None:
    """Write a net of the zoo with plain inputs in place of data, and a solver."""
    definition = DEFINITIONS[name]
    assert definition.train_val is not None
    deploy, learns = definition.deploy(), definition.train_val()
    train = NetParameter(name=name)
    shape = deploy.layer[0].input_param.shape[0].dim[1:]
    for top, dims in (("data", [batch, *shape]), ("label", [batch])):
        train.layer.add(name=top, type="Input", top=[top]).input_param.shape.add(dim=dims)
    train.layer.extend(layer for layer in learns.layer if layer.type not in NOT_TIMED)
    _write(folder / "train.prototxt", train)
    for file, items in (("infer", batch), ("single", 1)):
        deploy.layer[0].input_param.shape[0].dim[0] = items
        _write(folder / f"{file}.prototxt", deploy)
    (folder / "solver.prototxt").write_text(SOLVER.format(folder / "train.prototxt"))


def _write(path: Path, net: NetParameter) -> None:
    path.write_text(text_format.MessageToString(net))


def compare(engines: Sequence[Engine], what: str, rounds: int, least: float) -> list[list[float]]:
    """Return the seconds of each, run in turn; the first rounds do not count."""
    pairs = [
        [each.ask("seconds", what, least) for each in engines] for _ in range(WARM_UP + rounds)
    ]
    return [list(seconds) for seconds in zip(*pairs[WARM_UP:], strict=True)]


def row(label: str, real: Sequence[float], ours: Sequence[float]) -> str:
    """Return a line of the table: medians, and the ratios pair by pair."""
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
    parser.add_argument("--net", default="squeezenet", choices=NETS, help="a net of the zoo")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=0.5, help="seconds of one measurement")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_nets(given.net, given.batch, folder)
        real, ours = (
            stack.enter_context(closing(Engine(python, paths, folder, given.threads)))
            for python, paths in ((interpreter(), []), (sys.executable, [ROOT / "src"]))
        )
        print(f"{given.net}, batch {given.batch}, {given.threads} threads, {given.rounds} pairs")
        print(f"{'':14}{'real, ms':>12}{'ours, ms':>12}{'ratio':>9}{'least to most':>17}")
        for what, label in ROWS.items():
            print(row(label, *compare([real, ours], what, given.rounds, given.least)), flush=True)
        for what in ("train", "infer"):
            print(f"\nours, {ROWS[what]}, by type of layer: share, ms forward, ms backward")
            print("\n".join(shares(ours.ask("kinds", what, given.least))), flush=True)


if __name__ == "__main__":
    main()
