"""Sources: where the files of a competition and of a net come from.

A source is a file `from_<name>.py` of this folder that registers itself (`register`), so that a new
source is one new file and no edit.
"""

from ripen.data.sources.source import SOURCES, Item, Source, fetch, register

__all__ = ["SOURCES", "Item", "Source", "fetch", "register"]
