"""The zoo: nets with a published definition or published weights, by name.

A net is a definition in one file of this folder and a folder of the same name in `models/`, whose
readme is its contract (`ripen.nets.contract`). The files are found, not listed: a new family of
nets is a new file and changes no other.
"""

import importlib
import pkgutil

from ripen.nets.definition import Definition, registry

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

DEFINITIONS: dict[str, Definition] = registry()

__all__ = ["DEFINITIONS"]
