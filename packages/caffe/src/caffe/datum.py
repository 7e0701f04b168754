"""Datum messages: an array (C, H, W) with a label, as bytes, as floats or as an image file."""

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffe.errors import FormatError
from caffe.image_files import decode
from caffe.proto.caffe_pb2 import Datum

Values = NDArray[np.uint8] | NDArray[np.float32]


def parse_datum(content: bytes, where: str) -> Datum:
    """Parse a record; `where` names it in the error.

    Raises
    ------
    FormatError
        If it is not a Datum.
    """
    datum = Datum()
    try:
        datum.ParseFromString(content)
    except DecodeError:
        raise FormatError(f"{where}: is not a Datum, or is truncated") from None
    return datum


def datum_values(datum: Datum, where: str, color: bool | None = None) -> Values:
    """Return a datum's array.

    Parameters
    ----------
    datum : Datum
    where : str
        Names it in the error.
    color : bool
        For an encoded image: True for 3 channels, False for 1, None for as many as the file has.

    Returns
    -------
    uint8 or float32 ndarray of shape (C, H, W)
        Encoded images in OpenCV's channel order, BGR.

    Raises
    ------
    FormatError
        If its number of values does not fit its shape, or it cannot be decoded.
    """
    if datum.encoded:
        return decode(datum.data, where, color=color).transpose(2, 0, 1)
    shape = (datum.channels, datum.height, datum.width)
    values: Values
    if datum.data:
        values = np.frombuffer(datum.data, np.uint8)
    else:
        values = np.array(datum.float_data, np.float32)
    # A product of Python integers: numpy's would overflow for a damaged shape.
    if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
        raise FormatError(f"{where}: a datum of shape {shape} has {values.size} values")
    return values.reshape(shape)
