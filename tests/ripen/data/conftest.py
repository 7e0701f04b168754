"""Images that look like photographs, and the files of real ones."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ripen.data.decode import File
from tests.ripen import images


@pytest.fixture
def make_image() -> Callable[..., Image.Image]:
    return images.make_image


@pytest.fixture
def encode() -> Callable[..., bytes]:
    return images.encoded


@pytest.fixture
def make_files() -> Callable[..., list[File]]:
    """Return a function from names and contents to files."""

    def make(files: dict[str, bytes]) -> list[File]:
        return [File(name, lambda content=content: content) for name, content in files.items()]

    return make


@pytest.fixture(scope="session")
def kaggle() -> dict[str, bytes]:
    """Return the mirror's images by name, of both nested archives."""
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR is not set")
    path = Path(folder) / "kaggle/dogs-vs-cats/dogs-vs-cats.zip"
    files = {}
    with zipfile.ZipFile(path) as outer:
        for inner in ("train.zip", "test1.zip"):
            with outer.open(inner) as stream, zipfile.ZipFile(stream) as archive:
                files |= {info.filename: archive.read(info) for info in archive.infolist()}
    return files
