"""The pipeline's nets on a GPU beside the processor: are they right, and how fast are they?

python -m benchmarks.gpu_pipeline                    (in the repository's root, about a minute)
python -m benchmarks.gpu_pipeline --parts features   (features, head, finetune, tests)
python -m benchmarks.gpu_pipeline --device cpu       (the script itself, where there is no GPU)

Made-up images and random weights: nothing is downloaded. It needs what `ripen.learn` imports, no
Hydra, DVC, MLflow or Optuna; pytest for the tests.
"""

import argparse
import io
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import caffe
from benchmarks.gpu import run_tests
from caffe.proto.caffe_pb2 import TEST, NetParameter
from ripen.competition.tasks import TASKS
from ripen.data.decode import File
from ripen.learn.estimator import Rows, Work, estimator
from ripen.learn.image_files import Images
from ripen.nets import frozen
from ripen.nets.contract import contract
from ripen.nets.device import on, workers
from ripen.nets.engines.engine import TorchEngine
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import FrozenNet

PARTS = ("features", "head", "finetune", "tests")
FULL = 37_500  # images of cats_vs_dogs at Kaggle's size
DISTINCT = 120  # images, which are used again under other names
TOLERANCE = 2e-3  # of the largest number: rounding only, after some iterations
NETS = {"efficientnet_lite2": ("pool", 260), "squeezenet": ("fire9/concat", 227)}
FINETUNE: dict[str, Any] = {
    "estimator": "finetune_images",
    "inputs": ["images"],
    "layers": "all",
    "pretrained": True,
    "rate": 0.01,
    "finetune": {
        "from": "squeezenet", "replace": ["conv_final"], "freeze_until": "fire9/concat",
        "lr_mult_new": 10.0,
    },
    "side": 131,
    "batch_size": 8,
    "augment": {
        "mirror": True, "crop": "area", "min_area": 0.5, "max_aspect": 1.33,
        "brightness": 0.2, "contrast": 0.2, "saturation": 0.2,
    },
    "views": "mirror",
    "class_balance": False,
    "check_interval": 10,
    "check_images": 32,
    "solver": {
        "base_lr": 1.0e-4, "lr_policy": "fixed", "momentum": 0.9, "iter_size": 4, "max_iter": 10,
    },
}  # fmt: skip


