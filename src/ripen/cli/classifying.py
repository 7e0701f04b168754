"""Commands of the zoo's nets: classify, import-net."""

import argparse
import math
import os
from pathlib import Path

from ripen.cli.command import command, count


def _classify_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "images",
        nargs="+",
        type=lambda text: text if text == "-" else str(here / text),
        metavar="IMAGE",
        help="a file, a folder, or - for standard input",
    )
    parser.add_argument(
        "--net", default="squeezenet", help="a net of models/ (default: %(default)s)"
    )
    parser.add_argument(
        "--top", type=count, default=5, help="classes to print (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--device",
        type=device,
        default="auto",
        help="auto, cpu, cuda, cuda:1 (default: %(default)s)",
    )
    parser.add_argument(
        "--python-layers",
        action="store_true",
        help="allow Python layers, which run the net's own code",
    )


@command(
    "classify",
    "classify cat.jpg",
    "classify --net efficientnet_lite0 --top 3 images/",
    arguments=_classify_arguments,
)
def classify(chosen: argparse.Namespace) -> int:
    """Classify images with a net of the zoo."""
    # Importing PyTorch takes a second, which the other commands need not wait.
    from ripen.nets import classify as nets
    from ripen.nets.opening import ALLOWED

    if chosen.python_layers:
        os.environ[ALLOWED] = "1"
    return nets.classify(chosen.images, chosen.net, chosen.top, chosen.json, chosen.device)


def device(text: str) -> str:
    """Return the name of a device."""
    from ripen.settings.schema import known_device

    try:
        return known_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _import_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "net",
        metavar="NAME",
        type=lambda text: str(here / text) if text.endswith(".onnx") else text,
        help="a net of models/, a new one with --arch or --weights; or an .onnx model",
    )
    parser.add_argument(
        "--weights",
        type=here.joinpath,
        metavar="FILE",
        help="a local file: .pth, .safetensors, or a whole .onnx model",
    )
    parser.add_argument("--arch", help="a PyTorch network: torchvision:NAME or timm:NAME")
    parser.add_argument("--outputs", type=count, help="number of classes (default: 1000)")
    parser.add_argument(
        "--size", type=count, help="height and width of the input, if not the usual ones"
    )
    for name, help in (("--mean", "mean"), ("--std", "standard deviation")):
        parser.add_argument(
            name,
            type=_numbers,
            metavar="R,G,B",
            help=f"{help} of each channel, of images from 0 to 1, for an .onnx model "
            "(default: ImageNet's)",
        )


def _numbers(text: str) -> list[float]:
    """Return numbers separated by commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"'{text}': allowed: numbers, 0.5,0.5,0.5")
    return found


@command(
    "import-net",
    "import-net efficientnet_lite0",
    "import-net my_resnet --arch torchvision:resnet18 --weights resnet18.pth",
    "import-net model.onnx",
    "import-net my_net --weights model.onnx --mean 0 --std 1",
    arguments=_import_arguments,
)
def import_net(chosen: argparse.Namespace) -> int:
    """Import published weights, a PyTorch network or an ONNX model as a net for Caffe."""
    # Importing PyTorch takes a second, which the other commands need not wait.
    from ripen.nets.importing.import_net import import_net as nets

    return nets(
        chosen.net,
        chosen.weights,
        chosen.arch,
        chosen.outputs,
        chosen.size,
        chosen.mean,
        chosen.std,
    )
