"""Caffe's nets on a GPU: are they right, and how fast are they beside torchvision's?

python -m benchmarks.gpu                 (in the repository's root, under 5 minutes)
python -m benchmarks.gpu --parts table   (tests, agreement, table, tf32, profile, features)

Everything is in float32; TF32 is off for both sides. It needs torch, torchvision, numpy, h5py,
protobuf, lmdb, psutil, pillow and scipy; pytest for the tests.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence

import numpy as np
import torch

import caffe
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from ripen.nets.zoo import DEFINITIONS

# Ours, torchvision's, and the batch. AlexNet is CaffeNet without groups and LRN.
NETS = (
    ("resnet50", "resnet50", 64),
    ("squeezenet", "squeezenet1_0", 256),
    ("vgg16", "vgg16", 64),
    ("googlenet", "googlenet", 128),
    ("caffenet", "alexnet", 256),
)
PARTS = ("tests", "agreement", "table", "tf32", "profile", "features")
ROUNDS, LEAST = 3, 0.3  # rounds of a measurement, and the least seconds of each


def definition(name: str, batch: int, phase: int) -> NetParameter:
    """Return a net of the zoo; in training with a loss, and with batch statistics."""
    net = NetParameter()
    net.CopyFrom(DEFINITIONS[name].deploy())
    net.layer[0].input_param.shape[0].dim[0] = batch
    for layer in net.layer:
        layer.batch_norm_param.ClearField("use_global_stats")
        for kind, param in (
            ("Convolution", layer.convolution_param),
            ("InnerProduct", layer.inner_product_param),
        ):
            if layer.type == kind:
                param.weight_filler.type = "msra"
    if phase == TRAIN:
        last = net.layer[-1]
        last.type = "SoftmaxWithLoss"
        last.bottom.append("label")
        label = net.layer.add(name="label", type="Input", top=["label"])
        label.input_param.shape.add(dim=[batch])
        layers = [net.layer[-1], *net.layer[:-1]]
        copies = [type(each).FromString(each.SerializeToString()) for each in layers]
        del net.layer[:]
        net.layer.extend(copies)
    return net


def ours(name: str, batch: int, phase: int) -> tuple[caffe.Net, Callable[[], None]]:
    """Return a net of ours, and a function that runs it once."""
    caffe.set_random_seed(1)
    net = caffe.Net(definition(name, batch, phase), phase)
    for layer in net.layers:
        if layer.type == "BatchNorm":
            for blob, value in zip(layer.blobs, (0, 1, 1), strict=True):
                blob.tensor.fill_(value)
    random = np.random.default_rng(0)
    shape = net.blobs["data"].shape
    net.blobs["data"].data[...] = random.normal(size=shape).astype(np.float32) * 50

    def run() -> None:
        if phase == TRAIN:
            net.clear_param_diffs()
            net.forward_backward()
        else:
            net.run_forward()

    return net, run


def theirs(name: str, batch: int, size: int, phase: int) -> Callable[[], None]:
    """Return a function that runs torchvision's net once."""
    import torchvision  # only here: the tests need none

    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(**more).cuda().train(phase == TRAIN)
    data = torch.randn(batch, 3, size, size, device="cuda")
    labels = torch.zeros(batch, dtype=torch.long, device="cuda")

    def run() -> None:
        if phase == TRAIN:
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(data), labels).backward()
        else:
            with torch.inference_mode():
                net(data)

    return run


def seconds(runs: Sequence[Callable[[], None]]) -> list[float]:
    """Return the median seconds of each function; they take turns."""
    found: list[list[float]] = [[] for _ in runs]
    for run in runs:
        for _ in range(3):
            run()
    for _ in range(ROUNDS):
        for run, times in zip(runs, found, strict=True):
            torch.cuda.synchronize()
            count, began, passed = 0, time.perf_counter(), 0.0
            while passed < LEAST:
                for _ in range(3):
                    run()
                torch.cuda.synchronize()
                count += 3
                passed = time.perf_counter() - began
            times.append(passed / count)
    return [statistics.median(times) for times in found]


def table() -> None:
    """Print milliseconds an image and ratios; above 1 ours is faster."""
    print(f"{'':24}{'inference':>32}{'forward + backward':>40}")
    print(f"{'net, batch':24}" + f"{'ours, ms':>12}{'theirs':>10}{'ratio':>10}     " * 2)
    for name, other, batch in NETS:
        parts = []
        for phase in (TEST, TRAIN):
            net, run = ours(name, batch, phase)
            size = net.blobs["data"].shape[-1]
            mine, others = seconds([run, theirs(other, batch, size, phase)])
            ms = [1e3 * each / batch for each in (mine, others)]
            parts.append(f"{ms[0]:12.4f}{ms[1]:10.4f}{ms[1] / ms[0]:10.2f}     ")
            del net, run
            torch.cuda.empty_cache()
        print(f"{name + ', ' + str(batch):24}" + "".join(parts), flush=True)