def made(n: int) -> list[File]:
    """Return image files of two classes in turn, 500 by 375 pixels as Kaggle's are."""
    rng, contents = np.random.default_rng(0), []
    for k in range(DISTINCT):
        coarse = rng.integers(0, 200, (9, 12, 3), np.uint8)
        coarse[..., 2 * (k % 2)] += 55
        image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        noise = rng.integers(0, 8, (375, 500, 3), np.uint8)
        Image.fromarray(np.asarray(image) // 2 + noise).save(stream, "JPEG", quality=90)
        contents.append(stream.getvalue())
    return [File(f"{k}.jpg", lambda k=k: contents[k % DISTINCT]) for k in range(n)]  # type: ignore[misc]


def weighted(net: NetParameter) -> NetParameter:
    """Return a deploy net whose weights are random, with no dropout: devices draw other numbers."""
    for layer in net.layer:
        for kind in ("convolution_param", "inner_product_param"):
            if layer.HasField(kind):
                getattr(layer, kind).weight_filler.type = "msra"
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    return net


@contextmanager
def zoo() -> Iterator[None]:
    """Work in a folder with the contracts, and random weights of SqueezeNet."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for readme in sorted(here.glob("models/*/readme.md")):
            to = Path(folder) / readme.relative_to(here)
            to.parent.mkdir(parents=True)
            shutil.copy(readme, to)
        os.chdir(folder)
        try:
            whole = DEFINITIONS["squeezenet"]
            DEFINITIONS._entries["squeezenet"] = replace(
                whole, deploy=lambda: weighted(whole.deploy()), train_val=None
            )
            caffe.set_random_seed(1)
            net = caffe.Net(DEFINITIONS["squeezenet"].deploy(), caffe.TEST)
            net.save("models/squeezenet/squeezenet.caffemodel")
            yield
        finally:
            os.chdir(here)


def both(compute: Callable[[str], tuple[NDArray[Any], float]], device: str) -> str:
    """Return a line that compares a device's numbers and seconds with the processor's."""
    (cpu, slow), (other, fast) = compute("cpu"), compute(device)
    off = float(np.abs(other - cpu).max() / np.abs(cpu).max())
    good = "ok" if off < TOLERANCE else "TOO MUCH"
    return f"differs by {off:.1e} ({good}), {slow:.2f} s and {fast:.2f} s: {slow / fast:.1f} times"


def features(device: str, n: int) -> None:
    """Print agreement of features, and how many images a second a device takes."""
    files = made(n)
    for name, (layer, side) in NETS.items():
        settings = FrozenNet(net=name, layers=[layer], pools=["AVE"], sides=[side], views="mirror")
        caffe.set_random_seed(1)
        net = caffe.Net(weighted(frozen.definition(settings)), TEST)
        for each in net.layers:
            if each.type == "BatchNorm":
                for blob, value in zip(each.blobs, (0, 1, 1), strict=True):
                    blob.data[...] = value
        opened = net, contract(name).input

        def of(
            some: Sequence[File],
            where: str,
            batch: int,
            settings: Any = settings,
            opened: Any = opened,
        ) -> tuple[NDArray[Any], float, Any]:
            with on(where):
                found = frozen.extract(
                    opened, settings, 0.8, "float32", some, batch, os.cpu_count() or 1
                )
                began = time.perf_counter()
                return found.array(), time.perf_counter() - began, found.waits

        def few(where: str, of: Any = of) -> tuple[NDArray[Any], float]:
            found, passed, _ = of(files[:32], where, 16)
            return found, passed

        print(f"{name}: {both(few, device)}", flush=True)
        _, passed, waits = of(files, device, 128)
        rate = len(files) / passed
        print(f"{name}: {rate:.0f} images/s, {FULL} in {FULL / rate:.0f} s; {waits}", flush=True)


def work(folder: Path, task: str = "binary") -> Work:
    """Return what a fit needs beside its rows."""
    folder.mkdir(exist_ok=True)
    section: Any = SimpleNamespace(device="cpu", features={})
    encode = lambda *_, **__: None  # noqa: E731
    return Work(
        "pets", TASKS[task], 2, 3, os.cpu_count() or 1, TorchEngine, folder, encode, section
    )


def head(device: str, n: int) -> None:
    """Print agreement and time of a head, trained on features of two views."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (n, 1280)).astype(np.float32)
    y = (x[:, :9].sum(axis=1) > 0).astype(np.int64)
    solver = {"base_lr": 0.02, "lr_policy": "fixed", "momentum": 0.9, "max_iter": 200}
    settings = estimator(
        {"estimator": "head", "inputs": ["pool"], "batch_size": 5000, "check_interval": 50,
         "solver": solver | {"weight_decay": 0.05}},
        "head",
    )  # fmt: skip

    def fitted(where: str) -> tuple[NDArray[Any], float]:
        with on(where):
            began = time.perf_counter()
            cut = 4 * n // 5
            found = settings.fit(
                Rows(x[:cut], y[:cut]), Rows(x[cut:], y[cut:]), work(Path(f"head_{where}"))
            )
            return found.predict(x[cut:]), time.perf_counter() - began

    print(f"head on {n} rows: {both(fitted, device)}", flush=True)


def finetune(device: str, n: int) -> None:
    """Print agreement and time of some iterations of fine-tuning."""
    files = made(min(n, 320))
    y = np.arange(len(files)) % 2
    settings = estimator(FINETUNE, "finetune")
    images = Images(files)

    def fitted(where: str) -> tuple[NDArray[Any], float]:
        rows = np.arange(len(files))
        train, held = rows[: len(rows) - 64], rows[len(rows) - 64 :]
        with on(where):
            began = time.perf_counter()
            found = settings.fit(
                Rows(images.take(train), y[train]),
                Rows(images.take(held), y[held]),
                work(Path(f"finetune_{where}")),
            )
            outputs = found.predict(images.take(held))
            return outputs, time.perf_counter() - began

    print(f"fine-tuning SqueezeNet, 10 iterations of 32: {both(fitted, device)}", flush=True)


def tests(device: str, n: int) -> None:
    """Run the layer tests that once failed on a GPU."""
    names = ("conv", "lstm", "norm", "pool", "python", "recurrent")
    files = [*(f"layers/test_{name}.py" for name in names), "test_device.py"]
    run_tests(files, device, "line", limit=45)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=3000)
    given = parser.parse_args(arguments)
    card = torch.cuda.get_device_name() if given.device.startswith("cuda") else "no GPU"
    with on(given.device):
        print(f"torch {torch.__version__}, {card}, {workers()} processes decode", flush=True)
    logging.getLogger("caffe").setLevel(logging.ERROR)
    # The processes that decode would import this module, and torch with it. A stage's do not.
    started = sys.modules["__main__"]
    started.__spec__, started.__file__ = None, None
    for part in given.parts:
        began = time.perf_counter()
        print(f"\n== {part}", flush=True)
        try:
            if part == "tests":
                tests(given.device, given.images)
            else:
                with zoo():
                    {"features": features, "head": head, "finetune": finetune}[part](
                        given.device, given.images
                    )
        except Exception:  # the other parts are worth their time
            traceback.print_exc()
        print(f"({part}: {time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
