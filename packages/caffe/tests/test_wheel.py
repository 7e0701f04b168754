"""The wheel in a bare environment: its declared dependencies suffice, and the README is right."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
FOREIGN = {"dvc", "mlflow", "hydra", "hydra-core", "pandas", "sklearn", "scikit-learn", "ripen"}
REPORT = """
import json, sys
exec(open("example.py").read())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, install) -> Path:
    """An empty folder with `venv`, where the wheel and what it depends on are installed."""
    if torch.version.cuda is not None:
        pytest.skip("installing this torch again would download gigabytes of CUDA")
    folder = tmp_path_factory.mktemp("bare")
    # From a copy: setuptools leaves `build` and `egg-info` beside what it builds.
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    done = subprocess.run([*pip, source], capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip(f"setuptools is not available to build with: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    (wheel,) = folder.glob("ripen_caffe-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    # torch first and by its exact version, so that nothing chooses another build of it.
    install(python, "--only-binary", ":all:", f"torch=={torch.__version__}")
    install(python, "--only-binary", ":all:", wheel)
    return folder


def run(folder: Path, *command: str | Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PATH"] = f"{folder / 'venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_readme_example_runs_with_the_declared_dependencies_alone(folder):
    (example,) = blocks("python")
    (folder / "example.py").write_text(example)
    # The log of the training stands between them.
    lines = run(folder, "python", "-c", REPORT).replace("\r", "").splitlines()
    (shown,) = (line for line in lines if line.startswith("accuracy "))
    (modules,) = (line for line in lines if line.startswith("["))
    assert float(shown.split()[1]) > 0.95
    assert "caffe" in json.loads(modules)
    assert not FOREIGN & set(json.loads(modules))
    commands = blocks("sh")[-1].splitlines()
    assert [line.split()[:2] for line in commands] == [
        ["caffe", "train"],
        ["caffe", "train"],
        ["caffe", "time"],
    ]
    for command in commands:
        log = run(folder, *command.split())
        assert "Optimization Done." in log or "Average Forward-Backward" in log


@pytest.mark.slow
def test_no_foreign_package_is_installed(folder):
    listed = json.loads(run(folder, "python", "-m", "pip", "list", "--format", "json"))
    names = {package["name"].lower() for package in listed}
    assert {"ripen-caffe", "torch", "protobuf"} <= names
    assert not FOREIGN & names


@pytest.mark.slow
def test_wheel_carries_its_data_files(folder):
    listed = run(folder, "python", "-m", "pip", "show", "--files", "ripen-caffe").split()
    for name in ("py.typed", "proto/caffe.proto", "proto/caffe_pb2.pyi", "proto/forks.proto"):
        assert f"caffe/{name}" in listed
    assert any(name.endswith("licenses/LICENSE") for name in listed)
