"""`ripen doctor`: what works on this machine, what is missing, and the command that mends it.

It changes nothing, asks no server and prints no credential.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.version import Version

from caffe import real
from ripen.core.errors import DataError
from ripen.core.repository import git

PYTHONS = ((3, 11), (3, 13))
KAGGLE = Version("2.2")  # as pyproject.toml has it
NEEDED = 5  # GiB: the environment, and the default competitions with their cache
MARKS = {"works": "✓", "missing": "✗", "optional": "–"}
INSTALL = ".venv/bin/pip install -c constraints.txt -e '.[{}]'"


@dataclass(frozen=True)
class Finding:
    """One check of the machine: its subject, its state, and the command or variable that mends it.

    `state` is "missing" if every run needs it, "optional" if only some do.
    """

    name: str
    state: Literal["works", "missing", "optional"]
    found: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"\n  {'':16}→ {self.mend}" if self.mend else ""
        return f"{MARKS[self.state]} {self.name:16}{self.found}{mend}"


def run(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> int:
    """Print every finding; return 1 if something is missing that every run needs."""
    findings = list(examine(environment, home or Path.home()))
    for finding in findings:
        print(finding)
    missing = [finding.name for finding in findings if finding.state == "missing"]
    print(f"missing: {', '.join(missing)}" if missing else "A run has all that it needs.")
    return DataError.exit_code if missing else 0


def examine(environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    """Yield the checks that concern every run, then those that concern only some.

    Parameters
    ----------
    environment : mapping of str to str
        Variables.
    home : Path
        The user's folder, where Kaggle's credentials may be.
    """
    yield _python()
    yield _torch()
    yield _git()
    yield _repository()
    yield _dvc()
    yield _disk()
    yield _kaggle_client()
    yield _kaggle_credentials(environment, home)
    yield _mirror(environment)
    yield _real_caffe()
    yield _graphviz()


def _python() -> Finding:
    here, (least, most) = sys.version_info[:2], PYTHONS
    if least <= here <= most:
        return Finding("Python", "works", f"{sys.version.split()[0]}, {sys.executable}")
    allowed = " to ".join(".".join(map(str, each)) for each in PYTHONS)
    mend = "make repro PYTHON=python3.11"
    return Finding("Python", "missing", f"{sys.version.split()[0]}; {allowed} are needed", mend)


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # a build for other libraries than this machine's
        return Finding("PyTorch", "missing", str(error).splitlines()[0], "make repro")
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    else:
        device = f"no GPU, threads: {torch.get_num_threads()}"
    return Finding("PyTorch", "works", f"{torch.__version__}, {device}")


def _git() -> Finding:
    if shutil.which("git") is None:
        return Finding("git", "missing", "not found", "sudo apt-get install git")
    return Finding("git", "works", git("--version").removeprefix("git version "))


def _repository() -> Finding:
    if git("rev-parse", "--is-inside-work-tree") != "true":
        found = f"{Path.cwd()} is in none"
        return Finding("repository", "missing", found, "git clone ADDRESS, then cd ripen")
    changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
    state = f"{len(changed)} tracked files changed" if changed else "as committed"
    return Finding("repository", "works", f"{git('rev-parse', '--short', 'HEAD')}, {state}")


def _dvc() -> Finding:
    found = _version("dvc")
    if found is None:
        return Finding("DVC", "missing", "not installed", "make repro")
    return Finding("DVC", "works", str(found))


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = f"{free:,.1f} GiB free"
    if free < NEEDED:
        mend = ".venv/bin/dvc gc --workspace  (deletes what no current stage refers to)"
        return Finding("disk", "optional", f"{found}; {NEEDED} are comfortable", mend)
    return Finding("disk", "works", found)


def _kaggle_client() -> Finding:
    found, install = _version("kaggle"), INSTALL.format("kaggle")
    if found is None:
        return Finding("Kaggle's client", "optional", "not installed", install)
    if found < KAGGLE:
        return Finding("Kaggle's client", "optional", f"{found} is older than {KAGGLE}", install)
    return Finding("Kaggle's client", "works", str(found))


def _kaggle_credentials(environment: Mapping[str, str], home: Path) -> Finding:
    """Look where the client looks, in its order; whether they are valid only Kaggle can say."""
    folder = Path(environment.get("KAGGLE_CONFIG_DIR") or home / ".kaggle")
    places = {
        "KAGGLE_API_TOKEN": "KAGGLE_API_TOKEN" in environment,
        "~/.kaggle/access_token": (home / ".kaggle" / "access_token").is_file(),
        "KAGGLE_USERNAME and KAGGLE_KEY": {"KAGGLE_USERNAME", "KAGGLE_KEY"} <= set(environment),
        f"{folder / 'kaggle.json'}": (folder / "kaggle.json").is_file(),
    }
    for place, there in places.items():
        if there:
            return Finding("Kaggle's login", "works", f"{place} (not tried)")
    mend = "put a token from https://www.kaggle.com/settings/api into ~/.kaggle/access_token"
    return Finding("Kaggle's login", "optional", "none found", mend)


def _mirror(environment: Mapping[str, str]) -> Finding:
    given = environment.get("RIPEN_MIRROR")
    if given and Path(given).is_dir():
        return Finding("mirror", "works", given)
    found = f"RIPEN_MIRROR is '{given}', which is not a folder" if given else "none"
    return Finding("mirror", "optional", found, "export RIPEN_MIRROR=FOLDER, if you have copies")


def _real_caffe() -> Finding:
    found = real.installed()
    if found is not None:
        return Finding("real Caffe", "works", str(found))
    mend = "uv python install 3.9; the first run with engine=real installs the rest"
    return Finding("real Caffe", "optional", "not installed (only engine=real needs it)", mend)


def _graphviz() -> Finding:
    found = shutil.which("dot")
    if found is None:
        return Finding("Graphviz", "optional", "not found", "sudo apt-get install graphviz")
    return Finding("Graphviz", "works", found)


def _version(distribution: str) -> Version | None:
    try:
        return Version(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return None
