"""`caffe draw_net`."""

import pydot
import pytest

from caffe.__main__ import main

# pydot's parser uses deprecated names of pyparsing.
pytestmark = pytest.mark.filterwarnings("ignore:.* deprecated - use:DeprecationWarning")
NET = """
layers { name: "x" type: DATA top: "x" data_param { batch_size: 2 } include { phase: TRAIN } }
layers { name: "y" type: INNER_PRODUCT bottom: "x" top: "y" blobs_lr: 3 blobs_lr: 0.5 }
"""


@pytest.fixture
def net(tmp_path) -> str:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return str(path)


def drawn(path: str) -> list[str]:
    (graph,) = pydot.graph_from_dot_file(path)
    return [node.get_name().strip('"') for node in graph.get_nodes()]


def test_an_old_net_into_a_file(net, tmp_path, capsys):
    image = str(tmp_path / "net.dot")
    assert main(["draw_net", net, image, "--rankdir", "TB"]) == 0
    assert capsys.readouterr().out == f"Drawing net to {image}\n"
    assert drawn(image) == ["x (Data)", "x", "y (InnerProduct)", "y"]


def test_flags(net, tmp_path):
    image = str(tmp_path / "net.gv")
    flags = ["--phase", "TEST", "--display_lrm", "--rankdir=BT"]
    assert main(["draw_net", *flags, net, image]) == 0
    assert drawn(image) == ["y (InnerProduct) lr mult: 3.0, 0.5", "x", "y"]


def test_errors(net, tmp_path, capsys):
    assert main(["draw_net", net, str(tmp_path / "net.dot"), "--phase=BOTH"]) == 1
    assert "-phase BOTH is unknown. Allowed: ALL, TRAIN, TEST" in capsys.readouterr().err
    assert main(["draw_net", str(tmp_path / "none.prototxt"), "net.dot"]) == 1
    assert "none.prototxt: cannot be read" in capsys.readouterr().err
    assert main(["draw_net", net, str(tmp_path / "none" / "net.dot")]) == 1
    assert "net.dot: cannot be written: " in capsys.readouterr().err
