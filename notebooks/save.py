"""Execute the notebooks and save them with their outputs, the same bytes each time.

`make notebooks`, or ``python notebooks/save.py NAME...``. 04 needs the network, or a mirror
(RIPEN_MIRROR), and 06 the results of `dvc repro`: they are executed only where they are named.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
MIRRORED, RUNS = "04-a-cat-it-never-saw", "06-browse-runs"
SECONDS = 300  # for one cell


def read(path: Path) -> NotebookNode:
    """Read a notebook."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def varies(cell: NotebookNode) -> bool:
    """Return whether a cell measures times or downloads: it says something else each time."""
    return "varies" in cell.metadata.get("tags", [])


def text(cell: NotebookNode) -> str:
    """Return what a cell printed and showed, as text."""
    return "".join(
        output.text if output.output_type == "stream" else output.data["text/plain"] + "\n"
        for output in cell.outputs
    )


def executed(path: Path) -> NotebookNode:
    """Execute a notebook in its folder; return it without counts, times and stderr (logs)."""
    notebook = read(path)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, resources=where, timeout=SECONDS).execute()
    notebook.metadata.language_info = {"name": "python"}
    for cell in code(notebook):
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        cell.outputs = _joined(cell.outputs)
    return notebook


def to_save(path: Path) -> NotebookNode:
    """Execute a notebook; return it with the outputs that are kept.

    A cell that `varies` keeps those that it was saved with, if there are any. Of `MIRRORED`, whose
    images are made of other people's files, text is kept; of `RUNS`, the runs of one machine, no
    output.
    """
    before = {cell.id: cell.outputs for cell in code(read(path)) if varies(cell)}
    notebook = executed(path)
    for cell in code(notebook):
        cell.outputs = before.get(cell.id) or cell.outputs
        if path.stem == RUNS:
            cell.outputs = []
        for output in cell.outputs if path.stem == MIRRORED else ():
            output.get("data", {}).pop("image/png", None)
    return notebook


def _joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return outputs in whole streams (a kernel sends them in pieces), without stderr."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
            continue
        if "execution_count" in output:
            output.execution_count = None
        kept.append(output)
    return kept


def main(names: Sequence[str]) -> None:
    """Execute and save the notebooks of some names, by default all that need nothing."""
    every = sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names or [name for name in every if name not in (MIRRORED, RUNS)]:
        path = HERE / f"{name}.ipynb"
        print(path.name, flush=True)
        nbformat.write(to_save(path), path)


if __name__ == "__main__":
    main(sys.argv[1:])
