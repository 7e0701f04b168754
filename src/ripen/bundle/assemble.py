"""Write a bundle: what a notebook without a network needs to make a competition's submission.

The models whose predictions are submitted are fitted again, with the same seeds, because the
pipeline keeps predictions and no estimators; a net that was trained on images is taken as it is.
They are saved as a registered model is: no pickle.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ripen.bundle import wheels
from ripen.bundle.offline import ABOUT, FILES, MODELS, MODULES
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.errors import DataError, UsageError
from ripen.core.json_files import write_json
from ripen.core.layout import BLEND, Layout
from ripen.core.progress import progress
from ripen.judge.leaderboard import read_metrics
from ripen.learn import blending, fitting
from ripen.learn.estimator import estimator
from ripen.settings.compose import PARAMS, load_competition
from ripen.settings.schema import Competition
from ripen.settings.yaml_files import dump, read
from ripen.stages.fit import open_fit

NOTEBOOK, WHEELS = "submission.ipynb", "wheels"
MOST = 20 * 1024**3
"""Bytes that the notebook's disk takes (https://www.kaggle.com/docs/notebooks, "Technical
Specifications": 20 GB of auto-saved disk space), into which the wheels are unpacked."""


def bundle(name: str, to: Path | None = None) -> Path:
    """Write a competition's bundle, and make sure that it gives the bytes of its submission.

    Parameters
    ----------
    name : str
    to : Path, optional
        The bundle's folder, ``data/<name>/bundle`` by default. What it holds is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        If the competition has no submission, or `to` is a folder of other files.
    DataError
        If the pipeline has not run with the present settings, or the bundle is too large.
    """
    competition, layout = load_competition(name), Layout(name)
    if competition.predict is None:
        raise UsageError(f"{name} has no submission (predict: null), so there is nothing to bundle")
    if not layout.submission.exists():
        raise DataError(
            f"{layout.submission}: no such file. Run: ripen run 'competitions=[{name}]'"
        )
    folder = to or layout.data / "bundle"
    if folder.exists() and any(folder.iterdir()) and not (folder / ABOUT).exists():
        raise UsageError(f"{folder} has other files. Choose a new folder: --to FOLDER")
    with fresh_folder(folder):
        fill(name, competition, folder)
        text = json.dumps(notebook(name, competition.files.sample), indent=1)
        write_text(folder / NOTEBOOK, text + "\n")
        (folder / WHEELS).mkdir()
        for distribution in wheels.needed(_try(folder, layout)):
            wheels.pack(distribution, folder / WHEELS)
        check_size(folder)
    return folder


def fill(name: str, competition: Competition, folder: Path) -> None:
    """Write what `ripen.bundle.offline` reads into a folder."""
    assert competition.predict is not None  # or there is nothing to submit
    layout, model = Layout(name), competition.predict.model
    if model == "best":
        model = str(read_metrics(name)["best"])
    models = blending.used(layout.blend) if model == BLEND else [model]
    for member in models:
        fit_model(name, member, folder / MODELS / member)
    _copy(name, layout, folder / FILES)
    for net in sorted(set(_nets(competition, models))):
        copy_net(net, folder / FILES)
    about = {"competition": name, "models": models, "blend": model == BLEND}
    write_json(folder / ABOUT, about)


def check_size(folder: Path, most: int = MOST) -> int:
    """Return a bundle's size in bytes.

    Raises
    ------
    DataError
        If it is larger than a notebook's disk.
    """
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > most:
        raise DataError(
            f"{folder}: the bundle has {size / 1e9:.2f} GB, and a notebook of Kaggle's keeps "
            f"{most / 1e9:.2f} GB. Choose a smaller model: predict.model"
        )
    return size


def advice(name: str, folder: Path) -> str:
    """Return what to do with a bundle at Kaggle."""
    return (
        f"{name}: upload {folder} as a dataset of Kaggle's, open its {NOTEBOOK} as a notebook with "
        "the competition's data and this dataset as inputs and the internet off, and submit it"
    )


def fit_model(name: str, model: str, folder: Path) -> None:
    """Fit the models whose mean predicts the test rows, and save each in a folder of its own."""
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory() as temporary,
        progress(f"fit {model}", None) as advance,
    ):
        fit = open_fit(name, model, Path(temporary), stack, say=advance)
        if list(fit.estimator.inputs) == ["images"]:  # its training took long, and left its files
            trained = replace(fit.work, folder=Layout(name).model(model), trained=True)
            fit = replace(fit, work=trained)
        for number, fitted in enumerate(fitting.for_test_rows(fit)):
            own = folder / f"{number:03}"
            own.mkdir(parents=True)
            fitted.save(own)
            advance("fitted")


