"""`caffe draw_net`: draw a net."""

from collections.abc import Sequence

from caffe.draw import draw_net_to_file
from caffe.errors import CaffeError
from caffe.formats import read_text
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from caffe.tools.flags import Flags
from caffe.upgrade import upgrade_net

PHASES: dict[str, int | None] = {"ALL": None, "TRAIN": TRAIN, "TEST": TEST}


def main(argv: Sequence[str]) -> int:
    """Draw the net of a prototxt into a file; return the exit status."""
    flags = Flags("draw_net", "Draw a net.")
    flags.add_argument("input_net_proto_file", help="the net's prototxt")
    flags.add_argument("output_image_file", help="image (.png, .svg, …), or graph (.dot)")
    flags.add("rankdir", "LR", "direction of the graph: TB, BT, LR or RL")
    flags.add("phase", "ALL", "layers to draw: TRAIN, TEST or ALL")
    flags.add("display_lrm", False, "show the learning rate multipliers")
    found = flags.parse(argv)
    if found.phase not in PHASES:
        raise CaffeError(f"-phase {found.phase} is unknown. Allowed: {', '.join(PHASES)}")
    net = upgrade_net(read_text(found.input_net_proto_file, NetParameter()))
    print(f"Drawing net to {found.output_image_file}")
    draw_net_to_file(
        net, found.output_image_file, found.rankdir, PHASES[found.phase], found.display_lrm
    )
    return 0
