"""`caffe classify`: classify images, with the flags of Caffe's classify.py."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.classifier import Classifier
from caffe.errors import FormatError, InputError
from caffe.formats import replacing
from caffe.images import load_image
from caffe.tools.flags import Flags
from caffe.tools.preparation import add_flags, read_array, settings, whole_numbers


def main(argv: Sequence[str]) -> int:
    """Classify an image, a folder of them or an array; write the predictions as ``.npy``."""
    flags = Flags("classify", "Classify images; write the predictions (images, classes) as .npy.")
    flags.add_argument("input_file", help="image, folder, or .npy of images (N, H, W, K)")
    flags.add_argument("output_file", help=".npy")
    add_flags(flags)
    flags.add("center_only", False, "use the centre crop only, not the mean of ten crops")
    flags.add("images_dim", "256,256", "height,width that images are resized to")
    flags.add("ext", "jpg", "extension of the images in a folder")
    found = flags.parse(argv)
    dims = whole_numbers("images_dim", found.images_dim)
    if len(dims) != 2:
        raise InputError(f"--images_dim {found.images_dim}: must be height,width")
    classifier = Classifier(image_dims=dims, **settings(found))
    inputs = load_inputs(Path(found.input_file).expanduser(), found.ext)
    print(f"Classifying {len(inputs)} inputs.")
    start = time.perf_counter()
    predictions = classifier.predict(inputs, not found.center_only)
    print(f"Done in {time.perf_counter() - start:.2f} s.")
    print(f"Saving results into {found.output_file}")
    named = found.output_file.removesuffix(".npy") + ".npy"  # as numpy would
    with replacing(named) as temporary, temporary.open("wb") as file:
        np.save(file, predictions)
    return 0


def load_inputs(path: Path, ending: str) -> list[NDArray[Any]]:
    """Load images from a ``.npy`` file or an image file, or a folder's in order of name.

    Raises
    ------
    FormatError
        If one cannot be read, or there are none.
    """
    if path.name.endswith("npy"):
        values = read_array(str(path))
        if values.ndim != 4 or not len(values):
            raise FormatError(
                f"{path}: has shape {values.shape}. Needed: (N, H, W, K), N at least 1"
            )
        return list(values)
    files = sorted(path.glob(f"*.{ending}")) if path.is_dir() else [path]
    if not files:
        raise FormatError(f"{path}: holds no image *.{ending}")
    return [load_image(file) for file in files]
