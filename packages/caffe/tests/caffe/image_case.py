"""Small random images, and databases of them, for the tests of the data layers."""

import io
from collections.abc import Sequence
from pathlib import Path

import lmdb
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caffe.proto.caffe_pb2 import Datum

Pixels = NDArray[np.uint8]


def random_image(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Return noise (H, W, C)."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def image_bytes(pixels: Pixels, kind: str = "png") -> bytes:
    """Encode an image (H, W, C) in BGR losslessly, by Pillow alone."""
    buffer = io.BytesIO()
    shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, ::-1]
    Image.fromarray(np.ascontiguousarray(shown)).save(buffer, kind)
    return buffer.getvalue()


def datum(pixels: Pixels, label: int = 0, kind: str = "raw") -> Datum:
    """Return an image (H, W, C) as a Datum: ``raw`` bytes, ``float`` or encoded."""
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    c, h, w = channels_first.shape
    made = Datum(channels=c, height=h, width=w, label=label)
    if kind == "raw":
        made.data = channels_first.tobytes()
    elif kind == "float":
        made.float_data.extend(channels_first.ravel().astype(float) / 3)
    else:
        made.data, made.encoded = image_bytes(pixels, kind), True
    return made


def database(folder: Path, datums: Sequence[Datum | bytes]) -> Path:
    """Write an LMDB of Datum messages, by the keys 00000000, 00000001, ..."""
    with lmdb.open(str(folder), map_size=1 << 24) as made, made.begin(write=True) as transaction:
        for i, item in enumerate(datums):
            content = item if isinstance(item, bytes) else item.SerializeToString()
            transaction.put(f"{i:08}".encode(), content)
    return folder