def agreement() -> None:
    """Print how much scores and gradients differ from the processor's, of their largest."""
    print(f"{'net':24}{'scores':>12}{'the first layer, gradient':>32}{'twice the same':>18}")
    for name in ("resnet50", "squeezenet", "googlenet", "caffenet"):
        found = []
        for gpu in (False, True, True):
            (caffe.set_mode_gpu if gpu else caffe.set_mode_cpu)()
            net, _ = ours(name, 2, TEST)
            scores = net.layers[-1].param.bottom[0]
            net.run_forward()
            learner, run = ours(name, 2, TRAIN)
            for layer in learner.layers:
                if layer.type == "Dropout":
                    layer.phase = TEST  # the devices draw other numbers
            run()
            first = next(iter(learner.params.values()))[0]
            found.append((net.blobs[scores].data.copy(), first.diff.copy()))
        cpu, once, again = found
        off = [np.abs(b - a).max() / np.abs(a).max() for a, b in zip(cpu, once, strict=True)]
        same = all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
        print(f"{name:24}{off[0]:12.1e}{off[1]:32.1e}{same!s:>18}", flush=True)


def tf32() -> None:
    """Print what TF32 would bring and cost: ratios of time, and how far it moves the numbers."""
    print(f"{'net, batch':24}{'faster, inference':>20}{'training':>12}{'gradient moves by':>20}")
    for name, _, batch in NETS:
        ratios, gradients = [], []
        for phase in (TEST, TRAIN):
            net, run = ours(name, batch, phase)
            times = []
            for allowed in (False, True):
                torch.backends.cudnn.allow_tf32 = allowed
                times += seconds([run])
                if phase == TRAIN:
                    caffe.set_random_seed(2)  # the same masks of dropout
                    run()
                    gradients.append(next(iter(net.params.values()))[0].diff.copy())
            torch.backends.cudnn.allow_tf32 = False
            ratios.append(times[0] / times[1])
            del net, run
            torch.cuda.empty_cache()
        moved = np.abs(gradients[1] - gradients[0]).max() / np.abs(gradients[0]).max()
        line = f"{ratios[0]:20.2f}{ratios[1]:12.2f}{moved:20.1%}"
        print(f"{name + ', ' + str(batch):24}{line}", flush=True)


def profile() -> None:
    """Print the slowest kernels of each net, and the processor's time beside them."""
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    for name, phase in (("resnet50", TRAIN), ("caffenet", TEST), ("googlenet", TEST)):
        _, run = ours(name, 64, phase)
        for _ in range(3):
            run()
        with torch.profiler.profile(activities=kinds) as profiled:
            run()
            torch.cuda.synchronize()
        averages = profiled.key_averages()
        text = averages.table("self_cuda_time_total", row_limit=12, max_name_column_width=48)
        kept = [line[:49] + line[-98:] for line in text.splitlines()]
        print(f"{name}, {'training' if phase == TRAIN else 'inference'}", *kept, sep="\n")


def features() -> None:
    """Print images a second of EfficientNet-lite's features, from arrays in host memory."""
    batch, count = 256, 16
    net = caffe.Net(definition("efficientnet_lite0", batch, TEST), TEST)
    random = np.random.default_rng(0)
    values = random.normal(size=net.blobs["data"].shape).astype(np.float32)
    before = net.outputs[0]
    began = 0.0
    for i in range(count + 2):
        if i == 2:
            torch.cuda.synchronize()
            began = time.perf_counter()
        net.blobs["data"].data[...] = values
        net.run_forward()
        net.blobs[before].data.sum()
    passed = time.perf_counter() - began
    print(f"EfficientNet-lite0, from arrays to scores: {count * batch / passed:.0f} images/s; ")
    print(f"37,500 images of cats_vs_dogs: {37500 * passed / count / batch:.0f} s", flush=True)


def tests() -> None:
    """Run the layer tests on the GPU."""
    run_tests(["layers", "test_device.py", "test_folded.py"], "cuda", "short")


def run_tests(names: Sequence[str], device: str, tracebacks: str, limit: int | None = None) -> None:
    """Run tests of `packages/caffe/tests/caffe` on a device, for some seconds at most."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", f"--tb={tracebacks}"),
        *("-p", "no:cacheprovider", "-p", "no:benchmark"),
        *(f"packages/caffe/tests/caffe/{name}" for name in names),
    ]
    environment = os.environ | {"CAFFE_TEST_DEVICE": device}
    try:
        subprocess.run(command, check=False, env=environment, timeout=limit)
    except subprocess.TimeoutExpired:
        print(f"the tests were stopped after {limit} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args(arguments)
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}", flush=True)
    for part in given.parts:
        began = time.perf_counter()
        print(f"\n== {part}", flush=True)
        (caffe.set_mode_cpu if part == "tests" else caffe.set_mode_gpu)()
        try:
            globals()[part]()
        except Exception:  # the other parts are worth their time
            traceback.print_exc()
        print(f"({part}: {time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
