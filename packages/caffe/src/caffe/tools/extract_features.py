"""`caffe extract_features`: write a net's blobs into databases, one Datum per item."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from caffe import glog
from caffe.blob import Blob
from caffe.databases import Writer, backend_of
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.errors import InputError, ShapeError
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST, Datum
from caffe.tools.flags import Flags


def main(argv: Sequence[str]) -> int:
    """Run the net on its own data for some batches, and write the blobs."""
    flags = Flags("extract_features", "Write blobs of a net with data layers into databases.")
    flags.add_argument("pretrained_net_param", help="caffemodel")
    flags.add_argument("feature_extraction_proto_file", help="definition of the net")
    flags.add_argument("blobs", help="blob[,blob...]")
    flags.add_argument("databases", help="folder to create for each blob, separated by commas")
    flags.add_argument("num_mini_batches", type=int)
    flags.add_argument("db_type", help="lmdb")
    flags.add_argument("mode", nargs="?", choices=["CPU", "GPU"], default="CPU")
    flags.add_argument("device_id", nargs="?", type=int, default=0)
    found = flags.parse(argv)
    _set_mode(found.mode, found.device_id)
    net = Net(found.feature_extraction_proto_file, TEST, weights=found.pretrained_net_param)
    names, folders = found.blobs.split(","), found.databases.split(",")
    if len(names) != len(folders):
        raise InputError(
            f"{len(names)} blobs and {len(folders)} databases: the numbers must be equal"
        )
    for name in names:
        if name not in net.blobs:
            raise InputError(f"no blob '{name}' in the net. Its blobs: {', '.join(net.blobs)}")
    if found.num_mini_batches < 1:
        raise InputError(f"num_mini_batches is {found.num_mini_batches}. Allowed: 1 or more")
    glog.error("extract_features.cpp:133", "Extracting Features")
    with ExitStack() as stack:
        backend = backend_of(found.db_type)
        writers = [stack.enter_context(Writer(folder, backend)) for folder in folders]
        for _ in range(found.num_mini_batches):
            net.run_forward()
            for name, writer in zip(names, writers, strict=True):
                write_items(net.blobs[name], name, writer)
        for writer in writers:  # all, or no database is made
            writer.commit()
    for name, writer in zip(names, writers, strict=True):
        message = "Extracted features of %d query images for feature blob %s"
        glog.error("extract_features.cpp:178", message, writer.count, name)
    glog.error("extract_features.cpp:183", "Successfully extracted the features!")
    return 0


def write_items(blob: Blob, name: str, writer: Writer) -> None:
    """Write a Datum of floats for each item of a blob, with a running number as key.

    Raises
    ------
    ShapeError
        If the blob has no items, or more than four axes.
    """
    if not blob.shape or len(blob.shape) > 4:
        raise ShapeError(f"blob '{name}' of shape {blob.shape} cannot be written: 1 to 4 axes")
    channels, height, width = blob.channels, blob.height, blob.width
    for item in np.asarray(blob.data, np.float32).reshape(blob.shape[0], -1):
        datum = Datum(channels=channels, height=height, width=width, float_data=item.tolist())
        writer.put(f"{writer.count:010d}".encode(), datum.SerializeToString())


def _set_mode(mode: str, device_id: int) -> None:
    glog.error("extract_features.cpp:44", "Using %s", mode)
    if mode == "GPU":
        set_device(device_id)
        set_mode_gpu()
    else:
        set_mode_cpu()
