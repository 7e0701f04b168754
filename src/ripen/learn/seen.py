"""Which net of a model takes an image: what figures of filters and saliency are drawn from."""

import json
from pathlib import Path

from ripen.core.atomic import write_text
from ripen.nets.zoo.contract import Input
from ripen.settings.compose import as_mapping

SEEN = "seen.json"


def write(folder: Path, deploy: Path, weights: Path, before: Path | None, wanted: Input) -> None:
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
    """
    values = {
        "deploy": deploy.as_posix(),
        "weights": weights.as_posix(),
        "before": None if before is None else before.as_posix(),
        "input": as_mapping(wanted),
    }
    write_text(folder / SEEN, json.dumps(values, indent=2) + "\n")
