"""Primary configs: one competition's settings, or those of the run, as Hydra composes them."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ripen.core.errors import ConfigError
from ripen.core.registry import nearest
from ripen.settings.schema import Competition, Run
from ripen.settings.typed import key_of
from ripen.settings.yaml_files import read

if TYPE_CHECKING:  # most stages only read what is composed already
    from omegaconf import DictConfig

SETTINGS = {key_of(each.name) for kind in (Run, Competition) for each in fields(kind)}
Files = tuple[tuple[Path, int, int, int], ...]


def conf_files(conf: Path) -> Files:
    """Return the files of `conf/`, each with what changes when it is written again."""
    found = ((path, path.stat()) for path in sorted(conf.rglob("*.yaml")) if path.is_file())
    return tuple((path, stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in found)


# Without overrides Hydra composes the same until a file changes, and takes a tenth of a second.
@lru_cache(maxsize=32)
def run_config(conf: Path, files: Files) -> "PrimaryConfig":
    return PrimaryConfig("run", read(conf / "config.yaml"), conf)


@lru_cache(maxsize=32)
def competition_config(name: str, conf: Path, files: Files) -> "PrimaryConfig":
    """Return a competition's file as Hydra's primary config, on top of its kind."""
    file = conf / "competition" / f"{name}.yaml"
    values = read(file)
    defaults = values.pop("defaults", None) or ["/kind/table"]
    if not isinstance(defaults, list):
        raise ConfigError(f"{file}: defaults must be a list, for instance [/kind/table]")
    below = [each for each in defaults if each != "_self_"]
    return PrimaryConfig(name, {"defaults": [*below, "_self_"], **values}, conf)


class PrimaryConfig:
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
        return (
            not override.endswith("=null")
            or self._at(override_key(override).split(".")) is not None
        )

    def takes(self, override: str) -> bool:
        """Whether the competition has the setting, or the section to which it would be added."""
        key = override_key(override)
        *sections, _ = path = key.split(".")
        if path[0] not in SETTINGS and path[0] not in self._referenced:
            return False
        if (self._conf / key).is_dir():  # a group of options: solver=adam
            return key in self._plain
        return isinstance(self._at(sections), Mapping)

    def _at(self, path: Sequence[str]) -> Any:
        """Return the value at a path of keys; None if there is none."""
        section: Any = self._plain
        for part in path:
            section = section.get(part) if isinstance(section, Mapping) else None
        return section

    def resolved(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Return the values with overrides, without the sections that only serve interpolations."""
        # Hydra has no null for a group: sweep=null drops the section.
        null = [o for o in overrides if o.endswith("=null") and self._is_group(o)]
        dropped = {key for key in map(override_key, null) if key in SETTINGS}
        overrides = [override for override in overrides if override_key(override) not in dropped]
        # Override referenced sections first: models.net.solver may be `${solver}`, and a part of it
        # can be overridden only after it is resolved.
        first = [o for o in overrides if self._is_group(o) or override_root(o) in self._referenced]
        values = deepcopy(self._plain)  # the caller's own
        if first:
            # solver=adam replaces the file's own section `solver` as a whole.
            groups = {override_key(override) for override in filter(self._is_group, first)}
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
            if override_key(override) in ("source", "metric"):
                kept[override_key(override)] = {}
            if override_key(override) not in ("validation", "validation.split"):
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
        return (self._conf / override_key(override)).is_dir()

    def _reason(self, error: Exception, overrides: Sequence[str]) -> str:
        """Return Hydra's error as one line that names the override to correct."""
        for override in filter(self._is_group, overrides):
            key, _, value = override.lstrip("+~").partition("=")
            options = sorted(path.stem for path in (self._conf / key).glob("[!_]*.yaml"))
            if value not in options:
                return f"{self._conf}/{key}/ has no '{value}'{nearest(value, options)}"
        reason = " ".join(str(error).split())
        return f"{self._conf}/ cannot be composed for {self._name}: {reason}"


def _changed(values: "Mapping[str, Any] | DictConfig", overrides: Sequence[str]) -> Any:
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
    changed: Any = (
        deepcopy(values) if OmegaConf.is_config(values) else OmegaConf.create(dict(values))
    )
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


def override_key(override: str) -> str:
    """Return the dotted key of an override: `solver.base_lr` of `+solver.base_lr=0.1`."""
    return override.lstrip("+~").partition("=")[0]


def override_root(override: str) -> str:
    """Return the first part of an override's key."""
    return override_key(override).partition(".")[0]
