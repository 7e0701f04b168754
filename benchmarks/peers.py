"""Inference on the processor beside ONNX Runtime, OpenVINO and OpenCV, which run the same net.

.venv/bin/pip install -e '.[peers]'

Only this benchmark needs them.
python -m benchmarks.peers --nets squeezenet resnet50 --batches 1 32 --threads 2

Every engine gets the net that `caffe export-onnx` writes. They take turns in one run, each after a
pause in which the threads of the one before fall asleep; of several rounds the best counts. Ratios
are peer over ours: above 1 ours is faster. Engines that are not installed are left out.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import caffe
from benchmarks.gpu import definition
from caffe.onnx_export import export
from caffe.proto.caffe_pb2 import TEST

NETS = ("squeezenet", "resnet50", "caffenet", "googlenet", "efficientnet_lite0")
Array = NDArray[np.float32]
Run = Callable[[], Array]


def ours(net: caffe.Net) -> Run:
    """Return a function that runs our net and returns its output."""
    return lambda: next(iter(net.forward().values()))


def onnx_runtime(path: Path, data: Array, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: data})[0]


def openvino(path: Path, data: Array, threads: int) -> Run:
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    model: Any = ov.Core().compile_model(path, "CPU", settings)
    return lambda: model([data])[0]


def opencv(path: Path, data: Array, threads: int) -> Run:
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(str(path))

    def run() -> Array:
        net.setInput(data)
        return net.forward()

    return run


PEERS = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "OpenCV": opencv}


def build(name: str, batch: int) -> tuple[caffe.Net, Array]:
    """Return a net with random weights whose values stay of one size, and an input."""
    caffe.set_random_seed(1)
    net = caffe.Net(definition(name, batch, TEST), TEST)
    for layer in net.layers:
        if layer.type == "BatchNorm":
            for blob, value in zip(layer.blobs, (0, 2, 1), strict=True):
                blob.tensor.fill_(value)
    random = np.random.default_rng(0)
    data = random.normal(size=net.blobs["data"].shape).astype(np.float32)
    net.blobs["data"].data[...] = data
    return net, data


def best(
    runs: dict[str, Run], rounds: int, least: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Return the best seconds of each engine."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(0.2)  # idle threads of the engine before may still spin
            run()
            began = time.perf_counter()
            while time.perf_counter() - began < least:
                before = clock()
                run()
                found[name] = min(found[name], clock() - before)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", type=float, default=0.3, help="seconds of a round, at least")
    parser.add_argument(
        "--processor",
        action="store_true",
        help="count processor seconds, which a busy machine disturbs less; of one thread only",
    )
    given = parser.parse_args(arguments)
    clock = time.process_time if given.processor else time.perf_counter
    caffe.init_log(1)  # warnings only
    torch.set_num_threads(given.threads)
    print(f"{'net, batch':26}{'ours, ms':>10}" + "".join(f"{peer:>14}" for peer in PEERS))
    for name in given.nets:
        for batch in given.batches:
            net, data = build(name, batch)
            runs = {"ours": ours(net)}
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "net.onnx"
                export(net, path)
                for peer, start in PEERS.items():
                    try:
                        runs[peer] = start(path, data, given.threads)
                        np.testing.assert_allclose(runs[peer](), runs["ours"](), 1e-3, 1e-4)
                    except ImportError:
                        runs.pop(peer, None)
                    except Exception as error:  # a peer's own: the others still count
                        print(f"{peer}, {name}: {str(error).splitlines()[0][:80]}")
                        runs.pop(peer, None)
                times = best(runs, given.rounds, given.least, clock)
            line = f"{f'{name}, {batch}':26}{1e3 * times['ours']:10.2f}"
            for peer in PEERS:
                line += f"{times[peer] / times['ours']:14.2f}" if peer in times else f"{'-':>14}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
