"""Flags as gflags reads them: `-solver x`, `--solver=x`, `-verbose`, `--noverbose`.

>>> parser = Flags("train", "Train a net.")
>>> parser.add("solver", "", "the solver's prototxt")
>>> parser.parse(["-solver", "s.prototxt"]).solver
's.prototxt'
"""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from caffe import glog

_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


class Flags(argparse.ArgumentParser):
    """The flags of one command. Positional arguments are added as in argparse.

    Every command has glog's own flags too: the level of the log, and its folder.

    Parameters
    ----------
    command : str
    description : str
        One line.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(
            prog=f"caffe {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        self._flags: dict[str, object] = {"help": False, "h": False}
        self.add("logtostderr", False, "ignored: the log always goes to standard error")
        self.add("alsologtostderr", True, "ignored: the log always goes to standard error")
        self.add("minloglevel", glog.level_of_environment(), "0 info, 1 warning, 2 error, 3 none")
        self.add("v", 0, "ignored: there are no lines for debugging")
        self.add("stderrthreshold", 2, "ignored: the log always goes to standard error")
        self.add("colorlogtostderr", False, "ignored: the log has no colours")
        folder = os.environ.get("GLOG_log_dir", "")  # noqa: SIM112 - its name
        self.add("log_dir", folder, "folder for a log file, in addition to standard error")

    def add(self, name: str, default: bool | int | float | str, help: str) -> None:
        """Add a flag; its type is that of the default."""
        self._flags[name] = default
        kind = _boolean if isinstance(default, bool) else type(default)
        self.add_argument(f"--{name}", type=kind, default=default, help=help)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the flags' values, and start the log accordingly.

        An unknown flag, a missing value or one of the wrong type ends the process with one line on
        standard error and status 2.
        """
        found = self.parse_args(self._as_argparse(list(argv)))
        glog.init_log(found.minloglevel)
        if found.log_dir:
            glog.log_to_folder(found.log_dir, "caffe")
        return found

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}\n")
        sys.exit(2)

    def _as_argparse(self, argv: list[str]) -> list[str]:
        """Rewrite every flag as `--name=value`."""
        written: list[str] = []
        while argv:
            argument = argv.pop(0)
            if argument == "--":
                return [*written, "--", *argv]
            if not argument.startswith("-") or argument == "-":
                written.append(argument)
                continue
            name, given, value = argument.lstrip("-").partition("=")
            name = name.replace("-", "_")
            if name.startswith("no") and isinstance(self._flags.get(name[2:]), bool):
                name, given, value = name[2:], "=", "false"
            if name not in self._flags:
                self.error(f"unknown flag '{argument.partition('=')[0]}'; {self._near(name)}")
            if name in ("help", "h"):
                written.append("--help")
            elif given or isinstance(self._flags[name], bool):
                written.append(f"--{name}={value if given else 'true'}")
            elif argv:
                written.append(f"--{name}={argv.pop(0)}")
            else:
                self.error(f"flag '--{name}' needs a value")
        return written

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._flags, n=1, cutoff=0.5)
        known = ", ".join(f"--{flag}" for flag in self._flags if flag != "h")
        return f"did you mean --{near[0]}?" if near else f"known: {known}"


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return text.lower() in _TRUE


def add_net_flags(flags: Flags) -> None:
    """Add the flags of Caffe's own program; each of its commands accepts all of them."""
    flags.add("strict", False, "refuse fields and types of forks, as real Caffe does")
    flags.add("gpu", "", "index of the CUDA device to compute on; the CPU if empty")
    flags.add("solver", "", "the solver's prototxt")
    flags.add("model", "", "the net's prototxt")
    flags.add("phase", "", "TRAIN or TEST; for time only")
    flags.add("level", 0, "the net's level")
    flags.add("stage", "", "the net's stages, separated by commas")
    flags.add("snapshot", "", "the solverstate to resume from")
    flags.add("weights", "", "caffemodels to finetune, separated by commas")
    flags.add("iterations", 50, "number of iterations; for test and time")
    flags.add("sigint_effect", "stop", "on Ctrl-C: snapshot, stop or none")
    flags.add("sighup_effect", "snapshot", "on SIGHUP: snapshot, stop or none")


def names(value: str) -> list[str]:
    """Split a flag's value at its commas."""
    return [part.strip() for part in value.split(",") if part.strip()]
