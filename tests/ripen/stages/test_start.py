"""A stage starts quickly: it imports what it uses, where it uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ripen.core import warm
from ripen.stages.__main__ import main

LEARNING = ("torch", "caffe", "sklearn", "skops", "optuna", "matplotlib", "mlflow", "sqlalchemy")
COMPOSING = ("hydra", "omegaconf", "antlr4")  # for conf/: stages read what is composed already
# The stages from light to heavy, in one process: what an earlier one may not import, a later may.
MAY_NOT_IMPORT = {
    "fetch": (*LEARNING, *COMPOSING, "scipy", "PIL"),
    "settings": (*LEARNING, *COMPOSING, "scipy"),
    "prepare": (*LEARNING, *COMPOSING, "scipy"),
    "predict": (*LEARNING, *COMPOSING, "scipy"),
    "report": ("torch", "caffe", "sklearn", "skops", "optuna", "mlflow", "scipy", *COMPOSING),
    "evaluate": ("torch", "caffe", "sklearn", "skops", "optuna", *COMPOSING),
    "fit": ("torch", "caffe", "sklearn", "skops", "optuna", *COMPOSING),
}
PROGRAM = """
import importlib, sys
for stage in sys.argv[1:]:
    importlib.import_module(f"ripen.stages.{stage}")
    print(stage, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Return the packages imported by each stage."""
    command = [sys.executable, "-c", PROGRAM, *MAY_NOT_IMPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {stage: set(packages) for stage, *packages in lines}


@pytest.mark.parametrize("stage", MAY_NOT_IMPORT)
def test_a_stage_imports_no_package_that_it_may_not_need(
    imported: dict[str, set[str]], stage: str
) -> None:
    assert "ripen" in imported[stage]
    assert imported[stage] & set(MAY_NOT_IMPORT[stage]) == set()


def test_the_help_of_the_command_line_imports_no_numpy() -> None:
    program = (
        "import sys; from ripen.cli import parser; parser().format_help(); "
        "sys.exit(' '.join({'numpy', 'pandas', 'torch', 'mlflow'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_copy_whose_libraries_hold_to_other_numbers_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("params.yaml").write_text("competition: {a: {reproducibility: fast, threads: 7}}\n")
    assert main(["predict", "a"], copied=True) == warm.REFUSED
