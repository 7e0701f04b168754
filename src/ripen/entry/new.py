"""`ripen new`: read a competition's files, propose its settings, ask, and write them."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ripen.competition.metrics import METRICS
from ripen.core.atomic import write_text
from ripen.core.errors import DataError, RipenError, UsageError, shown
from ripen.core.layout import Layout
from ripen.core.registry import nearest
from ripen.data.sources import Item, fetch
from ripen.entry import kaggle_page
from ripen.entry.files import read
from ripen.entry.kaggle_page import KagglePage
from ripen.entry.proposal import propose
from ripen.settings.compose import CONF
from ripen.stages import settings

DECIDES = {
    "label": "accuracy, or f1",
    "probability": "roc_auc, or log_loss",
    "multiclass": "accuracy",
    "regression": "rmse",
}
"""Metrics that decide on a task or a form of submission, where the files do not."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def new(
    name: str,
    kaggle: str | None,
    files: Path | None,
    yes: bool,
    metric: str | None = None,
    drop_unlabelled: bool = False,
    conf: Path = CONF,
) -> Path:
    """Write ``conf/competition/<name>.yaml``.

    Parameters
    ----------
    name : str
        Name of the competition in ripen.
    kaggle : str, optional
        Its name on Kaggle.
    files : Path, optional
        A folder or zip with its files, instead of Kaggle.
    yes : bool
        Take the likeliest option where the files do not decide, and write without asking.
    metric : str, optional
        Of the registry: it decides on the form of the submission as well.
    drop_unlabelled : bool
        Leave out training rows without a target; otherwise they are an error.
    conf : Path

    Raises
    ------
    UsageError
        If the name is taken or invalid, the metric is unknown, or a question comes up without a
        terminal.
    DataError
        If the files do not show what is predicted; nothing is written.
    SourceError
        If Kaggle does not send the files.
    """
    target = check_name(name, conf)
    if metric is not None and metric not in METRICS:
        raise UsageError(f"unknown metric '{metric}'{nearest(metric, METRICS)}")
    page, source, path = _from_kaggle(name, kaggle) if kaggle else _from_files(files)
    for note in page.notes() if page else ():
        print(note)
    text = propose(name, source, read(path), page, Asked(yes), metric, drop_unlabelled)
    print(f"\n{target}:\n\n{text}")
    if not yes and not _agreed(target):
        raise UsageError(f"{target} is not written")
    _write(target, text, name, conf)
    print(f"written: {target}")
    print(f"next: ripen check {name}, then: ripen run 'competitions=[{name}]'")
    return target


def check_name(name: str, conf: Path) -> Path:
    """Return the file of a new competition.

    Raises
    ------
    UsageError
        If the name is taken or invalid.
    """
    target = conf / "competition" / f"{name}.yaml"
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
        hint = f". For instance: {near}" if _NAME.fullmatch(near) else ""
        raise UsageError(f"'{name}' is no name: small letters, digits and _ are allowed{hint}")
    if os.path.exists(target):
        raise UsageError(f"'{name}' is taken: {target} exists. Choose another name, or delete it")
    return target


class Asked:
    """Asks on the terminal; with `yes` takes the likeliest option and reports it."""

    def __init__(self, yes: bool) -> None:
        self._yes = yes

    def __call__(self, key: str, options: Sequence[str], reason: str) -> str:
        """Return one of the options (`ripen.entry.facts.Ask`)."""
        if self._yes:
            other = options[1]
            told = (
                f". For {other}: --metric {DECIDES[other]}" if key in ("task", "submission") else ""
            )
            chosen = f"Chosen: {options[0]}, not {' or '.join(options[1:])}"
            print(f"not sure of {key}: {reason}. {chosen}{told}")
            return options[0]
        if not _terminal():
            raise UsageError(f"not sure of {key}: {reason}. Run it on a terminal, or with --yes")
        print(f"{key}: {reason}")
        for number, option in enumerate(options, 1):
            print(f"  {number}: {option}{' (likeliest)' if number == 1 else ''}")
        while True:
            answer = _answer(f"which? [1-{len(options)}, Enter for 1] ") or "1"
            if answer in options:
                return answer
            if answer.isdecimal() and 1 <= int(answer) <= len(options):
                return options[int(answer) - 1]
            print(f"'{shown(answer)}' is none of them")


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _agreed(target: Path) -> bool:
    if not _terminal():
        raise UsageError("This is not a terminal, so no question can be asked. Add --yes")
    return _answer(f"Write {target}? [Y/n] ").lower() in ("", "y", "yes")


def _answer(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:  # Ctrl-D means what Ctrl-C does
        raise KeyboardInterrupt from None


def _from_kaggle(name: str, slug: str) -> tuple[KagglePage, dict[str, Any], Path]:
    """Query Kaggle, and download the archive to where the stage `fetch` finds it."""
    page = kaggle_page.read(slug)
    target = Layout(name).download / f"{slug}.zip"
    if not target.exists():
        fetch(["mirror", "kaggle"], Item(target.name, at={"kaggle": slug}), target)
    return page, {"kaggle": slug}, target


def _from_files(files: Path | None) -> tuple[None, dict[str, Any], Path]:
    assert files is not None  # the command line requires one of the two
    if os.path.isfile(files) and files.suffix.lower() != ".zip":
        raise DataError(f"{files}: is neither a folder nor a zip file")
    return None, {"folder": files.as_posix()}, files


def _write(target: Path, text: str, name: str, conf: Path) -> None:
    """Write the settings, and remove the file again if they do not compose."""
    write_text(target, text)
    try:
        settings.compose([f"competitions=[{name}]"], conf)
    except RipenError:
        target.unlink()
        raise
