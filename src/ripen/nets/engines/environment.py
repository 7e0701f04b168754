"""An environment of its own for real Caffe 1.0: CPython 3.9 and pinned wheels, made once."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import filelock

from ripen.core.errors import EngineUnavailable

VARIABLE = "RIPEN_REAL_CAFFE_PYTHON"
SCRIPT = Path(__file__).with_name("pycaffe.py")
_BLOCK = re.compile(r"^# /// script\n(?P<toml>(#( .*)?\n)+?)# ///$", re.MULTILINE)


def interpreter() -> Path:
    """Return a Python that can import real Caffe; make its environment where there is none.

    It is in the user's cache folder, by a hash of the wheels that `pycaffe.py` names. The
    environment variable RIPEN_REAL_CAFFE_PYTHON names another Python that has Caffe already.

    Raises
    ------
    EngineUnavailable
        If there is no CPython 3.9, or the wheels cannot be installed.
    """
    if given := os.environ.get(VARIABLE):
        if not os.access(given, os.X_OK):
            raise EngineUnavailable(f"{VARIABLE} is '{given}': no such program")
        return Path(given)
    wheels = dependencies(SCRIPT)
    digest = hashlib.sha256("\n".join(wheels).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ripen" / f"real-caffe-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            _install(_python39(), wheels, folder)
    return folder / "bin" / "python"


def dependencies(script: Path) -> list[str]:
    """Return the requirements that a script's own metadata names (PEP 723).

    Raises
    ------
    ValueError
        If it has none.
    """
    found = _BLOCK.search(script.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{script}: has no block '# /// script'")
    text = "\n".join(line[2:] for line in found["toml"].splitlines())
    return list(tomllib.loads(text)["dependencies"])


def _python39() -> str:
    uv = shutil.which("uv")
    found = [
        shutil.which("python3.9"),
        *sorted(map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python"))),
        uv and _output(uv, "python", "find", "--no-python-downloads", "3.9"),
    ]
    for python in filter(None, found):
        if _output(python, "-c", "import sys; print(sys.version_info[:2])") == "(3, 9)":
            return python
    raise EngineUnavailable(
        "real Caffe 1.0 needs CPython 3.9, and there is none here. Get one with 'uv python install "
        f"3.9' or 'pyenv install 3.9', or name in {VARIABLE} a Python that has Caffe, or take "
        "engine=torch"
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _install(python: str, wheels: list[str], folder: Path) -> None:
    print(f"an environment for real Caffe 1.0 is made, once: {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]
    for command in (
        [python, "-I", "-m", "venv", str(folder)],
        [*pip, "install", "--quiet", "--only-binary", ":all:", *wheels],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise EngineUnavailable(
                f"real Caffe 1.0 cannot be installed: {said[-1] if said else 'no reason given'}. "
                f"A Python that has it can be named in {VARIABLE}"
            )
    (folder / "complete").touch()
