"""The README's screenshots, from those that the browser tests write to RIPEN_SCREENSHOTS.

`python -m tests.ripen.screenshots FOLDER docs/images` takes the pages from that folder, and the end
of a run, if `run.log` lies there, from what `script -qc 'ripen run' FOLDER/run.log` kept.
"""

import io
import re
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

from tests.ripen.browser import opened

CHOSEN = {
    "mlflow-models-1280": "runs",
    "report-avocado-1280": "report",
    "report-avocado-dark-1280": "report-dark",
    "report-avocado-390": "report-phone",
    "site-1280": "site",
}
COLOURS = 256
LINES, LETTERS = 45, 104  # of the terminal


def main(source: Path, docs: Path) -> None:
    """Write those that are there with few colours: a third of the size."""
    if (log := source / "run.log").exists():
        terminal(log, source / "run-end.png")
    for name, written in (CHOSEN | {"run-end": "run-end"}).items():
        if not (file := source / f"{name}.png").exists():
            print(f"{file}: no such file: {written}.png stays as it is")
            continue
        with Image.open(file) as image:
            few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(docs / f"{written}.png", optimize=True)


def terminal(log: Path, written: Path) -> None:
    """Draw the last lines that a terminal showed."""
    read = log.read_bytes().decode()  # as they are: each line of a terminal ends with \r\n
    text = re.sub(r"\s*Script (?:started|done) on .*", "", read.rstrip()).lstrip()
    # Without the line that is drawn again and again in its place, and erased at the end.
    text = re.sub(r"[^\n]*\r", "", re.sub(r"\r+\n", "\n", text))
    text = re.sub(r"[^\n]*\n[^\n]*\x1b\[1A\x1b\[2K", "", text)
    lines = text.splitlines()[-LINES:]
    console = Console(record=True, width=LETTERS, file=io.StringIO())
    console.print(Text.from_ansi("\n".join(lines)))
    drawn = console.export_svg(title="ripen run")
    with opened("about:blank", 1280) as (page, _):
        page.set_content(f'<body style="margin: 0">{drawn}')
        page.locator("svg").first.screenshot(path=written)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
