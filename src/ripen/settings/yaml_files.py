"""Files of settings: YAML as Hydra reads it, and as `params.yaml` is written."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ripen.core.errors import ConfigError
from ripen.core.lineage import LOADER


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
