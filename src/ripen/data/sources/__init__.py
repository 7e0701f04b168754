"""Sources: where the files of a competition and of a net come from.

A source is a file `from_<name>.py` of this folder that registers itself (`register`). Importing the
package imports them all, so that a new source is one new file and no edit.
"""

import importlib
import pkgutil

from ripen.data.sources.source import Item, Source, fetch, register, registry

__all__ = ["Item", "Source", "fetch", "register", "registry"]

for _module in pkgutil.iter_modules(__path__):
    if _module.name.startswith("from_"):
        importlib.import_module(f"{__name__}.{_module.name}")
