"""Writes a model as `ripen.learn.models.served` reads it: skops, Caffe's files and JSON."""

import importlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ripen.core.json_files import write_json
from ripen.data.image_input import Input
from ripen.learn.target_transform import ABOUT, Unit
from ripen.settings.compose import as_mapping
from ripen.settings.schema import ViewsName

if TYPE_CHECKING:
    from ripen.learn.models.image_features import ImageFeatures

INPUT, PIPELINE, ENCODER = "input.json", "model.skops", "encoder.skops"
NET = ("deploy.prototxt", "model.caffemodel")
OF_TORCH = "sklearn.externals.array_api_compat.torch"


def skops() -> Any:
    """Return `skops.io`, imported without PyTorch.

    skops imports every package of scikit-learn, and one of them imports PyTorch where that is
    installed: two seconds, which most models do without.
    """
    absent = OF_TORCH not in sys.modules
    if absent:
        sys.modules[OF_TORCH] = None  # type: ignore[assignment]  # its import fails
    try:
        return importlib.import_module("skops.io")
    finally:
        if absent:
            del sys.modules[OF_TORCH]


def write_pipeline(
    folder: Path, pipeline: Any, task: str, outputs: int, classes: Sequence[int] = ()
) -> None:
    """Write a fitted pipeline of scikit-learn into an existing folder.

    Parameters
    ----------
    folder : Path
    pipeline : Pipeline
    task : str
        A name of the registry.
    outputs : int
        The number of outputs for a row.
    classes : sequence of int
        The labels that the pipeline has seen.
    """
    skops().dump(pipeline, folder / PIPELINE)
    about = {"task": task, "outputs": outputs, "classes": list(classes)}
    write_json(folder / ABOUT, about)


def write_net(
    folder: Path,
    trained: Path,
    encoder: Any,
    shape: tuple[int, ...],
    unit: Unit,
    deploy: str = NET[0],
    at_once: int | None = None,
) -> None:
    """Write a net into an existing folder: Caffe's files from the folder that it was trained in.

    Parameters
    ----------
    folder, trained : Path
    encoder : transformer or None
        Fitted.
    shape : tuple of int
        Of one row.
    unit : (float, float), or of lists
        Mean and standard deviation by which the net's targets were standardized.
    deploy : str
        The file in `trained` whose input is such rows.
    at_once : int, optional
        Rows of a forward pass, about: the last bits depend on it.
    """
    _copy(trained, folder, deploy)
    if encoder is not None:
        skops().dump(encoder, folder / ENCODER)
    about: dict[str, Any] = {"shape": shape, "unit": unit}
    if at_once is not None:
        about["at_once"] = at_once
    write_json(folder / ABOUT, about)


def write_image_net(
    folder: Path, trained: Path, wanted: Input, views: ViewsName, unit: Unit
) -> None:
    """Write a net of whole images into an existing folder.

    Parameters
    ----------
    folder, trained, unit
        As of `write_net`.
    wanted : Input
        How an image becomes the net's input.
    views : str
        Of which the outputs are the mean.
    """
    _copy(trained, folder, NET[0])
    about = {"input": as_mapping(wanted), "views": views, "unit": unit}
    write_json(folder / ABOUT, about)


def _copy(trained: Path, folder: Path, deploy: str) -> None:
    for name, original in zip(NET, (deploy, NET[1]), strict=True):
        shutil.copyfile(trained / original, folder / name)


def write_input(folder: Path, taken: "ImageFeatures") -> None:
    """Write how images become the features that the model takes."""
    write_json(folder / INPUT, as_mapping(taken))