def _nets(competition: Competition, models: Sequence[str]) -> Iterator[str]:
    """Yield the nets of the zoo that the models' features come from."""
    for model in models:
        for each in estimator(competition.models[model], f"models.{model}").inputs:
            if net := competition.features.get(each, {}).get("net"):
                yield net


def copy_net(name: str, folder: Path) -> None:
    """Copy a net's contract, prototxt and weights to the place where `ripen.nets` finds them."""
    from ripen.nets import contract
    from ripen.nets.published import caffemodel

    home = caffemodel(name).parent
    for file in (*contract.inputs(name), *sorted(home.glob("*.prototxt"))):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / file)


def _copy(name: str, layout: Layout, folder: Path) -> None:
    """Copy what the stage `predict` reads, and the settings of this competition alone."""
    values = {"competition": {name: read(PARAMS)["competition"][name]}}
    write_text(folder / PARAMS, dump(values))
    blend = layout.blend / blending.FILE
    for file in (layout.metrics, layout.calibration, layout.decisions, blend):
        if file.exists():
            write_text(folder / file, file.read_text(encoding="utf-8"))


def _try(folder: Path, layout: Layout) -> list[tuple[str, str]]:
    """Predict from the bundle; return the modules that this imports, with their files.

    Raises
    ------
    DataError
        If it fails, or gives another submission.
    """
    with tempfile.TemporaryDirectory() as temporary:
        modules, made = Path(temporary) / "modules.json", Path(temporary) / "submission.csv"
        command = [sys.executable, "-m", "ripen.bundle.offline", folder, layout.raw, made]
        done = subprocess.run(
            [str(each) for each in command],
            env=os.environ | {MODULES: str(modules)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise DataError(f"{folder}: the bundle does not predict: {last[0]}")
        if made.read_bytes() != layout.submission.read_bytes():
            raise DataError(
                f"{layout.submission} was made with other settings or data than the bundle. Run: "
                f"ripen run 'competitions=[{layout.competition}]'"
            )
        return [(name, file) for name, file in json.loads(modules.read_text())]


# --- The notebook --------------------------------------------------------------------------------


def notebook(name: str, sample: str) -> dict[str, Any]:
    """Return the notebook that makes the submission, in Jupyter's format 4.5.

    Parameters
    ----------
    name : str
        Of the competition.
    sample : str
        The file of its sample submission, by which the notebook finds the competition's files.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cells = [
        ("markdown", TEXT.format(name=name)),
        ("code", WHERE.format(sample=sample)),
        ("code", INSTALL.format(version=version)),
        ("code", PREDICT),
    ]
    return {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    more: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return cell | more | {"source": text.strip("\n").splitlines(keepends=True)}


TEXT = """
# {name}: the submission

Installs the wheels of this bundle with no network, predicts the competition's test rows with the
fitted models, and writes `submission.csv`. Made by `ripen bundle {name}`.
"""
WHERE = """
import os
import subprocess
import sys
from pathlib import Path

# The folder of this bundle, and that of the competition's files: Kaggle mounts both.
mounted = Path("/kaggle/input")
found = sorted(mounted.rglob("bundle.json"))
BUNDLE = Path(os.environ.get("RIPEN_BUNDLE") or (found[0].parent if found else "."))
sample = sorted(mounted.rglob("{sample}")) or sorted(mounted.rglob("test.csv"))
INPUT = Path(os.environ.get("RIPEN_INPUT") or (sample[0].parent if sample else "."))
"""
INSTALL = """
if "{version}" != f"{{sys.version_info.major}}.{{sys.version_info.minor}}":
    sys.exit("these wheels are of Python {version}: choose an environment with it")
wheels = [str(wheel) for wheel in sorted((BUNDLE / "wheels").glob("*.whl"))]
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
pip += ["--no-index", "--no-deps", "--no-compile", "--upgrade", "--target", "environment"]
subprocess.run(pip + wheels, check=True)
"""
PREDICT = """
# Without site-packages (-S): no package but those of the wheels.
command = [sys.executable, "-S", "-m", "ripen.bundle.offline", BUNDLE, INPUT, "submission.csv"]
subprocess.run(command, env=os.environ | {"PYTHONPATH": "environment"}, check=True)
"""
