"""Files of a DVC experiment, read from its commit and DVC's cache: nothing is checked out."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ripen.core.errors import DataError, UsageError
from ripen.core.registry import nearest

SHOWN = 20  # experiments, in an error


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment.

    Attributes
    ----------
    name : str
    commit : str
    """

    name: str
    commit: str

    def read(self, path: Path) -> bytes:
        """Return the content of a file, tracked by git or by DVC.

        Raises
        ------
        DataError
            If the experiment has no such file, or DVC's cache lacks it.
        """
        import dvc.api
        from dvc.exceptions import DvcException

        try:
            content: bytes = dvc.api.read(path.as_posix(), rev=self.commit, mode="rb")
        except (DvcException, OSError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise DataError(
                f"{path} of experiment '{self.name}' cannot be read: {reason}. If another machine "
                f"has it: dvc exp pull REMOTE {self.name}. If not: dvc exp apply {self.name}, then "
                "dvc repro"
            ) from None
        return content

    def json(self, path: Path) -> dict[str, Any]:
        """Return the content of a JSON file.

        Raises
        ------
        DataError
            As `read`, and if it is not a JSON object.
        """
        try:
            found = json.loads(self.read(path))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise DataError(f"{path} of experiment '{self.name}' is not a JSON object")
        return found


def find(name: str) -> Experiment:
    """Return an experiment by its name; a branch or a commit will do too.

    Raises
    ------
    UsageError
        If there is none: names the nearest.
    DataError
        If this is no repository of git and DVC.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.experiments.utils import exp_refs
    from dvc.scm import Git, RevError, SCMError, resolve_rev

    try:
        with Repo() as repo:
            if not isinstance(repo.scm, Git):
                raise DataError("there are DVC experiments in a git repository only. Run: git init")
            with suppress(RevError):
                if name:
                    return Experiment(name, str(resolve_rev(repo.scm, name)))
            names = sorted({info.name for info in exp_refs(repo.scm)})
    except (DvcException, SCMError) as error:
        raise DataError(f"DVC: {' '.join(str(error).split())}") from None
    hint = nearest(name, names[:SHOWN]) if names else ". There is none: dvc exp run makes one"
    raise UsageError(f"unknown DVC experiment {name!r}{hint}")
