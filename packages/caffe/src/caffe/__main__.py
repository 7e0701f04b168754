"""Caffe's commands: `python -m caffe <command> [flags]`, installed as `caffe` too.

Exit status: 0, 1 for an error in a file or a net, 2 for an unknown command or flag.
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import caffe
from caffe.errors import CaffeError

# What each does, and the module whose `main(argv)` runs it, imported only when needed.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("train or finetune a model", "caffe.tools.train"),
    "test": ("score a model", "caffe.tools.test"),
    "time": ("benchmark a model's layers", "caffe.tools.time"),
    "device_query": ("show the devices that nets can run on", "caffe.tools.device_query"),
    "parse_log": ("turn a training log into tables and a plot", "caffe.tools.parse_log"),
    "convert_imageset": (
        "write the images of a list into a database",
        "caffe.tools.convert_imageset",
    ),
    "compute_image_mean": ("average a database's images", "caffe.tools.compute_image_mean"),
    "extract_features": ("write a net's blobs into a database", "caffe.tools.extract_features"),
    "upgrade_net_proto_text": ("upgrade a prototxt net", "caffe.tools.upgrade_net_proto_text"),
    "upgrade_net_proto_binary": ("upgrade a binary net", "caffe.tools.upgrade_net_proto_binary"),
    "upgrade_solver_proto_text": (
        "upgrade a solver's prototxt",
        "caffe.tools.upgrade_solver_proto_text",
    ),
    "draw_net": ("draw a net", "caffe.tools.draw_net"),
    "export-onnx": ("write a net as ONNX", "caffe.tools.export_onnx"),
    "import-onnx": ("write an ONNX model as a net", "caffe.tools.import_onnx"),
    "classify": ("classify images", "caffe.tools.classify"),
    "detect": ("classify windows of images", "caffe.tools.detect"),
}
USAGE = "usage: caffe <command> [flags]; caffe <command> -help shows a command's flags\n\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0].lstrip("-") in ("help", "h"):
        sys.stdout.write(USAGE + "".join(f"  {n:26}{c[0]}\n" for n, c in COMMANDS.items()))
        return 0 if arguments else 2
    if arguments[0].lstrip("-") == "version":
        sys.stdout.write(f"caffe version {caffe.__version__}\n")
        return 0
    arguments = _command_first(arguments)
    command = arguments[0]
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}"
        print(f"caffe: unknown command '{command}'; {hint}", file=sys.stderr)
        return 2
    return _run(command, arguments[1:])


def as_tool() -> int:
    """Run the command of the program's own name, such as `convert_imageset`, also as `….bin`."""
    command = Path(sys.argv[0]).name.removesuffix(".bin").removesuffix(".py")
    return _run(command, sys.argv[1:])


def _run(command: str, arguments: Sequence[str]) -> int:
    try:
        return int(importlib.import_module(COMMANDS[command][1]).main(arguments))
    except CaffeError as error:
        print(f"caffe {command}: {_one_line(str(error))}", file=sys.stderr)
    except RecursionError:
        print(f"caffe {command}: a file is nested too deeply", file=sys.stderr)
    except MemoryError:
        print(f"caffe {command}: the machine's memory is not enough", file=sys.stderr)
    except OSError as error:  # of a file that no earlier check covers
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"caffe {command}: {_one_line(reason)}", file=sys.stderr)
    return 1


def _one_line(text: str) -> str:
    """Return an error in one line, without what a terminal would act upon."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _command_first(arguments: list[str]) -> list[str]:
    """Move flags behind the command; gflags allows them before it."""
    if arguments[0].startswith("-"):
        for i, argument in enumerate(arguments):
            if argument in COMMANDS:
                return [argument, *arguments[:i], *arguments[i + 1 :]]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
