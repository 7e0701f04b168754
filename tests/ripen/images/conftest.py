"""Pictures that look like photographs, made from a seed, and files of them."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ripen.images.files import File


def photograph(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """Return smooth random colours: 6 by 8 of them, spread over the picture, and some grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int64)
    grain = rng.integers(-8, 9, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def encoded(picture: Image.Image, format: str = "JPEG", **settings: Any) -> bytes:
    """Return a picture as a file's bytes."""
    stream = io.BytesIO()
    picture.save(stream, format, **settings)
    return stream.getvalue()


@pytest.fixture
def photo() -> Callable[..., Image.Image]:
    return photograph


@pytest.fixture
def encode() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def files_of() -> Callable[..., list[File]]:
    """Return a function from names and bytes to files."""

    def make(files: dict[str, bytes]) -> list[File]:
        return [File(name, lambda content=content: content) for name, content in files.items()]

    return make


@pytest.fixture(scope="session")
def kaggle() -> dict[str, bytes]:
    """The files of the mirror's photographs by name, of both inner archives."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR names no mirror")
    path = Path(folder) / "kaggle/dogs-vs-cats/dogs-vs-cats.zip"
    files = {}
    with zipfile.ZipFile(path) as outer:
        for inner in ("train.zip", "test1.zip"):
            with outer.open(inner) as stream, zipfile.ZipFile(stream) as archive:
                files |= {info.filename: archive.read(info) for info in archive.infolist()}
    return files
