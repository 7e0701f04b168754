"""`caffe compute_image_mean`: compute the mean image of a database."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caffe import glog
from caffe.databases import backend_of, records
from caffe.datum import datum_values, parse_datum
from caffe.errors import ShapeError
from caffe.tools.flags import Flags
from caffe.transform import write_mean


def main(argv: Sequence[str]) -> int:
    """Average the database's images; write the mean if a file is given."""
    flags = Flags("compute_image_mean", "Average the images of a database.")
    flags.add_argument("INPUT_DB")
    flags.add_argument("OUTPUT_FILE", nargs="?", help="such as mean.binaryproto")
    flags.add("backend", "lmdb", "database backend")
    found = flags.parse(argv)
    mean = compute_mean(found.INPUT_DB, backend_of(found.backend))
    if found.OUTPUT_FILE:
        glog.info("compute_image_mean.cpp:106", "Write to %s", found.OUTPUT_FILE)
        write_mean(found.OUTPUT_FILE, mean)
    glog.info("compute_image_mean.cpp:112", "Number of channels: %d", len(mean))
    for c, channel in enumerate(mean):
        value = f"{float(channel.mean()):g}"
        glog.info("compute_image_mean.cpp:117", "mean_value channel [%d]: %s", c, value)
    return 0


def compute_mean(source: str, backend: int) -> NDArray[np.float32]:
    """Return the mean image (C, H, W) of a database, summed in double precision.

    Raises
    ------
    ShapeError
        If the images differ in size.
    FormatError
        If the database or an image cannot be read.
    """
    total: NDArray[np.float64] | None = None
    count = 0
    for key, content in records(source, backend):
        where = f"{source}, key '{key.decode(errors='replace')}'"
        values = datum_values(parse_datum(content, where), where)
        if total is None:
            total = np.zeros(values.shape)
        if values.shape != total.shape:
            raise ShapeError(
                f"{where} has shape {values.shape}; those before have {total.shape}: must agree"
            )
        total += values
        count += 1
        if count % 10000 == 0:
            glog.info("compute_image_mean.cpp:95", "Processed %d files.", count)
    assert total is not None  # an empty database is an error of `records`
    glog.info("compute_image_mean.cpp:100", "Processed %d files.", count)
    return (total / count).astype(np.float32)
