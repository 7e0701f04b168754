"""Compose `conf/` with Hydra's overrides, and check the result, `params.yaml`.

Each competition is composed on its own: its file on top of its kind, with the overrides that apply
to it. An override at the top level (`solver.base_lr=0.01`) therefore holds for every competition
that has the setting. The prefix `competition.NAME.` restricts it to one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from ripen.core.addresses import PARAMETERS, hidden, is_open
from ripen.core.errors import ConfigError
from ripen.core.lineage import leaves
from ripen.core.registry import nearest
from ripen.settings.primary_config import (
    PrimaryConfig,
    competition_config,
    conf_files,
    override_key,
    override_root,
    run_config,
)
from ripen.settings.schema import Competition, Run
from ripen.settings.typed import key_of
from ripen.settings.yaml_files import read

PARAMS = Path("params.yaml")
CONF = Path("conf")
OWN = "competition."
_CREDENTIALS = {
    "tracking.uri": "MLflow takes those from MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD "
    "and MLFLOW_TRACKING_TOKEN",
    "study.uri": "PostgreSQL's client takes those from PGUSER and PGPASSWORD, or from ~/.pgpass",
    "launcher.address": "Ray takes those from RAY_AUTH_TOKEN",
}
"""The settings that are addresses, and where their credentials come from."""
T = TypeVar("T")


@dataclass(frozen=True)
class Composed:
    """The result of composing `conf/` with overrides.

    Attributes
    ----------
    run : dict
        The settings of the run, as `Run` types them.
    competitions : dict of str to dict
        Each chosen competition's settings. `Competition` types them.
    notes : list of str
        A line for each override that does not apply to a chosen competition.
    named : dict of str to set of str
        The models named by each competition's own file or by an override. The others come from its
        kind.
    """

    run: dict[str, Any]
    competitions: dict[str, dict[str, Any]]
    notes: list[str]
    named: dict[str, set[str]]


def available(conf: Path = CONF) -> list[str]:
    """Return the names of all competitions: the files of `conf/competition/`."""
    return sorted(path.stem for path in (conf / "competition").glob("*.yaml"))


def compose(overrides: Sequence[str] = (), conf: Path = CONF) -> Composed:
    """Compose `conf/` with Hydra's overrides, all interpolations resolved.

    Raises
    ------
    ConfigError
        If an override names an unknown key or option or applies to no chosen competition, or if a
        file cannot be composed.
    """
    try:
        return _composed(overrides, conf)
    except ConfigError as error:
        raise ConfigError(_discreet(str(error), overrides)) from None


def _discreet(message: str, overrides: Sequence[str]) -> str:
    """Return an error without the secrets of the overrides' addresses."""
    for override in overrides:
        value = override.partition("=")[2].strip("'\"")
        if value and not is_open(value) and "//" in value:
            message = message.replace(value, "***")
    return hidden(message)


def _composed(overrides: Sequence[str], conf: Path) -> Composed:
    """Compose `conf/` as `compose` does, with errors that repeat an override as it is."""
    run_keys = {each.name for each in fields(Run)}
    of_run = [o for o in overrides if override_root(o) in run_keys]
    others = [o for o in overrides if o not in of_run]
    files = conf_files(conf)
    run = run_config(conf, files).resolved(of_run)
    names = [str(name) for name in run.get("competitions") or ()]
    if unknown := [name for name in names if name not in available(conf)]:
        raise ConfigError(
            f"competitions: there is no {conf}/competition/{unknown[0]}.yaml"
            f"{nearest(unknown[0], available(conf))}"
        )
    composed = Composed(run | {"overrides": list(overrides)}, {}, [], {})
    used = set[str]()
    for name in names:
        config = competition_config(name, conf, files)
        own = _own_overrides(name, config, others, names)
        composed.competitions[name] = config.resolved(own.preset + own.settings)
        composed.notes.extend(own.notes)
        composed.named[name] = {*(config.values.get("models") or {})} | own.models
        used |= own.used
    if unused := [override for override in others if override not in used]:
        raise _unused(unused[0], composed, run_keys)
    return composed


@dataclass
class _Own:
    """The overrides that apply to one competition, and a note for each that does not.

    `used` has them as they were given, the others are without the prefix `competition.NAME.`.
    """

    preset: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    @property
    def models(self) -> set[str]:
        """The models that they name."""
        keys = [override_key(override).split(".") for override in self.settings]
        return {key[1] for key in keys if key[0] == "models" and len(key) > 1}


def _own_overrides(
    name: str, config: PrimaryConfig, overrides: Sequence[str], names: Sequence[str]
) -> _Own:
    """Return the overrides that apply to a competition, one of the chosen `names`."""
    own = _Own()
    for override in overrides:
        owner, stripped = _owner(override, names)
        if owner not in (None, name):
            continue
        key, value = override_key(stripped), stripped.partition("=")[2]
        if key == "preset" and (found := config.preset(value)) is not None:
            own.preset = found
        elif key != "preset" and config.takes(stripped):
            own.settings.append(stripped)
        else:
            own.notes.append(f"'{stripped if key == 'preset' else key}' does not apply to {name}")
            continue
        own.used.add(override)
    return own


