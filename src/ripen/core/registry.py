"""Registries: one name, one entry, and a new entry is one new file.

A registry is a package whose modules register their entries, so there is no list of modules to
maintain. A look-up imports the module that has the entry's name. If there is none, or the registry
is iterated, all modules are imported.
"""

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from ripen.core.errors import ConfigError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Entries by name, from the modules of one package.

    Parameters
    ----------
    what : str
        The kind of entry, for errors: "metric", "estimator".
    package : str
        The package whose modules register the entries.
    """

    def __init__(self, what: str, package: str) -> None:
        self._what, self._package = what, package
        self._entries: dict[str, T] = {}
        self._imported = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds an entry under a name.

        Raises
        ------
        ValueError
            If the name is taken.
        """

        def registered(entry: T) -> T:
            self.add(name, entry)
            return entry

        return registered

    def add(self, name: str, entry: T) -> None:
        """Add an entry that is not a function or class, and so cannot be decorated by `register`.

        Raises
        ------
        ValueError
            If the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"two {self._what}s are called '{name}'")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        """Return an entry.

        Raises
        ------
        ConfigError
            If there is no such entry. The error names the nearest one.
        """
        if name not in self:
            raise ConfigError(f"unknown {self._what} '{name}'{nearest(name, self)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        # Mapping's own test expects a KeyError, and `__getitem__` raises an error for the user.
        return name in self._entries or self._own_module(name) or name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())

    def _own_module(self, name: object) -> bool:
        """Import the module of a name; return whether it registers an entry of that name."""
        if not isinstance(name, str) or not name.isidentifier():
            return False
        module = f"{self._package}.{name}"
        if importlib.util.find_spec(module) is None:
            return False
        importlib.import_module(module)
        return name in self._entries

    def _all(self) -> dict[str, T]:
        if not self._imported:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._imported = True
        return self._entries


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message: the most similar name, or all that are allowed.

    >>> nearest("log_los", ["accuracy", "log_loss"])
    "; did you mean 'log_loss'?"
    >>> nearest("x", ["accuracy", "log_loss"])
    '. Allowed: accuracy, log_loss'
    """
    candidates = list(allowed)
    last = name.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6) or [
        candidate for candidate in candidates if candidate.rsplit(".", 1)[-1] == last
    ]
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = [candidate for candidate in candidates if "." not in candidate]
    return f". Allowed: {', '.join(shown)}" if shown else ""
