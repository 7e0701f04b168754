"""Compose `conf/` with Hydra's overrides, and read and check the result, `params.yaml`.

Each competition is composed on its own: its file on top of its kind, with the overrides that apply
to it. An override at the top level (`solver.base_lr=0.01`) therefore holds for every competition
that has the setting. The prefix `competition.NAME.` restricts it to one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from ripen.core.addresses import PARAMETERS, hidden, is_open
from ripen.core.errors import ConfigError
from ripen.core.lineage import LOADER, leaves
from ripen.core.registry import nearest
from ripen.settings.schema import Competition, Run
from ripen.settings.typed import key_of

if TYPE_CHECKING:  # most stages only read what is composed already
    from omegaconf import DictConfig

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
SETTINGS = {key_of(field.name) for kind in (Run, Competition) for field in fields(kind)}
Files = tuple[tuple[Path, int, int, int], ...]
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
    run_keys = {field.name for field in fields(Run)}
    of_run = [o for o in overrides if _key(o).partition(".")[0] in run_keys]
    files = _files(conf)
    run = _run(conf, files).resolved(of_run)
    names = [str(name) for name in run.get("competitions") or ()]
    for name in names:
        if name not in available(conf):
            raise ConfigError(
                f"competitions: there is no {conf}/competition/{name}.yaml"
                f"{nearest(name, available(conf))}"
            )
    competitions, notes, named = {}, list[str](), dict[str, set[str]]()
    unused = [override for override in overrides if override not in of_run]
    for name in names:
        definition = _competition(name, conf, files)
        mine, preset = [], list[str]()
        for override in [override for override in overrides if override not in of_run]:
            owner, stripped = _owner(override, names)
            if owner not in (None, name):
                continue
            if _key(stripped) == "preset":
                given = definition.preset(stripped.partition("=")[2])
                if given is None:
                    notes.append(f"'{stripped}' does not apply to {name}")
                else:
                    preset = given
                    unused = [other for other in unused if other != override]
            elif definition.takes(stripped):
                mine.append(stripped)
                unused = [other for other in unused if other != override]
            else:
                notes.append(f"'{_key(stripped)}' does not apply to {name}")
        competitions[name] = definition.resolved(preset + mine)
        chosen = [_key(override).split(".") for override in mine]
        named[name] = {*(definition.values.get("models") or {})}
        named[name] |= {key[1] for key in chosen if key[0] == "models" and len(key) > 1}
    for override in unused:
        if _key(override) == "preset":
            raise ConfigError(f"'{override}' does not apply to {', '.join(names)}")
        known = {key for each in competitions.values() for key, _ in leaves(each)}
        # The user may have meant a section: allow every prefix of each key.
        known |= {key[: match.start()] for key in known for match in re.finditer(r"\.", key)}
        raise ConfigError(
            f"'{_key(override)}' is no setting of {', '.join(names)}"
            f"{nearest(_key(override), sorted(known | run_keys))}"
        )
    return Composed(run | {"overrides": list(overrides)}, competitions, notes, named)


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
    kept = {field.name: values[field.name] for field in fields(Run) if field.name in values}
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


class _Dumper(yaml.SafeDumper):
    """Writes a section without subsections on one line, to keep `params.yaml` short."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        nested = any(isinstance(value, Mapping) for value in dict(mapping).values())
        return super().represent_mapping(tag, mapping, flow_style=not nested)


def dump(values: Mapping[str, Any]) -> str:
    """Write values as the text of `params.yaml`."""
    text: str = yaml.dump(
        dict(values),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )
    return text


