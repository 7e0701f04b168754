"""Nets drawn as graphs."""

import os
import shutil

import pydot
import pytest

import caffe
from caffe import draw
from caffe.errors import CaffeError, NetError
from caffe.formats import parse_text
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter

# pydot's parser uses deprecated names of pyparsing.
pytestmark = pytest.mark.filterwarnings("ignore:.* deprecated - use:DeprecationWarning")
NET = parse_text(
    """
    name: "a net"
    layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 64 }
      include { phase: TRAIN } }
    layer { name: "conv1/7x7" type: "Convolution" bottom: "data" top: "conv1/7x7"
      convolution_param { num_output: 4 kernel_size: 7 stride: 2 } }
    layer { name: "relu" type: "ReLU" bottom: "conv1/7x7" top: "conv1/7x7" }
    layer { name: "ip" type: "InnerProduct" bottom: "conv1/7x7" top: "ip"
      inner_product_param { num_output: 10 } }
    layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
      exclude { phase: TRAIN } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
    """,
    NetParameter(),
)


def layer(text: str) -> LayerParameter:
    return parse_text(text, LayerParameter(name="l"))


def names(graph: pydot.Dot) -> list[str]:
    return [node.get_name().strip('"') for node in graph.get_nodes()]


def test_the_graph():
    graph = draw.get_pydot_graph(NET, "TB")
    edges = {
        (edge.get_source().strip('"'), edge.get_destination().strip('"'), edge.get_label())
        for edge in graph.get_edges()
    }
    conv = "conv1/7x7 (Convolution) kernel size: 7 stride: 2 pad: 0"
    assert edges == {
        ("data (Data)", "data", "Batch 64"),
        ("data (Data)", "label", "Batch 64"),
        ("data", conv, '""'),
        (conv, "conv1/7x7", "4"),
        ("conv1/7x7", "relu (ReLU)", '""'),
        ("relu (ReLU)", "conv1/7x7", '""'),
        ("conv1/7x7", "ip (InnerProduct)", '""'),
        ("ip (InnerProduct)", "ip", "10"),
        ("ip", "accuracy (Accuracy)", '""'),
        ("label", "accuracy (Accuracy)", '""'),
        ("accuracy (Accuracy)", "accuracy", '""'),
        ("ip", "loss (SoftmaxWithLoss)", '""'),
        ("label", "loss (SoftmaxWithLoss)", '""'),
        ("loss (SoftmaxWithLoss)", "loss", '""'),
    }
    colors = {node.get_name().strip('"'): node.get_fillcolor() for node in graph.get_nodes()}
    assert colors[conv] == "#FF5050"
    assert colors["relu (ReLU)"] == "#90EE90"
    assert colors["ip"] == "#E0E0E0"
    assert colors["loss"] is None


def test_phases():
    whole, train, test = (names(draw.get_pydot_graph(NET, "TB", phase=p)) for p in (None, 0, 1))
    assert set(whole) - set(train) == {"accuracy (Accuracy)", "accuracy"}
    assert set(whole) - set(test) == {"data (Data)"}
    both = NetParameter(
        layer=[layer('type: "ReLU" include { stage: "a" } exclude { min_level: 1 }')]
    )
    with pytest.raises(NetError, match="layer 'l' has both include and exclude"):
        draw.get_pydot_graph(both, "TB", phase=0)


