"""Kills `caffe train` and `dvc repro` at random moments, and lets them go on.

    python -m tests.fuzz.kills --moments 50 --seed 1

Every file that a killed run leaves, and every number that the last one ends with, must be those of
a run that was left alone. Moments are drawn in shares of that run's time, so that a busy machine
changes none of this.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import ripen  # noqa: F401 - before caffe: it keeps the log of Caffe to warnings
from caffe.hdf5 import new_file
from caffe.tools import train

ROOT = Path(__file__).parents[2]
SOURCES = os.pathsep.join(["src", "packages/caffe/src"])  # of a clone, in its folder
NET = """layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "rows.txt" batch_size: 20 } }
layer { name: "wide" type: "InnerProduct" bottom: "data" top: "wide"
  inner_product_param { num_output: 4000 weight_filler { type: "xavier" } } }
layer { name: "one" type: "InnerProduct" bottom: "wide" top: "one"
  inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "one" bottom: "label" }
"""
SOLVER = """net: "net.prototxt" type: "Adam" base_lr: 0.001 momentum: 0.9
lr_policy: "step" stepsize: 3 gamma: 0.9 max_iter: 12 random_seed: 3
snapshot: 1 snapshot_prefix: "s" snapshot_format: {form}
"""
SMALL = (
    "competitions=[avocado]",
    *(f"~models.{name}" for name in ("logistic_regression", "svm", "k_nearest_neighbors")),
    "~models.random_forest",
    "source.generate={n_train: 300, n_test: 100, n_more: 0}",
    "solver.max_iter=100",
    "learning_curve=[50]",
    "sweep.parameters=['solver.base_lr=0.1,1','solver.max_iter=50']",
)
KEPT = ("data", "metrics", "dvc.lock", "params.yaml")  # of a clone, compared byte for byte
Files = dict[str, bytes]


class Wrong(AssertionError):
    """A killed run left something else than one that was left alone."""


def differing(found: Files, expected: Files) -> list[str]:
    """Return the names of files whose bytes differ, or that only one of the two has."""
    names = {**found, **expected}
    return sorted(name for name in names if found.get(name) != expected.get(name))


def caffe_train(moments: int, seed: int, form: str = "BINARYPROTO") -> Counter[str]:
    """Kill `caffe train` at moments, and resume each time from the newest snapshot.

    Returns
    -------
    Counter
        How often it was killed, how many whole snapshots the kills left, how many unnamed
        temporary files, and how many trainings ended with the exact weights.
    """
    counts: Counter[str] = Counter()
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        _write_training(folder, form)
        started = time.monotonic()
        _end(_training(folder))
        whole = time.monotonic() - started
        expected = _snapshots(folder)
        _clear(folder)
        while counts["kills"] < moments:
            process = _training(folder)
            time.sleep(draw.uniform(0, whole))
            if not os.waitpid(process, os.WNOHANG)[0]:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                counts["kills"] += 1
                counts["temporary files"] += _clear_hidden(folder)
                found = _snapshots(folder)
                counts["snapshots"] += len(found)
                if wrong := [each for each in found if found[each] != expected[each]]:
                    raise Wrong(f"kill {counts['kills']}: {' '.join(wrong)}")
            elif _compare(_snapshots(folder), expected):
                counts["ended exactly"] += 1
                _clear(folder)
        _end(_training(folder))
        counts["ended exactly"] += _compare(_snapshots(folder), expected)
    return counts


def _compare(found: Files, expected: Files) -> bool:
    if wrong := differing(found, expected):
        raise Wrong(f"at the end: {' '.join(wrong)}")
    return True


def _write_training(folder: Path, form: str) -> None:
    numbers = np.random.default_rng(0)
    with new_file(folder / "rows.h5", 20 * 31 * 4) as file:
        file["data"] = numbers.normal(size=(20, 30)).astype(np.float32)
        file["label"] = numbers.normal(size=(20, 1)).astype(np.float32)
    (folder / "rows.txt").write_text("rows.h5\n")
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER.format(form=form))


def _training(folder: Path) -> int:
    """Start `caffe train` in a fork of this process, which has imported all that it needs."""
    states = [path for path in folder.glob("s_iter_*.solverstate*") if path.stat().st_size]
    newest = max(states, key=lambda path: int(path.name.split("_")[2].split(".")[0]), default=None)
    if not (process := os.fork()):
        code = 70
        try:
            os.chdir(folder)
            silent = os.open(os.devnull, os.O_RDWR)
            os.dup2(silent, 2)
            resumed = [f"-snapshot={newest.name}"] if newest else []
            code = train.main(["-solver=solver.prototxt", *resumed])
        finally:
            os._exit(code)
    return process


def _end(process: int) -> None:
    if status := os.waitpid(process, 0)[1]:
        raise Wrong(f"caffe train ended with {os.waitstatus_to_exitcode(status)}")


def _snapshots(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.glob("s_iter_*")}


def _clear(folder: Path) -> None:
    for path in folder.glob("s_iter_*"):
        path.unlink()


def _clear_hidden(folder: Path) -> int:
    hidden = [path for path in folder.iterdir() if path.name.startswith(".")]
    for path in hidden:
        path.unlink()
    return len(hidden)


def dvc_repro(moments: int, seed: int, say: Callable[[str], None] = print) -> Counter[str]:
    """Kill `dvc repro` of a small competition at moments, and run it again each time.

    Half of the kills hit DVC and its stage, as a terminal that closes does; half the stage alone,
    as the kernel does where memory ends.

    Returns
    -------
    Counter
        How often it was killed while which stage ran, how many pipelines ended byte for byte as
        the one left alone, how many files the kills left that no run removed.
    """
    counts: Counter[str] = Counter()
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name, _clone(Path(name) / "a") as clone:
        started = time.monotonic()
        _repro(clone)
        whole = time.monotonic() - started
        expected, listed = _kept(clone), _names(clone)
        say(f"left alone: {whole:.0f} s, {len(expected)} files")
        _forget(clone)
        while counts["kills"] < moments:
            process = _start(clone)
            # A quarter at most: what is done is kept, so that each stage is hit as often.
            time.sleep(draw.uniform(0, whole / 4))
            if process.poll() is None:
                stage = _killed(process, alone=draw.random() < 0.5)
                counts["kills"] += 1
                counts[f"in {stage}"] += 1
                say(f"kill {counts['kills']}: {stage}")
            elif process.returncode:
                raise Wrong(f"dvc repro ended with {process.returncode}: see {clone}/repro.log")
            else:
                counts["ended exactly"] += _compare(_kept(clone), expected)
                counts["files left"] += _left(clone, listed)
                say("ended byte for byte")
                _forget(clone)
        _repro(clone)
        counts["ended exactly"] += _compare(_kept(clone), expected)
        counts["files left"] += _left(clone, listed)
    return counts


@contextmanager
def _clone(path: Path) -> Iterator[Path]:
    """A clone of the repository's last commit, with settings of a run that takes a minute."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(path)], check=True)
    command = [sys.executable, "-m", "ripen.cli", "compose", *SMALL]
    subprocess.run(command, cwd=path, env=_environment(), check=True, stdout=subprocess.DEVNULL)
    yield path