def _unused(override: str, composed: Composed, run_keys: set[str]) -> ConfigError:
    """Return the error for an override that applies to no competition."""
    names = ", ".join(composed.competitions)
    if override_key(override) == "preset":
        return ConfigError(f"'{override}' does not apply to {names}")
    known = {key for each in composed.competitions.values() for key, _ in leaves(each)}
    # The user may have meant a section: allow every prefix of each key.
    known |= {key[: match.start()] for key in known for match in re.finditer(r"\.", key)}
    hint = nearest(override_key(override), sorted(known | run_keys))
    return ConfigError(f"'{override_key(override)}' is no setting of {names}{hint}")


def check(values: Any, schema: type[T], where: str) -> T:
    """Check plain values against a type.

    Parameters
    ----------
    values : mapping
        The content of a YAML file.
    schema : type
        A type of `ripen.settings.schema`, or that of a registry's entry.
    where : str
        The file, and the section's key if it is part of a file; for errors.

    Raises
    ------
    ConfigError
        For an unknown or missing key, a wrong type or an invalid value. The error names the key
        and, for a misspelled one, the nearest valid key.
    """
    try:
        # JSON, because strict validation of Python values accepts only dataclasses.
        return TypeAdapter(schema).validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            raise ConfigError(f"{where}: unknown key '{key}'{nearest(key, keys(schema))}") from None
        if first["type"] in ("missing", "missing_argument"):
            raise ConfigError(f"{where}: key '{key}' is missing") from None
        if (address := ".".join(key.split(".")[:2])) in _CREDENTIALS:
            raise ConfigError(
                f"{where}: {address} must be an address without user and password: "
                f"{_CREDENTIALS[address]}. Its parameters may be: {', '.join(PARAMETERS)}"
            ) from None
        if first["type"] == "value_error":  # raised by a section's own validator
            section = f"{key}: " if key else ""
            raise ConfigError(f"{where}: {section}{first['ctx']['error']}") from None
        message = first["msg"][0].lower() + first["msg"][1:]
        came = hidden(repr(first["input"]))
        if not key:
            raise ConfigError(f"{where}: a mapping is needed, not {came}") from None
        raise ConfigError(f"{where}: {key} is {came}: {message}") from None


def as_mapping(section: object) -> dict[str, Any]:
    """Return a section as plain values, as `params.yaml` holds them."""
    values: dict[str, Any] = TypeAdapter(type(section)).dump_python(section, by_alias=True)
    return values


def changed(section: T, **values: Any) -> T:
    """Return a section with some of its values changed, checked again."""
    adapter = TypeAdapter(type(section))
    return adapter.validate_json(json.dumps(as_mapping(section) | values))


def load_run(params: Path = PARAMS) -> Run:
    """Read the settings of the run from `params.yaml`.

    Raises
    ------
    ConfigError
        If the file is missing, not YAML, or invalid.
    """
    return run_of(read(params), params)


def run_of(values: Mapping[str, Any], params: Path = PARAMS) -> Run:
    """Return the settings of the run from the values of `params.yaml`."""
    kept = {each.name: values[each.name] for each in fields(Run) if each.name in values}
    return check(kept, Run, str(params))


def load_competition(name: str, params: Path = PARAMS) -> Competition:
    """Read one competition's settings from `params.yaml`.

    Raises
    ------
    ConfigError
        If the file is missing, not YAML or invalid, or lacks the competition.
    """
    chosen = read(params).get("competition")
    if not isinstance(chosen, Mapping) or name not in chosen:
        raise ConfigError(f"{params} holds no {name}. Run: ripen compose 'competitions=[{name}]'")
    return check(chosen[name], Competition, f"{params}: {OWN}{name}")


def keys(schema: Any, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a schema."""
    for each in fields(schema):
        name = f"{prefix}{key_of(each.name)}"
        yield name
        for kind in (each.type, *get_args(each.type)):
            if isinstance(kind, type) and is_dataclass(kind):  # a check of pydantic's is one too
                yield from keys(kind, f"{name}.")


def _owner(override: str, names: Iterable[str]) -> tuple[str | None, str]:
    """Split `competition.NAME.` off an override; without it the owner is None."""
    prefix = override[: len(override) - len(override.lstrip("+~"))]
    rest = override.lstrip("+~")
    if not rest.startswith(OWN):
        return None, override
    name, _, inner = rest.removeprefix(OWN).partition(".")
    if name not in names:
        raise ConfigError(
            f"'{override_key(override)}': {name} is not chosen. Chosen: {', '.join(names)}"
        )
    return name, prefix + inner
