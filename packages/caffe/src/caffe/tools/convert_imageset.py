"""`caffe convert_imageset`: write the images of a list into a database."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from caffe import glog, rng
from caffe.databases import Writer, backend_of
from caffe.errors import CaffeError, FormatError, ShapeError
from caffe.image_files import encode, format_name, read_image
from caffe.layers.image import read_list
from caffe.proto.caffe_pb2 import Datum
from caffe.tools.flags import Flags


def main(argv: Sequence[str]) -> int:
    """Convert; an image that cannot be read is logged and skipped, as in Caffe."""
    flags = Flags("convert_imageset", "Write images of a list (path, space, label) into an LMDB.")
    flags.add_argument("ROOTFOLDER", help="prefix of each path, prepended as it is")
    flags.add_argument("LISTFILE")
    flags.add_argument("DB_NAME", help="folder to create")
    flags.add("gray", False, "store one channel")
    flags.add("shuffle", False, "store in random order")
    flags.add("backend", "lmdb", "database backend")
    flags.add("resize_width", 0, "width to resize to; 0 for none")
    flags.add("resize_height", 0, "height to resize to; 0 for none")
    flags.add("check_size", False, "refuse images of different sizes")
    flags.add("encoded", False, "store image files")
    flags.add("encode_type", "", "format of image files, such as png; by default the file's own")
    found = flags.parse(argv)
    pairs = read_list(found.LISTFILE)
    if found.shuffle:
        glog.info("convert_imageset.cpp:82", "Shuffling data")
        pairs = [pairs[i] for i in rng.generator().permutation(len(pairs))]
    glog.info("convert_imageset.cpp:85", "A total of %d images.", len(pairs))
    with Writer(found.DB_NAME, backend_of(found.backend)) as writer:
        size: int | None = None
        for i, (path, label) in enumerate(pairs):
            datum = _read(found, path, label)
            if datum is None:
                continue
            if found.check_size:
                size = _checked(datum, size, path)
            writer.put(f"{i:08d}_{path}".encode(), datum.SerializeToString())
            if writer.count % 1000 == 0:
                glog.info("convert_imageset.cpp:142", "Processed %d files.", writer.count)
        if not writer.count:
            raise CaffeError(f"{found.LISTFILE}: none of its {len(pairs)} images can be read")
    if writer.count % 1000:
        glog.info("convert_imageset.cpp:148", "Processed %d files.", writer.count)
    return 0


def _read(found: Namespace, path: str, label: int) -> Datum | None:
    """Return an image's Datum by the flags; None, and a line in the log, if it cannot be read."""
    encoded = found.encoded or found.encode_type
    kind = (found.encode_type or _suffix(path)) if encoded else ""
    height, width = max(0, found.resize_height), max(0, found.resize_width)
    try:
        return read_datum(found.ROOTFOLDER + path, label, not found.gray, height, width, kind)
    except FormatError as error:
        glog.error("io.cpp:80", "Could not open or find file: %s", error)
        return None


def read_datum(
    path: str, label: int, color: bool, height: int = 0, width: int = 0, kind: str = ""
) -> Datum:
    """Read an image file as a Datum (Caffe's ReadImageToDatum).

    Parameters
    ----------
    path : str
    label : int
    color : bool
        False for one channel.
    height, width : int
        Size to resize to; 0 for none.
    kind : str
        Format of the image file to store, such as ``png``; the original file is stored if nothing
        changes. Empty for raw bytes.

    Raises
    ------
    FormatError
        If it cannot be read, or not be encoded in that format.
    """
    image = read_image(path, color=color, height=height, width=width)
    if not kind:
        h, w, c = image.shape
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()
        return Datum(channels=c, height=h, width=w, data=pixels, label=label)
    same = format_name(_suffix(path)) == format_name(kind)
    unchanged = color and not (height and width) and same
    content = Path(path).read_bytes() if unchanged else encode(image, kind)
    return Datum(data=content, label=label, encoded=True)


def _suffix(path: str) -> str:
    return PurePath(path).suffix.lower().lstrip(".")


def _checked(datum: Datum, size: int | None, path: str) -> int:
    if size is not None and len(datum.data) != size:
        raise ShapeError(f"{path} has {len(datum.data)} bytes; the first image has {size}")
    return len(datum.data)
