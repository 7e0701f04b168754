"""Hashes of a stage's inputs: the same inputs give the same hash on every machine."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ripen.core.errors import DataError, reading
from ripen.core.layout import BLEND

PIPELINE, PARAMS = Path("dvc.yaml"), Path("params.yaml")
MODELS = ("fit", "finetune")
"""The stages whose instances are models. The blend of a competition is one more, of its own."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""LibYAML's parser where PyYAML has it: a tenth of the time."""

Stage = dict[str, Any]
Content = Callable[[Path], str]


def remembering() -> Content:
    """Return a function that hashes each path once, for as long as nothing changes the inputs."""
    return lru_cache(maxsize=None)(_content)


def stages(root: Path = Path()) -> dict[str, Stage]:
    """Return every instance of dvc.yaml's stages by its name, as DVC resolves them."""
    params = _read(root / PARAMS)
    found = {}
    with reading(root / PIPELINE, f"It and {PARAMS} disagree: git checkout {PIPELINE}"):
        for name, stage in _read(root / PIPELINE)["stages"].items():
            if "foreach" not in stage:
                found[name] = stage
                continue
            instances = params["graph"][stage["foreach"].removeprefix("${graph.").removesuffix("}")]
            for key, item in instances.items():
                written = json.dumps(stage["do"]).replace("${key}", key)
                for field, value in item.items():
                    written = written.replace(f"${{item.{field}}}", value)
                found[f"{name}@{key}"] = json.loads(written)
    return found


def stage_hash(stage: str, key: str, root: Path = Path(), content: Content | None = None) -> str:
    """Hash a stage's command, its settings and the contents of its dependencies.

    Parameters
    ----------
    stage, key : str
        The stage and its instance in dvc.yaml, such as "fit" and "titanic.svm".
    root : Path
        The folder of dvc.yaml, to which the dependencies are relative.
    content : callable
        From `remembering`, for several hashes.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DataError
        If a dependency is missing.
    """
    return _hash(_inputs(stages(root)[f"{stage}@{key}"], root, (), content or _content))


def model_hash(competition: str, model: str, content: Content | None = None) -> str:
    """Hash the inputs of a model, whichever stage fits it (`stage_hash`)."""
    if model == BLEND:
        return stage_hash(BLEND, competition, content=content)
    stage = model_stage(competition, model)
    return stage_hash(stage, f"{competition}.{model}", content=content)


def model_stage(competition: str, model: str, root: Path = Path()) -> str:
    """Return the stage that fits a model.

    Raises
    ------
    DataError
        If dvc.yaml has none.
    """
    every = stages(root)
    for stage in MODELS:
        if f"{stage}@{competition}.{model}" in every:
            return stage
    raise DataError(f"{root / PIPELINE}: no stage fits {model} of {competition}")


def made_from(stage: str, key: str, without: Collection[str] = ()) -> str:
    """Hash the contents of a stage's dependencies: data and code, no settings.

    Parameters
    ----------
    stage, key : str
    without : collection of str
        Dependencies to leave out.

    Raises
    ------
    DataError
        If a dependency is missing.
    """
    deps = stages()[f"{stage}@{key}"]["deps"]
    return _hash([[dep, _content(Path(dep))] for dep in sorted(deps) if dep not in without])


def files(stage: str, key: str, root: Path = Path()) -> list[Path]:
    """Return the files that a stage reads, relative to the root: for another machine.

    They are those of its dependencies, which are exact, and the pipeline's and the settings'.
    """
    found = {PIPELINE, PARAMS}
    for dep in map(Path, stages(root)[f"{stage}@{key}"]["deps"]):
        within = (root / dep).rglob("*") if (root / dep).is_dir() else [root / dep]
        found |= {file.relative_to(root) for file in within if file.is_file()}
    return sorted(file for file in found if "__pycache__" not in file.parts)


def pipeline_hash(competition: str, root: Path = Path(), content: Content | None = None) -> str:
    """Hash the inputs of a whole pipeline run: its settings and code, no stage's output."""
    content = content or remembering()  # most stages depend on the same folders
    own = [stage for name, stage in stages(root).items() if competition_of(name) == competition]
    outputs = {
        _path(out) for stage in own for kind in ("outs", "metrics") for out in stage.get(kind, [])
    }
    return _hash([_inputs(stage, root, outputs, content) for stage in own])


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents; compiled Python is left out."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting as its dotted key and its value; a list is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read(path: Path) -> Any:
    with reading(path, f"Go back to the last commit's: git checkout {path.name}"):
        return _parsed(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """Return the content of a YAML file, not to be changed: a stage asks for it many times."""
    return yaml.load(text, Loader=LOADER)


def competition_of(stage: str) -> str:
    """Return the competition of a stage's instance, such as "fit@titanic.svm", or ""."""
    return stage.partition("@")[2].partition(".")[0]


def _inputs(stage: Stage, root: Path, left_out: Collection[str], content: Content) -> list[Any]:
    settings = dict(leaves(_read(root / PARAMS)))
    chosen = {
        name: value
        for key in stage.get("params", [])
        for name, value in settings.items()
        if name == key or name.startswith(f"{key}.")
    }
    deps = {dep: content(root / dep) for dep in stage["deps"] if not _within(dep, left_out)}
    return [stage["cmd"], sorted(chosen.items()), sorted(deps.items())]


def _content(path: Path) -> str:
    if not path.exists():
        raise DataError(f"{path} is missing. Run: dvc repro")
    return content_hash(path)


def _within(dep: str, outs: Collection[str]) -> bool:
    """Whether a dependency is an output, lies in one, or contains one."""
    return any(f"{dep}/".startswith(f"{out}/") or out.startswith(f"{dep}/") for out in outs)


def _path(out: str | dict[str, Any]) -> str:
    return out if isinstance(out, str) else next(iter(out))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
