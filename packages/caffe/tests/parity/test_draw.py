"""The graph of a net in both engines; real Caffe borrows our pydot, which is plain Python."""

from pathlib import Path
from typing import Any

import pydot
import pytest

from tests.caffe.test_draw import NET

SCRIPT = """
from google.protobuf import text_format
from caffe import draw
from caffe.proto.caffe_pb2 import NetParameter
net = text_format.Parse(TEXT, NetParameter())
result = []
for phase in (None, 0, 1):
    for lrm in (False, True):
        graph = draw.get_pydot_graph(net, RANKDIR, label_edges=not phase, phase=phase,
                                     display_lrm=lrm)
        nodes = [(n.get_name(), n.get_fillcolor(), n.get_shape(), n.get_style())
                 for n in graph.get_nodes()]
        edges = [(e.get_source(), e.get_destination(), e.get_label()) for e in graph.get_edges()]
        result.append([[str(value).strip('"') for value in row] for row in nodes + edges])
"""


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_graphs(real_caffe, rankdir):
    given = f"TEXT, RANKDIR = {str(NET)!r}, {rankdir!r}\n"
    borrowed = f"import sys; sys.path.append({str(Path(pydot.__file__).parents[1])!r})\n"
    names: dict[str, Any] = {}
    exec(given + SCRIPT, names)
    assert names["result"] == real_caffe.script(
        f"{borrowed}import pydot; sys.path.pop()\n{given}{SCRIPT}"
    )
