"""What a stage is made from, as one hash: the same inputs give the same hash on every machine."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from ripen.core.errors import DataError
from ripen.settings.compose import PARAMS, leaves

PIPELINE = Path("dvc.yaml")


def stage_hash(stage: str, competition: str, root: Path = Path()) -> str:
    """Hash a stage's command, its settings and the contents of all it depends on.

    Parameters
    ----------
    stage, competition : str
        For instance "train" and "avocado".
    root : Path
        The folder of dvc.yaml, to which the dependencies are relative.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return _hash(_inputs(_stages(competition, root)[stage], root))


def made_from(stage: str, competition: str, root: Path = Path()) -> str:
    """Hash the contents of all that a stage depends on: data and code, no settings.

    Raises
    ------
    DataError
        If one of them is not there.
    """
    deps = _stages(competition, root)[stage]["deps"]
    for dep in deps:
        if not (root / dep).exists():
            raise DataError(f"{dep} is missing. Run: dvc repro prepare@{competition}")
    return _hash([[dep, content_hash(root / dep)] for dep in sorted(deps)])


def pipeline_hash(competition: str, root: Path = Path()) -> str:
    """Hash what a whole pipeline run is made from: its settings and its code, no stage's output."""
    stages = _stages(competition, root)
    outputs = {
        _path(out)
        for stage in stages.values()
        for kind in ("outs", "metrics")
        for out in stage.get(kind, [])
    }
    return _hash([_inputs(stage, root, outputs) for stage in stages.values()])


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents; compiled Python is left out."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _stages(competition: str, root: Path) -> dict[str, dict[str, Any]]:
    """Return the stages that a competition goes through, its name filled in."""
    text = (root / PIPELINE).read_text(encoding="utf-8")
    stages: dict[str, dict[str, Any]] = yaml.safe_load(
        text.replace("${item.competition}", competition)
    )["stages"]
    return {name: stage for name, stage in stages.items() if "matrix" in stage}


def _inputs(stage: dict[str, Any], root: Path, left_out: Collection[str] = ()) -> list[Any]:
    settings = dict(leaves(yaml.safe_load((root / PARAMS).read_text(encoding="utf-8"))))
    chosen = {
        name: value
        for key in stage.get("params", [])
        for name, value in settings.items()
        if name == key or name.startswith(f"{key}.")
    }
    deps = {dep: content_hash(root / dep) for dep in stage["deps"] if not _within(dep, left_out)}
    return [stage["cmd"], sorted(chosen.items()), sorted(deps.items())]


def _within(dep: str, outs: Collection[str]) -> bool:
    """Whether a dependency is an output, part of one, or a folder of some."""
    return any(f"{dep}/".startswith(f"{out}/") or out.startswith(f"{dep}/") for out in outs)


def _path(out: str | dict[str, Any]) -> str:
    return out if isinstance(out, str) else next(iter(out))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