def test_rules_without_a_phase_apply_to_all_phases():
    net = NetParameter()
    net.layer.append(layer('type: "ReLU" include { stage: "a" }'))
    net.layer.append(layer('type: "TanH" exclude { stage: "a" }'))
    for phase in (caffe.TRAIN, caffe.TEST):
        assert names(draw.get_pydot_graph(net, "TB", phase=phase)) == ["l (ReLU)", "l (TanH)"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('type: "TanH"', '"l(TanH)"'),
        (
            'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 }',
            '"l(Pooling AVE)kernel size: 3stride: 1pad: 0"',
        ),
        (
            'type: "Deconvolution" convolution_param { kernel_size: 3 kernel_size: 5 pad: 2 }',
            '"l(Deconvolution)kernel size: 3x5stride: 1pad: 2lr mult: 1.0, 1.0"',
        ),
        (
            'type: "Convolution" convolution_param { kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 }',
            '"l(Convolution)kernel size: 3x1stride: 1pad: 1x0lr mult: 1.0, 1.0"',
        ),
        (
            'type: "InnerProduct" param { lr_mult: 2 } param { lr_mult: 0.5 }',
            '"l(InnerProduct)lr mult: 2.0, 0.5"',
        ),
        ('type: "InnerProduct" param { lr_mult: 2 }', '"l(InnerProduct)lr mult: 2.0, 1.0"'),
        ('type: "InnerProduct" param { lr_mult: 0 } param { lr_mult: 0 }', '"l(InnerProduct)"'),
    ],
)
def test_labels(text, label):
    written = draw.get_layer_label(layer(text), "LR", display_lrm=True)
    assert written.replace(r"\n", "") == label


def test_layers_without_learning_rates_are_refused():
    with pytest.raises(NetError, match=r"layer 'l' \(ReLU, 0 param\) has no learning rate"):
        draw.get_layer_lr_mult(layer('type: "ReLU"'))
    with pytest.raises(NetError, match=r"layer 'l' \(InnerProduct, 3 param\)"):
        draw.get_layer_lr_mult(layer('type: "InnerProduct" param {} param {} param {}'))


def test_colors_and_pooling_methods():
    types = ("Convolution", "Pooling", "InnerProduct", "ReLU")
    colors = [draw.choose_color_by_layertype(kind) for kind in types]
    assert colors == ["#FF5050", "#FF9900", "#CC33FF", "#6495ED"]
    assert draw.get_pooling_types_dict() == {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}


@pytest.mark.parametrize("ending", ["dot", "gv", "raw"])
def test_text_needs_no_graphviz(tmp_path, monkeypatch, ending):
    monkeypatch.setenv("PATH", str(tmp_path))
    draw.draw_net_to_file(NET, tmp_path / f"net.{ending}", rankdir="BT", phase=caffe.TEST)
    (graph,) = pydot.graph_from_dot_file(str(tmp_path / f"net.{ending}"))
    expected = draw.get_pydot_graph(NET, "BT", phase=caffe.TEST)
    assert names(graph) == names(expected)
    assert graph.get_name() == '"a net"'
    assert graph.get_rankdir() == "BT"


def test_names_with_quotes():
    name = 'a "b" \\ {c}'
    net = NetParameter(name=name, layer=[LayerParameter(name="l", type="Input", top=[name])])
    (graph,) = pydot.graph_from_dot_data(draw.draw_net(net, "LR", "dot").decode())
    assert len(graph.get_nodes()) == 2
    assert len(graph.get_edges()) == 1


def test_images_need_graphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        CaffeError, match="needs Graphviz's command `dot`, which is not on the PATH"
    ):
        draw.draw_net_to_file(NET, tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists()
    with pytest.raises(CaffeError, match="net: the name has no extension"):
        draw.draw_net_to_file(NET, tmp_path / "net")


def test_graphviz_gets_the_graph_and_its_errors_are_reported(tmp_path, monkeypatch):
    """A stand-in for `dot`, which few machines have; it echoes its input."""
    (tmp_path / "dot").write_text(
        f'#!{shutil.which("sh")}\n[ "$2" = png ] || {{ echo "no such format" >&2; exit 3; }}\n'
        f'echo "$@"; {shutil.which("cat")}\n'
    )
    os.chmod(tmp_path / "dot", 0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    text = draw.draw_net(NET, "LR", "dot")
    assert draw.draw_net(NET, "LR") == b"-T png\n" + text
    with pytest.raises(CaffeError, match="dot -T bmq ended with 3: no such format"):
        draw.draw_net(NET, "LR", "bmq")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not here")
@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_an_image(ending, start):
    assert draw.draw_net(NET, "LR", ending).startswith(start)
