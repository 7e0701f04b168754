"""`caffe upgrade_net_proto_text`: upgrade a net's prototxt of any age to today's form."""

from collections.abc import Sequence

from caffe.formats import read_text, write_text
from caffe.proto.caffe_pb2 import NetParameter
from caffe.tools.upgrading import Upgrade
from caffe.upgrade import net_needs_upgrade, upgrade_net
from caffe.upgrade_v0 import left_out


def main(argv: Sequence[str]) -> int:
    """Upgrade a net; return the exit status."""
    return Upgrade(
        command="upgrade_net_proto_text",
        arguments="v0_net_proto_file_in net_proto_file_out",
        form="text",
        kind="NetParameter",
        read=lambda path, strict: read_text(path, NetParameter(), strict),
        needed=net_needs_upgrade,
        upgrade=upgrade_net,
        left_out=left_out,
        write=write_text,
    ).main(argv)
