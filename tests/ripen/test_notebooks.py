"""The notebooks run from top to bottom, as a user runs them, and are kept without outputs."""

import subprocess
from pathlib import Path

import nbformat
import pytest

from tests.ripen.conftest import ROOT, Clone

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIGURES = {"01": 4, "02": 2, "03": 3, "04": 3, "05": 2, "06": 2, "07": 3, "08": 1, "09": 1}


def test_they_are_those_of_the_readme() -> None:
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert [f"]({path.name})" in text for path in NOTEBOOKS] == [True] * len(FIGURES)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(notebook: Path) -> None:
    for cell in nbformat.read(notebook, as_version=4).cells:
        assert cell.cell_type == "markdown" or not (cell.outputs or cell.execution_count)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(
    notebook: Path, reproduced: Clone, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if notebook.stem.startswith("04"):
        request.getfixturevalue("mirror")  # has the net's weights
    output = tmp_path / notebook.name
    subprocess.run(
        ["jupyter-execute", str(reproduced.path / "notebooks" / notebook.name), "--output", output],
        env=reproduced.environment()
        | {"PYTHONPATH": f"{reproduced.path}/src:{reproduced.path}/packages/caffe/src"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    cells = nbformat.read(output, as_version=4).cells
    shown = [
        kind for cell in cells for out in cell.get("outputs", []) for kind in out.get("data", {})
    ]
    assert shown.count("image/png") == FIGURES[notebook.stem[:2]]