def _environment() -> dict[str, str]:
    here = Path(sys.executable).parent
    path = f"{here}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": SOURCES, "GIT_CONFIG_GLOBAL": os.devnull}


def _start(clone: Path) -> subprocess.Popen[bytes]:
    with (clone / "repro.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"],
            cwd=clone,
            env=_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _repro(clone: Path) -> None:
    if code := _start(clone).wait():
        raise Wrong(f"dvc repro ended with {code}: {(clone / 'repro.log').read_text()[-2000:]}")


def _killed(process: subprocess.Popen[bytes], *, alone: bool) -> str:
    """Kill the stage that runs, alone or with DVC; return its name."""
    import psutil  # of the tests only

    family = psutil.Process(process.pid).children(recursive=True)
    stages = {}
    for one in family:
        try:
            words = one.cmdline()
        except psutil.Error:  # it has just ended
            continue
        if "ripen.stages" in words and "-c" not in words:
            stages[one] = words[words.index("ripen.stages") + 1]
    if alone:
        for one in stages:
            one.kill()
        process.wait()
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return next(iter(stages.values()), "DVC itself")


def _kept(clone: Path) -> Files:
    found = {}
    for name in KEPT:
        top = clone / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(clone))] = path.read_bytes()
    return found


def _names(clone: Path) -> set[str]:
    """Return what lies in the clone outside of git's, DVC's and MLflow's folders."""
    passed = (".git", ".dvc", "mlruns", "__pycache__")
    return {
        str(path.relative_to(clone))
        for path in clone.rglob("*")
        if not set(path.relative_to(clone).parts) & set(passed)
    }


def _left(clone: Path, listed: set[str]) -> int:
    left = _names(clone) - listed
    for name in sorted(left):
        print(f"left: {name}")
    return len(left)


def _forget(clone: Path) -> None:
    """Remove what runs made, so that the next begins with nothing."""
    subprocess.run(["git", "clean", "-qfdx", "-e", "repro.log"], cwd=clone, check=True)
    command = ["git", "checkout", "-q", "--", "dvc.lock", "metrics"]
    subprocess.run(command, cwd=clone, check=True)
    shutil.rmtree(clone / ".dvc" / "cache", ignore_errors=True)


def main() -> int:
    """Kill, print the counts, and return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills", description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["caffe", "repro"])
    chosen = parser.parse_args()
    try:
        if chosen.only != "repro":
            for form in ("BINARYPROTO", "HDF5"):
                counts = caffe_train(chosen.moments, chosen.seed, form)
                print(f"caffe train, {form}: {_line(counts)}", flush=True)
        if chosen.only != "caffe":
            counts = dvc_repro(chosen.moments, chosen.seed, lambda text: print(text, flush=True))
            print(f"dvc repro: {_line(counts)}")
    except Wrong as error:
        print(f"wrong: {error}", file=sys.stderr)
        return 1
    return 0


def _line(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


if __name__ == "__main__":
    sys.exit(main())
