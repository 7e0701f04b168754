"""The same bytes on another processor: the stages, emulated as a Haswell without AVX-512."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ripen.settings import yaml_files
from tests.ripen import empty_store
from tests.ripen.conftest import SOURCES, Clone

pytestmark = pytest.mark.slow
QEMU = shutil.which("qemu-x86_64")
BEFORE, AFTER = ("fetch", "prepare", "sweep"), ("evaluate", "predict")
# Emulation is some ten to thirty times slower: fewer rows, trees and iterations, the same code.
SMALLER = (
    "competitions=[avocado]",
    "source.generate.n_test=300",
    "source.generate.n_more=300",
    "own.bayes_sample=2000",
    "models.random_forest.n_estimators=10",
    "models.svm.calibration_folds=2",
    "sweep.parameters=['solver.base_lr=0.1,0.5']",
    "learning_curve=[50]",
    "solver.max_iter=200",
)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


# One process for all stages: to import PyTorch takes a minute, emulated. MLflow looks through the
# files of every package there is before it saves a model, to warn of missing ones: ten seconds.
RUN = """
import importlib_metadata, shlex, sys
importlib_metadata.packages_distributions = dict
from ripen.stages.__main__ import main
sys.exit(max(main(shlex.split(line)) for line in sys.argv[1:]))
"""


def run_stages(clone: Clone, *emulator: str) -> dict[str, str]:
    """Run every stage's own module, and return the hash of each file that it left."""
    # Only bytecode stays of an earlier run: to compile takes long, emulated.
    clone.run("git", "clean", "-fdxq", "--exclude=__pycache__")
    (clone.path / "metrics/avocado.json").unlink()
    empty_store.put(clone.path)  # its making takes half a minute, emulated, and is not compared
    python = os.path.realpath(sys.executable)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    path = os.pathsep.join([SOURCES, *packages])
    environment = clone.environment() | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    fits = yaml_files.read(clone.path / "params.yaml")["graph"]["fit"]
    stages = [f"{stage} avocado" for stage in BEFORE]
    stages += [f"fit avocado {fit['name']}" for fit in fits.values()]
    stages += [f"{stage} avocado" for stage in AFTER]
    subprocess.run(
        [*emulator, python, "-c", RUN, *stages],
        cwd=clone.path,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return hashes(clone.path / "data") | hashes(clone.path / "metrics")


@pytest.mark.skipif(QEMU is None, reason="qemu-user is not installed (Debian: qemu-user)")
def test_a_haswell_gives_the_same_bytes(clone: Clone) -> None:
    assert QEMU is not None
    clone.run("ripen", "compose", *SMALLER)
    native = run_stages(clone)
    emulated = run_stages(clone, QEMU, "-cpu", "Haswell")
    differing = {name for name in native | emulated if native.get(name) != emulated.get(name)}
    assert len(native) > 30
    assert differing == set()
