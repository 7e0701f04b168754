"""The README's screenshots, out of those that the browser tests leave where they are told to."""

import sys
from pathlib import Path

from PIL import Image

CHOSEN = {
    "mlflow-models-1280": "runs",
    "mlflow-curve-1280": "run-curve",
    "report-avocado-1280": "report",
}
COLOURS = 256


def main(source: Path, docs: Path) -> None:
    """Write the chosen ones with few colours, which makes them a third as large."""
    for name, written in CHOSEN.items():
        with Image.open(source / f"{name}.png") as picture:
            few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(docs / f"{written}.png", optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
