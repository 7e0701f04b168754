"""`caffe upgrade_net_proto_binary`: upgrade a caffemodel of any age to today's form."""

from collections.abc import Sequence

from caffe.formats import read_binary, write_binary
from caffe.proto.caffe_pb2 import NetParameter
from caffe.tools.upgrading import Upgrade
from caffe.upgrade import net_needs_upgrade, upgrade_net
from caffe.upgrade_v0 import left_out


def main(argv: Sequence[str]) -> int:
    """Upgrade a net with its weights; return the exit status."""
    return Upgrade(
        command="upgrade_net_proto_binary",
        arguments="v0_net_proto_file_in net_proto_file_out",
        form="binary",
        kind="NetParameter",
        read=lambda path, strict: read_binary(path, NetParameter()),
        needed=net_needs_upgrade,
        upgrade=upgrade_net,
        left_out=left_out,
        write=write_binary,
    ).main(argv)