def keys(schema: Any, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a schema."""
    for field in fields(schema):
        name = f"{prefix}{key_of(field.name)}"
        yield name
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and is_dataclass(kind):  # a check of pydantic's is one too
                yield from keys(kind, f"{name}.")


def read(params: Path) -> dict[str, Any]:
    """Read a file of settings as plain values, unchecked.

    Raises
    ------
    ConfigError
        If the file is missing, not YAML in UTF-8, or not a mapping.
    """
    try:
        with params.open(encoding="utf-8") as file:
            values = yaml.load(file, _Loader)
    except FileNotFoundError:
        raise ConfigError(f"{params} is missing. Run: ripen compose") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{params}: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{params}: a mapping of settings is needed")
    return {str(key): value for key, value in values.items()}


class _Loader(LOADER):  # type: ignore[misc, valid-type]
    """Reads YAML as Hydra does: 1e-4 is a number, a date is text, and no key may stand twice.

    Every stage reads `params.yaml`. OmegaConf's own loader takes ten times as long.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        known = set()
        for key, _ in node.value:
            if key.tag != yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG:
                continue
            if key.value in known:
                raise yaml.constructor.ConstructorError(
                    "while constructing a mapping", node.start_mark,
                    f"found duplicate key {key.value}", key.start_mark,
                )  # fmt: skip
            known.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in LOADER.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _files(conf: Path) -> Files:
    """Return the files of `conf/` and what changes with them."""
    found = ((path, path.stat()) for path in sorted(conf.rglob("*.yaml")) if path.is_file())
    return tuple((path, stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in found)


# Without overrides Hydra composes the same until a file changes, and takes a tenth of a second.
@lru_cache(maxsize=32)
def _run(conf: Path, files: Files) -> "_Definition":
    return _Definition("run", read(conf / "config.yaml"), conf)


@lru_cache(maxsize=32)
def _competition(name: str, conf: Path, files: Files) -> "_Definition":
    """Return a competition's file as Hydra's primary config, on top of its kind."""
    file = conf / "competition" / f"{name}.yaml"
    values = read(file)
    defaults = values.pop("defaults", None) or ["/kind/table"]
    if not isinstance(defaults, list):
        raise ConfigError(f"{file}: defaults must be a list, for instance [/kind/table]")
    below = [each for each in defaults if each != "_self_"]
    return _Definition(name, {"defaults": [*below, "_self_"], **values}, conf)


class _Definition:
    """A primary config of Hydra's, kept in memory.

    A config file would need Hydra's package header, which a competition's file should not have.
    """

    def __init__(self, name: str, values: Mapping[str, Any], conf: Path) -> None:
        from omegaconf import OmegaConf

        self._name, self.values, self._conf = name, values, conf
        self._open = self._composed(values, [])
        self._referenced = _referenced(OmegaConf.to_container(self._open))
        self._plain = self._container(self._open)

    def preset(self, name: str) -> list[str] | None:
        """Return the overrides of a preset that apply; None if it has none for this competition.

        `conf/preset/NAME.yaml` lists overrides under a competition's reader (``table``), and under
        its reader and splitter (``table.kfold``). Those of a model that it lacks are skipped.
        """
        folder = self._conf / "preset"
        if not (file := folder / f"{name}.yaml").exists():
            options = sorted(path.stem for path in folder.glob("*.yaml"))
            raise ConfigError(f"{folder}/ has no '{name}'{nearest(name, options)}")
        sections = read(file)
        reader = str(self._plain.get("reader"))
        split = (self._plain.get("validation") or {}).get("split")
        listed = [o for key in (reader, f"{reader}.{split}") for o in sections.get(key) or ()]
        taken = [override for override in listed if self.takes(override) and self._drops(override)]
        return taken if taken or not sections else None

    def _drops(self, override: str) -> bool:
        """Whether an override to null has something to drop; True for any other override."""
        section: Any = self._plain
        for part in _key(override).split("."):
            section = section.get(part) if isinstance(section, Mapping) else None
        return section is not None or not override.endswith("=null")

    def takes(self, override: str) -> bool:
        """Whether the competition has the setting, or the section to which it would be added."""
        key = _key(override)
        first, *rest = key.split(".")
        if first not in SETTINGS and first not in self._referenced:
            return False
        if (self._conf / key).is_dir():  # a group of options: solver=adam
            return key in self._plain
        section: Any = self._plain
        for part in [first, *rest][:-1]:
            section = section.get(part) if isinstance(section, Mapping) else None
        return isinstance(section, Mapping)

    def resolved(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Return the values with overrides, without the sections that only serve interpolations."""
        # Hydra has no null for a group: sweep=null drops the section.
        null = [o for o in overrides if o.endswith("=null") and self._is_group(o)]
        dropped = {key for key in map(_key, null) if key in SETTINGS}
        overrides = [override for override in overrides if _key(override) not in dropped]
        # Override referenced sections first: models.net.solver may be `${solver}`, and a part of it
        # can be overridden only after it is resolved.
        first = [o for o in overrides if self._is_group(o) or self._root(o) in self._referenced]
        values = deepcopy(self._plain)  # the caller's own
        if first:
            # solver=adam replaces the file's own section `solver` as a whole.
            groups = {_key(override) for override in filter(self._is_group, first)}
            kept = {key: value for key, value in self.values.items() if key not in groups}
            changed = None if groups else _changed(self._open, first)
            values = self._container(changed or self._composed(kept, first))
        # A file that names a splitter replaces its kind's, whose settings Hydra would merge in.
        own = self.values.get("validation")
        if isinstance(own, Mapping) and "split" in own:
            values["validation"] = deepcopy(dict(own))
        if later := [override for override in overrides if override not in first]:
            kept = self._without_former(values, later)
            values = self._container(_changed(kept, later) or self._composed(kept, later))
        values |= dict.fromkeys(dropped)
        return {
            key: value
            for key, value in values.items()
            if key in SETTINGS or not (key in self._referenced or (self._conf / key).is_dir())
        }

    def _without_former(self, values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
        """Drop the settings of a source, metric or splitter that an override replaces.

        Hydra would merge them with those of the new one.
        """
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from hydra.errors import HydraException

        kept = dict(values)
        for override in overrides:
            if _key(override) in ("source", "metric"):
                kept[_key(override)] = {}
            if _key(override) not in ("validation", "validation.split"):
                continue
            try:
                value = OverridesParser.create().parse_override(override).value()
            except HydraException as error:
                raise ConfigError(self._reason(error, overrides)) from None
            split = value.get("split") if isinstance(value, dict) else value
            if split not in (None, (values.get("validation") or {}).get("split")):
                kept["validation"] = {}
        return kept

    def _composed(self, values: Mapping[str, Any], overrides: Sequence[str]) -> "DictConfig":
        """Let Hydra compose, without resolving interpolations."""
        # Imported here because a stage that reads params.yaml needs no Hydra.
        from hydra import compose as hydra_compose
        from hydra import initialize_config_dir
        from hydra.core.config_store import ConfigStore
        from hydra.errors import HydraException
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        # `++` may add a key. conf/ does not list estimators' defaults, and the schema checks all
        # keys.
        given = [o if o[:1] in "+~" or self._is_group(o) else f"++{o}" for o in overrides]
        try:
            ConfigStore.instance().store(f"ripen_{self._name}", OmegaConf.create(dict(values)))
            with initialize_config_dir(str(self._conf.absolute()), version_base=None):
                return hydra_compose(f"ripen_{self._name}", given)
        except (
            HydraException,
            OmegaConfBaseException,
            yaml.YAMLError,
            ValueError,
            RecursionError,
            OSError,  # of a name in `defaults` that no file can have
        ) as error:
            raise ConfigError(self._reason(error, overrides)) from None

    def _container(self, composed: "DictConfig") -> dict[str, Any]:
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            values = OmegaConf.to_container(composed, resolve=True)
        except OmegaConfBaseException as error:
            raise ConfigError(self._reason(error, ())) from None
        assert isinstance(values, dict)
        return {str(key): value for key, value in values.items()}

    def _is_group(self, override: str) -> bool:
        return (self._conf / _key(override)).is_dir()

    @staticmethod
    def _root(override: str) -> str:
        return _key(override).partition(".")[0]

    def _reason(self, error: Exception, overrides: Sequence[str]) -> str:
        """Return Hydra's error as one line that names the override to correct."""
        for override in filter(self._is_group, overrides):
            key, _, value = override.lstrip("+~").partition("=")
            options = sorted(path.stem for path in (self._conf / key).glob("[!_]*.yaml"))
            if value not in options:
                return f"{self._conf}/{key}/ has no '{value}'{nearest(value, options)}"
        reason = " ".join(str(error).split())
        return f"{self._conf}/ cannot be composed for {self._name}: {reason}"


def _changed(values: "dict[str, Any] | DictConfig", overrides: Sequence[str]) -> Any:
    """Return values with overrides, or None where Hydra itself has to compose.

    An override of single values needs no file. Hydra would read its own dozen again, which takes
    most of its time. It has the words for whatever is wrong.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if any(override[:1] in "+~" for override in overrides):
        return None
    changed: Any = deepcopy(values)
    if not OmegaConf.is_config(changed):
        changed = OmegaConf.create(changed)
    try:
        for each in OverridesParser.create().parse_overrides([f"++{o}" for o in overrides]):
            if each.is_sweep_override() or each.package is not None:
                return None
            OmegaConf.update(changed, each.key_or_group, each.value(), merge=True, force_add=True)
    except (HydraException, OmegaConfBaseException, ValueError, RecursionError):
        return None
    return changed


def _referenced(values: Any) -> set[str]:
    """Return the first keys of all interpolations: `${solver.base_lr}` gives "solver"."""
    if isinstance(values, Mapping | list):
        inner = values.values() if isinstance(values, Mapping) else values
        return {key for each in inner for key in _referenced(each)}
    return set(re.findall(r"\$\{(\w+)", values)) if isinstance(values, str) else set()


def _owner(override: str, names: Iterable[str]) -> tuple[str | None, str]:
    """Split `competition.NAME.` off an override; without it the owner is None."""
    prefix = override[: len(override) - len(override.lstrip("+~"))]
    rest = override.lstrip("+~")
    if not rest.startswith(OWN):
        return None, override
    name, _, inner = rest.removeprefix(OWN).partition(".")
    if name not in names:
        raise ConfigError(f"'{_key(override)}': {name} is not chosen. Chosen: {', '.join(names)}")
    return name, prefix + inner


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]
