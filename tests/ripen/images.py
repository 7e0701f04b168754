"""Images that look like photographs, made from a seed, and Kaggle's archives of them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAME = "dogs-vs-cats"


def make_image(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """Return smooth random colours: 6 by 8 of them, spread over the image, and some grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int64)
    grain = rng.integers(-8, 9, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "JPEG", **settings: Any) -> bytes:
    """Return an image as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, format, **settings)
    return stream.getvalue()


def cats_and_dogs(each: int = 6, tests: int = 4, test: str = "test1") -> dict[str, bytes]:
    """Return small images by their names in Kaggle's archives: cats are redder than dogs.

    Test images are cats and dogs in turn, the first a cat.
    """
    tints = [Image.new("RGB", (48, 36), colour) for colour in ("firebrick", "steelblue")]
    names = [f"train/{name}.{i}.jpg" for i in range(each) for name in ("cat", "dog")]
    names += [f"{test}/{i + 1}.jpg" for i in range(tests)]
    return {
        name: encoded(Image.blend(make_image(i, 48, 36), tints[i % 2], 0.4))
        for i, name in enumerate(names)
    }


def of_synsets(synsets: Sequence[str], each: int = 6) -> dict[str, bytes]:
    """Return small images by their names in ImageNet: each class has its own tint."""
    colours = ("firebrick", "steelblue", "darkolivegreen", "goldenrod", "orchid", "black", "white")
    tints = [Image.new("RGB", (48, 36), colour) for colour in colours[: len(synsets)]]
    return {
        f"{synset}/{synset}_{i}.JPEG": encoded(
            Image.blend(make_image(1000 * k + i, 48, 36), tints[k], 0.5)
        )
        for k, synset in enumerate(synsets)
        for i in range(each)
    }


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive's bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write_raw(
    raw: Path,
    files: Mapping[str, bytes],
    name: str = NAME,
    test: str = "test1",
    sample: str = "sampleSubmission.csv",
) -> Path:
    """Write what `fetch` leaves of such files: archives in an archive, which is returned."""
    parts = {
        f"{part}.zip": zipped({n: content for n, content in files.items() if n.startswith(part)})
        for part in ("train", test)
    }
    ids = [Path(n).stem for n in files if n.startswith(test)]
    numbers = sorted(int(each) for each in ids if each.isdecimal())
    text = "id,label\n" + "".join(f"{number},0\n" for number in numbers)
    raw.mkdir(parents=True)
    (raw / sample).write_text(text)
    (raw / f"{name}.zip").write_bytes(zipped(parts | {sample: text.encode()}))
    return raw / f"{name}.zip"
