"""Figures of nets: the geometry of arrows and circles, and those of a trained net."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import caffe
from ripen.core.layout import Layout
from ripen.judge import network
from ripen.learn.models import mlp
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.compose import check
from ripen.settings.schema import Competition, Net

SVG = "{http://www.w3.org/2000/svg}"
# Two inputs, three hidden nodes, one output.
HIDDEN = np.array([[1.0, -2.0], [0.5, 0.0], [4.0, -0.25]], np.float32)
OUT = np.array([[3.0, -1.0, 2.0]], np.float32)
NET = [(HIDDEN, np.zeros(3, np.float32)), (OUT, np.zeros(1, np.float32))]
ONES = [(np.ones_like(weight), bias) for weight, bias in NET]
NAMES = (["squishiness", "red"], ["ripe"])
FRAMES = {"before": ONES, "halfway": [(-w, b) for w, b in NET], "after": NET}


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def lines(svg: ET.Element) -> list[ET.Element]:
    return list(svg.iter(f"{SVG}line"))


def test_circles_and_arrows_are_as_many_as_nodes_and_weights() -> None:
    svg = drawn(network.network(NET, *NAMES, "after"))
    assert len(list(svg.iter(f"{SVG}circle"))) == 2 + 3 + 1
    assert len(lines(svg)) == 2 * 3 + 3 * 1
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert texts == ["squishiness", "red", "ripe", "after"]


def test_an_arrow_is_as_thick_as_its_weight_and_coloured_by_its_sign() -> None:
    weights = [1.0, -2.0, 0.5, 0.0, 4.0, -0.25, 3.0, -1.0, 2.0]
    for largest, thickest in ((None, 4.0), (8.0, 8.0)):
        arrows = lines(drawn(network.network(NET, *NAMES, "after", largest)))
        widths = [float(line.attrib["stroke-width"]) for line in arrows]
        assert widths == pytest.approx([6 * abs(w) / thickest for w in weights], abs=0.0051)
    signs = [weight < 0 for weight in weights]
    assert [line.attrib["stroke"] == "#c2703d" for line in arrows] == signs
    assert [line.attrib["stroke-dasharray"] != "none" for line in arrows] == signs


def test_an_arrow_goes_from_its_input_to_its_node() -> None:
    svg = drawn(network.network(NET, *NAMES, ""))
    places = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in svg.iter(f"{SVG}circle")]
    # -2: from the second input to the first hidden node, which are circles 1 and 2.
    line = lines(svg)[1]
    start, end = np.array(places[1]), np.array(places[2])
    for point, toward in (("1", start), ("2", end)):
        at = np.array([float(line.attrib[f"x{point}"]), float(line.attrib[f"y{point}"])])
        # On the straight line between the two, near its own circle.
        along = (end - start) / np.linalg.norm(end - start)
        assert abs(along[0] * (at - start)[1] - along[1] * (at - start)[0]) < 0.02
        assert 13.9 < np.linalg.norm(at - toward) < 18.1


def test_a_strip_has_each_net_to_one_scale() -> None:
    svg = drawn(network.strip(FRAMES, *NAMES, "learning"))
    assert len(list(svg.iter(f"{SVG}circle"))) == 3 * 6
    widths = [float(line.attrib["stroke-width"]) for line in lines(svg)]
    assert len(widths) == 3 * 9
    assert widths[:9] == [1.5] * 9  # 6 * 1 / 4
    assert widths[9:18] == widths[18:]
    groups = [group.attrib["transform"] for group in svg.iter(f"{SVG}g")]
    assert groups == ["translate(0 0)", "translate(640 0)", "translate(0 400)"]
    assert svg.attrib["viewBox"] == "0 0 1280 800"


def test_an_animation_goes_through_every_frames_widths_and_signs() -> None:
    svg = drawn(network.animation(FRAMES, *NAMES, "learning"))
    moves = {
        move.attrib["attributeName"]: move.attrib["values"].split(";")
        for move in lines(svg)[0].iter(f"{SVG}animate")
    }
    # The first weight is 1, -1, 1.
    assert moves["stroke-width"] == ["1.50", "1.50", "1.50"]
    assert moves["stroke"] == ["#2f6f4e", "#c2703d", "#2f6f4e"]
    second = lines(svg)[1].find(f"{SVG}animate")
    assert second is not None
    assert second.attrib["values"] == "1.50;3.00;3.00"
    captions = [text for text in svg.iter(f"{SVG}text") if text.text in FRAMES]
    assert [text.attrib["visibility"] for text in captions] == ["hidden", "hidden", "visible"]
    shown = captions[1].find(f"{SVG}animate")
    assert shown is not None
    assert shown.attrib["values"] == "hidden;visible;hidden"


@pytest.mark.parametrize(
    "make",
    [
        lambda: network.network(NET, *NAMES, "A & B <net>"),
        lambda: network.strip(FRAMES, *NAMES, "A & B <net>"),
        lambda: network.animation(FRAMES, *NAMES, "A & B <net>"),
    ],
    ids=["network", "strip", "animation"],
)
def test_a_figure_has_a_description_and_is_the_same_each_time(make: object) -> None:
    assert callable(make)
    svg = drawn(make())
    assert make() == make()
    assert svg.attrib["role"] == "img"
    named = {child.attrib.get("id"): child.text for child in svg}
    title, description = (named[name] for name in svg.attrib["aria-labelledby"].split())
    assert title == "A & B <net>"
    assert description is not None
    assert "squishiness, red to ripe; nodes of its hidden layers: 3." in description


def test_a_net_of_zeros_has_no_thick_arrow() -> None:
    zeros = [(np.zeros_like(weight), bias) for weight, bias in NET]
    arrows = lines(drawn(network.network(zeros, *NAMES, "")))
    assert {line.attrib["stroke-width"] for line in arrows} == {"0.00"}


def test_the_history_is_of_the_start_and_of_ever_rarer_checks(
    trained_avocado: Competition,
) -> None:
    folder = Layout("avocado").model("net")
    assert {path.name for path in (folder / "history").iterdir()} == {
        f"iter_{n}.caffemodel" for n in (0, 10, 20, 40, 80)
    }
    kept = json.loads((folder / "training.json").read_text())["best_iteration"]
    assert kept == 100
    frames = network.read_frames(folder)
    assert list(frames) == [
        "before training",
        *(f"after {n} iterations" for n in (10, 20, 40, 80)),
        "as kept, of iteration 100",
    ]
    settings = check(trained_avocado.models["net"]["net"], Net, "test")
    caffe.set_random_seed(7)
    first = caffe.Net(mlp.deploy(settings, 6, 2), caffe.TEST)
    for found, (weight, _) in zip(frames["before training"], first.params.values(), strict=True):
        np.testing.assert_array_equal(found[0], weight.data)
    assert not list(folder.glob("model_iter*"))


def test_a_trained_net_is_drawn_the_same_each_time(
    trained_avocado: Competition, tmp_path: Path
) -> None:
    names = [f"feature {k}" for k in range(6)], ["not ripe", "ripe"]
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        network.draw(Layout("avocado").model("net"), *names, tmp_path / folder)
    found = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(found) == {f"network{name}.svg" for name in ("", "_before", "_after", "_strip")}
    assert all((tmp_path / "two" / name).read_bytes() == drawn for name, drawn in found.items())
    assert found["network_before.svg"].count(b"<line") == 6 * 3 + 3 * 2
    assert found["network_strip.svg"].count(b"<circle") == network.FRAMES * (6 + 3 + 2)


def test_a_definition_is_a_graph_of_its_layers(tmp_path: Path) -> None:
    network.draw_definition(DEFINITIONS["lenet"].deploy(), tmp_path)
    graph = (tmp_path / "definition.gv").read_text()
    assert graph.startswith('digraph "LeNet"')
    assert '"data" -> "conv1 (Convolution) kernel size: 5 stride: 1 pad: 0"' in graph
    assert '"ip2" -> "prob (Softmax)"' in graph


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_draws_a_definition(tmp_path: Path) -> None:
    network.draw_definition(DEFINITIONS["lenet"].deploy(), tmp_path)
    command = ["dot", "-Tsvg", str(tmp_path / "definition.gv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ">data<" in done.stdout
