"""Memory and time of the stages for images by the number of images, up to the full size.

python -m benchmarks.full_size --sizes 2500 10000 37500

The features are those of a small net at a small input (`SMALL_NET`): what a net needs for itself
depends on neither the number of images nor their size, and the hours of a larger one would show
no more. For the nets of the settings: `--overrides` with nothing behind it.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from ripen.core.layout import Layout
from ripen.settings import compose as settings
from ripen.settings import yaml_files
from ripen.stages.settings import compose

ROOT = Path(__file__).parents[1]
COMPETITION = "cats_vs_dogs"
LAYOUT = Layout(COMPETITION)
ARCHIVE = "dogs-vs-cats.zip"
SIZE = (500, 375)  # width, height: Kaggle's are about this large
QUALITY = 60  # some 22 KB each, as Kaggle's
MEGABYTE = 1_000_000
SMALL_NET = ("features.efficientnet_lite2=null", "features.squeezenet.sides=[96]", "threads=1")
FEATURES = "squeezenet"  # whose the stage `features` is measured on
SAMPLE = "sampleSubmission.csv"
PAUSE = 0.05  # seconds between looks at the memory


@dataclass(frozen=True)
class Run:
    """What a stage took: seconds, and bytes of memory of all its processes at the most."""

    seconds: float
    memory: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Make archives of the sizes, run the stages on each, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2500, 10000, 37500])
    parser.add_argument("--stages", nargs="+", default=["prepare", "features"])
    parser.add_argument("--overrides", nargs="*", default=SMALL_NET, metavar="KEY=VALUE")
    parser.add_argument("--image", type=int, nargs=2, default=SIZE, metavar=("W", "H"))
    parser.add_argument("--folder", type=Path, help="where archives are made (the system's)")
    chosen = parser.parse_args(arguments)
    print(f"{'stage':<10} {'images':>11} {'MB':>6} {'seconds':>8} {'memory, MiB':>12}")
    for size in chosen.sizes:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            root = Path(folder)
            written = write_repository(root, size, chosen.image, chosen.overrides)
            for stage in chosen.stages:
                done = measured(root, stage)
                print(
                    f"{stage:<10} {size:>11} {written / MEGABYTE:>6.0f} {done.seconds:>8.1f} "
                    f"{done.memory / 2**20:>12.0f}",
                    flush=True,
                )


def write_repository(
    root: Path, size: int, image: tuple[int, int], overrides: Sequence[str]
) -> int:
    """Write what the stages need, `raw/` as `fetch` leaves it; return the archive's bytes."""
    # A model of the features that are left out would have none: none of them is needed here.
    none = [f"models.{name}=null" for name in models() if name != "scratch"]
    values, _ = compose([f"competitions=[{COMPETITION}]", *none, *overrides], ROOT / "conf")
    (root / "params.yaml").write_text(yaml_files.dump(values), encoding="utf-8")
    for name in ("conf", "models", "src", "packages", "dvc.yaml"):
        (root / name).symlink_to(ROOT / name)
    raw = root / LAYOUT.raw
    raw.mkdir(parents=True)
    tests = size // 3
    write_archive(raw / ARCHIVE, size - tests, tests, image)
    sample = "id,label\n" + "".join(f"{i + 1},0\n" for i in range(tests))
    (raw / SAMPLE).write_text(sample)
    return (raw / ARCHIVE).stat().st_size


def models() -> list[str]:
    """Return the names of the competition's models."""
    composed = settings.compose([f"competitions=[{COMPETITION}]"], ROOT / "conf")
    return list(composed.competitions[COMPETITION]["models"])


def write_archive(path: Path, n_train: int, n_tests: int, image: tuple[int, int] = SIZE) -> None:
    """Write an archive in Kaggle's form."""
    train = [f"train/{('cat', 'dog')[i % 2]}.{i // 2}.jpg" for i in range(n_train)]
    parts = {"train": train, "test1": [f"test1/{i + 1}.jpg" for i in range(n_tests)]}
    made = images(*image)
    with zipfile.ZipFile(path, "w") as outer:
        for part, names in parts.items():
            inner = path.with_name(f"{part}.tmp")
            with zipfile.ZipFile(inner, "w") as archive:
                for name in names:
                    archive.writestr(name, next(made))
            outer.write(inner, f"{part}.zip")
            inner.unlink()


def images(width: int, height: int, seed: int = 0) -> Iterator[bytes]:
    """Yield JPEG files without end, each of other smooth colours, the grain the same in all."""
    rng = np.random.default_rng(seed)
    grain = rng.integers(-12, 13, (height, width, 1), np.int16)
    while True:
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR), np.int16)
        stream = io.BytesIO()
        image = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        Image.fromarray(image).save(stream, "JPEG", quality=QUALITY)
        yield stream.getvalue()


def measured(root: Path, stage: str) -> Run:
    """Run a stage as DVC does, and watch it.

    Raises
    ------
    SystemExit
        If the stage fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "ripen.stages", stage, COMPETITION],
        cwd=root,
        env=os.environ | {"PYTHONPATH": "src:packages/caffe/src"},
        stdout=subprocess.DEVNULL,
    )
    most = 0
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"{stage} ended with exit code {process.returncode}")
    return Run(time.perf_counter() - began, most)


def memory(pid: int) -> int:
    """Return the resident bytes of a process and all that it started."""
    total = 0
    try:
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:  # it has just ended
        pass
    return total


if __name__ == "__main__":
    main()
