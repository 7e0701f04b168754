"""The notebooks run from top to bottom, as a user runs them, and say what they are saved with."""

import re

import pytest

from notebooks import save
from tests.ripen.conftest import ROOT, Clone

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
FIGURES = {"01": 4, "02": 2, "03": 3, "04": 3, "05": 2, "06": 2, "07": 3, "08": 1, "09": 1}
LARGEST = 300_000  # bytes of a saved notebook
MACHINE = re.compile(r"/(?:home|root|tmp|work|Users)/|site-packages|0x[0-9a-f]{6,}")
every = pytest.mark.parametrize("name", NOTEBOOKS)


def test_they_are_those_of_the_readme() -> None:
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert [f"]({name}.ipynb)" in text for name in NOTEBOOKS] == [True] * len(FIGURES)


@every
def test_it_is_saved_with_outputs_that_name_no_machine(name: str) -> None:
    path = NOTEBOOKS[name]
    notebook = save.read(path)
    outputs = [output for cell in save.code(notebook) for output in cell.outputs]
    images = sum("image/png" in output.get("data", {}) for output in outputs)
    assert images == (0 if name in (save.MIRRORED, save.RUNS) else FIGURES[name[:2]])
    assert bool(outputs) == (name != save.RUNS)
    assert not MACHINE.findall("".join(map(save.text, save.code(notebook))))
    assert not any(cell.execution_count for cell in save.code(notebook))
    assert path.stat().st_size < LARGEST


@pytest.mark.slow
@every
def test_it_runs_and_says_what_it_is_saved_with(name: str, request: pytest.FixtureRequest) -> None:
    folder = ROOT / "notebooks"
    if name == save.MIRRORED:
        request.getfixturevalue("mirror")  # has the net's weights
    if name == save.RUNS:
        clone: Clone = request.getfixturevalue("reproduced")
        folder = clone.path / "notebooks"
    executed, saved = save.executed(folder / f"{name}.ipynb"), save.read(NOTEBOOKS[name])
    kinds = [k for c in save.code(executed) for o in c.outputs for k in o.get("data", {})]
    assert kinds.count("image/png") == FIGURES[name[:2]]
    if name != save.RUNS:
        for now, before in zip(save.code(executed), save.code(saved), strict=True):
            assert save.varies(now) or save.text(now) == save.text(before)


def test_claims_hold_in_the_saved_numbers() -> None:
    said = {
        name[:2]: "".join(map(save.text, save.code(save.read(path))))
        for name, path in NOTEBOOKS.items()
    }
    start, least, end = (
        dict(zip(("0.001", "30.000"), column, strict=True))
        for column in zip(
            *(map(float, line.split()[1:]) for line in said["03"].splitlines()
              if line.startswith(("0.001 ", "30.000 "))),
            strict=True,
        )
    )  # fmt: skip
    assert end["30.000"] > 10 * start["30.000"]  # sails past
    assert start["0.001"] > end["0.001"] == least["0.001"] > 0.69  # crawls: no better than a guess
    assert "of 79 steps of the curve go up" in said["03"]
    assert said["01"].count("True") == 2  # Caffe's sums are those by hand
    assert "10 of 10 unseen sentences end as they should" in said["08"]
