"""The net of a model that takes an image, for the figures of filters and saliency."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ripen.core.json_files import read_json, write_json
from ripen.data.image_input import Input
from ripen.learn.target_transform import ONE, Unit
from ripen.settings.compose import as_mapping

SEEN = "seen.json"


def whole(wanted: Input) -> Input:
    """Return the input without its crop, for a net that was trained on whole images."""
    return replace(wanted, crop=None)


def write(
    folder: Path,
    deploy: Path,
    weights: Path,
    before: Path | None,
    wanted: Input,
    unit: Unit = ONE,
) -> None:
    """Write `seen.json` into a model's folder.

    Parameters
    ----------
    folder : Path
    deploy, weights : Path
        The net's, relative to the repository's root.
    before : Path or None
        The weights that its training began with.
    wanted : Input
        How an image becomes its input.
    unit : (float, float), or of lists
        Mean and standard deviation by which the net's targets were standardized.
    """
    values: dict[str, Any] = {
        "deploy": deploy.as_posix(),
        "weights": weights.as_posix(),
        "before": None if before is None else before.as_posix(),
        "input": as_mapping(wanted),
    }
    if unit != ONE:
        values["unit"] = unit
    write_json(folder / SEEN, values)


def unit(folder: Path) -> Unit:
    """Return the unit of a model's targets, as `write` was given it."""
    return tuple(read_json(folder / SEEN).get("unit", ONE))
