"""The README's screenshots, from those that the browser tests write to RIPEN_SCREENSHOTS."""

import sys
from pathlib import Path

from PIL import Image

CHOSEN = {
    "mlflow-models-1280": "runs",
    "mlflow-curve-1280": "run-curve",
    "report-avocado-1280": "report",
    "report-avocado-dark-1280": "report-dark",
    "report-avocado-390": "report-phone",
}
COLOURS = 256


def main(source: Path, docs: Path) -> None:
    """Write the chosen ones with few colours: a third of the size."""
    for name, written in CHOSEN.items():
        with Image.open(source / f"{name}.png") as image:
            few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(docs / f"{written}.png", optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
