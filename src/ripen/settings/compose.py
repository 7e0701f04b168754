"""Read and compose the configuration: `conf/` is its source, `params.yaml` what is composed of it.

Hydra composes plain YAML; the dataclasses of `ripen.settings.schema` are what it must fit. A key that they
do not have, a wrong type or a value out of range is a `ConfigError` that names the key.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError

from ripen.core.errors import ConfigError
from ripen.settings import graph
from ripen.settings.schema import COMPETITIONS, Config
from ripen.settings.schema.types import key_of

PARAMS = Path("params.yaml")
CONF = Path("conf")
_WHO_ASKS = {
    "tracking": "MLflow takes those from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "study": "PostgreSQL's client takes those from PGUSER and PGPASSWORD, or from ~/.pgpass",
}
T = TypeVar("T")


def from_mapping(values: Mapping[str, Any], source: str) -> Config:
    """Check plain values against the schema.

    Parameters
    ----------
    values : mapping
        What a YAML file holds.
    source : str
        Where it came from, for the error.

    Raises
    ------
    ConfigError
        For an unknown or missing key, a wrong type or a value that is not allowed: names the key
        and, where one is near, the right one.
    """
    try:
        # JSON, because strict Python input would have to be dataclasses already.
        return TypeAdapter(Config).validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            raise ConfigError(f"{source}: unknown key '{key}'{nearest(key, keys())}") from None
        if first["type"] in ("missing", "missing_argument"):
            raise ConfigError(f"{source}: key '{key}' is missing") from None
        if key.startswith(("tracking.uri", "study.uri")):
            raise ConfigError(
                f"{source}: {'.'.join(key.split('.')[:2])} must be an address without user and "
                f"password: {_WHO_ASKS[key.partition('.')[0]]}"
            ) from None
        if first["type"] == "value_error":  # of a whole section
            raise ConfigError(f"{source}: {key}: {first['ctx']['error']}") from None
        message = first["msg"][0].lower() + first["msg"][1:]
        hint = ""
        if key.startswith("competitions."):
            hint = nearest(str(first["input"]), COMPETITIONS)
        raise ConfigError(f"{source}: {key} is {first['input']!r}: {message}{hint}") from None


def as_mapping(section: object) -> dict[str, Any]:
    """Return the configuration, or a section, as plain values, as `params.yaml` holds them."""
    values: dict[str, Any] = TypeAdapter(type(section)).dump_python(section, by_alias=True)
    return values


def changed(section: T, **values: Any) -> T:
    """Return a section with some of its values changed, and checked as it was itself."""
    adapter = TypeAdapter(type(section))
    return adapter.validate_json(json.dumps(as_mapping(section) | values))


def load(params: Path = PARAMS) -> Config:
    """Read `params.yaml` and check it against the schema.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or does not fit.
    """
    return from_mapping(read(params), str(params))


def compose(overrides: Sequence[str] = (), conf: Path = CONF) -> dict[str, Any]:
    """Compose `conf/` with Hydra's overrides into plain values, all interpolations resolved.

    Raises
    ------
    ConfigError
        If an override names an unknown key or option, or the result does not fit the schema.
    """
    # Imported here because a stage that reads params.yaml inside an experiment needs no Hydra.
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        composed = _composed(overrides, conf)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(_hydra_message(error, overrides, conf)) from None
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:  # of an interpolation, and no key is to blame
        raise ConfigError(_not_composed(error, conf)) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{conf}/config.yaml: a mapping is needed, not a {type(values).__name__}")
    result = {str(key): value for key, value in values.items()}
    result["overrides"] = list(overrides)
    from_mapping(result, f"{conf}/")
    return result


def dump(values: Mapping[str, Any]) -> str:
    """Write values as the text of `params.yaml`, the very bytes that `dvc exp run` writes."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting as its dotted key and its value; a list is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def keys(schema: Any = Config, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key that the schema has."""
    for field in fields(schema):
        name = f"{prefix}{key_of(field.name)}"
        yield name
        if is_dataclass(field.type):
            yield from keys(field.type, f"{name}.")


def nearest(name: str, allowed: Iterator[str] | Sequence[str]) -> str:
    """Say which allowed name is meant, as the end of an error's sentence; "" if none is near."""
    candidates = list(allowed)
    last = name.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6) or [
        c for c in candidates if c.rsplit(".", 1)[-1] == last
    ]
    if close:
        return f"; did you mean '{close[0]}'?"
    return f". Allowed: {', '.join(c for c in candidates if '.' not in c)}"


def read(params: Path) -> dict[str, Any]:
    """Read a file of settings as plain values, unchecked.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or is no mapping.
    """
    try:
        loaded = OmegaConf.load(params)
    except FileNotFoundError:
        raise ConfigError(f"{params} is missing. Run: ripen compose") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{params}: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"{params}: a mapping of settings is needed")
    return {str(k): v for k, v in OmegaConf.to_container(loaded).items()}  # type: ignore[union-attr]


def _composed(overrides: Sequence[str], conf: Path) -> DictConfig:
    """Let Hydra compose, interpolations left as they are."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    graph.register()
    with initialize_config_dir(str(conf.absolute()), version_base=None):
        return hydra_compose("config", list(overrides))


def _hydra_message(error: Exception, overrides: Sequence[str], conf: Path) -> str:
    """Hydra's error as one line that names the override to mend."""
    known = set(keys())
    sections = {key.rpartition(".")[0] for key in known}
    leaf = known - sections  # below some of which keys are names of one's own
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if (conf / key).is_dir():
            options = sorted(path.stem for path in (conf / key).glob("[!_]*.yaml"))
            if value not in options:
                return f"{conf}/{key}/ has no '{value}'{nearest(value, options)}"
        elif key not in known and not any(key.startswith(f"{name}.") for name in leaf):
            return f"unknown key '{key}'{nearest(key, keys())}"
        elif f"'{key}'" in str(error) and (source := _taken_from(key, conf)):
            return (
                f"'{key}' is that of '{source}': override that, or write another value into {conf}/"
            )
    return _not_composed(error, conf)


def _not_composed(error: Exception, conf: Path) -> str:
    return f"{conf}/ cannot be composed: {' '.join(str(error).split())}"


def _taken_from(key: str, conf: Path) -> str | None:
    """Return the key that conf/ takes a setting's value from, by an interpolation above it."""
    section: Any = OmegaConf.to_container(_composed((), conf))
    parts = key.split(".")
    for place, part in enumerate(parts, start=1):
        section = section.get(part) if isinstance(section, dict) else None
        if found := re.fullmatch(r"\$\{([\w.]+)\}", str(section)):
            return ".".join([found[1], *parts[place:]])
    return None
