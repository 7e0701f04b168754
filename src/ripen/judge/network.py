"""Figures of nets: a fully connected one as in the talk, any other layer by layer.

Circles are nodes, arrows are as thick as weights; a positive weight is green, a negative one
orange and dashed. Figures are SVG, the same bytes each time, with a title and a description for
screen readers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

import caffe
from caffe.draw import draw_net
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import write_text
from ripen.core.json_files import read_json
from ripen.judge.plots import evenly

# Of each layer: weight of shape (outputs, inputs), bias of shape (outputs,), which is not drawn.
Layers = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]

SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT = 640, 400  # of one net
MARGIN = 120  # for the names on either side
TOP, BOTTOM = 46, 16
THICKEST = 6.0
COLOURS = {"positive": "#2f6f4e", "negative": "#c2703d"}
DASHES = {"positive": "none", "negative": "6 3"}
COLUMNS, FRAMES = 2, 4  # of a strip
SECONDS = 1.0  # of an animation from one net to the next
LEGEND = (
    "An arrow is as thick as its weight; green is a positive weight, orange and dashed a negative "
    "one. Biases are not drawn."
)

ET.register_namespace("", SVG)


# --- From a model's folder -----------------------------------------------------------------------


def draw(trained: Path, inputs: Sequence[str], outputs: Sequence[str], folder: Path) -> None:
    """Draw a net of fully connected layers before its training, on the way, and after it.

    Parameters
    ----------
    trained : Path
        The model's folder, with the weights of some iterations in `history/`.
    inputs, outputs : sequence of str
        Names of the nodes.
    folder : Path
        Must exist; gets ``network_before.svg``, ``network_after.svg``, ``network_strip.svg``, and
        ``network.svg``, which is animated.
    """
    frames = read_frames(trained)
    names = (inputs, outputs)
    ends = {"before": next(iter(frames)), "after": list(frames)[-1]}
    # One scale for all figures, or a weight that grows would look the same in each of them.
    largest = largest_weight(list(frames.values()))
    for name, caption in ends.items():
        svg = network(frames[caption], *names, caption, largest)
        write_text(folder / f"network_{name}.svg", svg)
    for name, drawn in (
        ("network_strip", strip(_some(frames), *names, "The network while it learns")),
        ("network", animation(frames, *names, "The network while it learns, animated")),
    ):
        write_text(folder / f"{name}.svg", drawn)


def _some(frames: Mapping[str, Layers]) -> dict[str, Layers]:
    names = list(frames)
    return {names[place]: frames[names[place]] for place in evenly(len(names), FRAMES)}


def draw_definition(net: NetParameter, folder: Path) -> None:
    """Write ``definition.gv``: a net's layers as Caffe draws them, in Graphviz's language."""
    write_text(folder / "definition.gv", draw_net(net, "TB", "gv", caffe.TEST).decode())


def read_frames(folder: Path) -> dict[str, Layers]:
    """Return the weights of a training's history, and the kept ones, by their captions."""
    deploy = folder / "deploy.prototxt"
    files = {int(path.stem.removeprefix("iter_")): path for path in folder.glob("history/*")}
    kept = read_json(folder / "training.json")["best_iteration"]
    named = {
        f"after {number} iterations" if number else "before training": path
        for number, path in sorted(files.items())
        if number < kept
    }
    named[f"as kept, of iteration {kept}"] = folder / "model.caffemodel"
    return {name: read_layers(deploy, path) for name, path in named.items()}


def read_layers(deploy: Path, weights: Path) -> Layers:
    """Return weight and bias of each layer of a net."""
    net = caffe.Net(str(deploy), str(weights), caffe.TEST)
    return [(weight.data.copy(), bias.data.copy()) for weight, bias in net.params.values()]


# --- As SVG --------------------------------------------------------------------------------------


def network(
    layers: Layers, inputs: Sequence[str], outputs: Sequence[str], title: str,
    largest: float | None = None,
) -> str:  # fmt: skip
    """Draw one net.

    Parameters
    ----------
    layers : Layers
    inputs, outputs : sequence of str
        Names of the first layer's inputs and of the last one's outputs.
    title : str
    largest : float or None
        The weight that is drawn thickest; None for the net's own.

    Returns
    -------
    str
        SVG.
    """
    svg = _svg(WIDTH, HEIGHT, title, _description(layers, inputs, outputs))
    _draw(svg, layers, (inputs, outputs), title, largest or largest_weight([layers]))
    return _text(svg)


def strip(
    frames: Mapping[str, Layers], inputs: Sequence[str], outputs: Sequence[str], title: str
) -> str:
    """Draw several nets side by side, all to one scale.

    Parameters
    ----------
    frames : mapping of str to Layers
        By their captions.
    inputs, outputs : sequence of str
    title : str
    """
    rows = -(-len(frames) // COLUMNS)
    first = next(iter(frames.values()))
    description = (
        f"{len(frames)} times one net: {'; '.join(frames)}. {_description(first, inputs, outputs)}"
    )
    svg = _svg(WIDTH * COLUMNS, HEIGHT * rows, title, description)
    largest = largest_weight(list(frames.values()))
    for place, (caption, layers) in enumerate(frames.items()):
        x, y = place % COLUMNS * WIDTH, place // COLUMNS * HEIGHT
        group = _add(svg, "g", transform=f"translate({x} {y})")
        _draw(group, layers, (inputs, outputs), caption, largest)
    return _text(svg)


def animation(
    frames: Mapping[str, Layers], inputs: Sequence[str], outputs: Sequence[str], title: str
) -> str:
    """Draw a net that changes from frame to frame, three times, and stays at the last one.

    Parameters
    ----------
    frames : mapping of str to Layers
        By their captions, at least two.
    inputs, outputs : sequence of str
    title : str
    """
    captions, nets = list(frames), list(frames.values())
    changes = f"It changes from {captions[0]} to {captions[-1]}. "
    svg = _svg(WIDTH, HEIGHT, title, changes + _description(nets[-1], inputs, outputs))
    largest = largest_weight(nets)
    lines = _draw(svg, nets[-1], (inputs, outputs), "", largest)
    moving = np.stack([_flat(net) for net in nets], axis=1)
    for line, weights in zip(lines, moving, strict=True):
        signs = [_sign(weight) for weight in weights]
        widths = [_width(weight, largest) for weight in weights]
        _animate(line, "stroke-width", widths, "linear")
        if len(set(signs)) > 1:
            _animate(line, "stroke", [COLOURS[sign] for sign in signs], "discrete")
            _animate(line, "stroke-dasharray", [DASHES[sign] for sign in signs], "discrete")
    for place, caption in enumerate(captions):
        last = place == len(captions) - 1
        shown = _caption(svg, caption, visibility="visible" if last else "hidden")
        when = ["visible" if at == place else "hidden" for at in range(len(captions))]
        _animate(shown, "visibility", when, "discrete")
    return _text(svg)


def largest_weight(nets: Sequence[Layers]) -> float:
    """Return the largest absolute weight of several nets; 1 where all are 0."""
    return max(float(np.abs(_flat(net)).max()) for net in nets) or 1.0


def _draw(
    parent: ET.Element,
    layers: Layers,
    names: tuple[Sequence[str], Sequence[str]],
    caption: str,
    largest: float,
) -> list[ET.Element]:
    """Draw a net into the rectangle from (0, 0); return its arrows, as `_flat` orders them."""
    counts = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]
    xs = np.linspace(MARGIN, WIDTH - MARGIN, len(counts))
    gap = (HEIGHT - TOP - BOTTOM) / max(counts)
    radius = min(14.0, gap * 0.4)
    middle = (HEIGHT + TOP - BOTTOM) / 2
    ys = [middle + gap * (np.arange(count) - (count - 1) / 2) for count in counts]
    lines = []
    for layer, (weight, _) in enumerate(layers):
        for node, row in enumerate(weight):
            for source, value in enumerate(row):
                start, end = (xs[layer], ys[layer][source]), (xs[layer + 1], ys[layer + 1][node])
                lines.append(_arrow(parent, start, end, radius, float(value), largest))
    for x, column in zip(xs, ys, strict=True):
        for y in column:
            _add(
                parent, "circle", cx=_number(x), cy=_number(y), r=_number(radius),
                fill="#ffffff", stroke="#333333", stroke_width="1.5",
            )  # fmt: skip
    for texts, x, column, anchor in (
        (names[0], xs[0] - radius - 6, ys[0], "end"),
        (names[1], xs[-1] + radius + 6, ys[-1], "start"),
    ):
        for text, y in zip(texts, column, strict=True):
            _write(parent, text, x, y + 5, text_anchor=anchor)
    if caption:
        _caption(parent, caption)
    return lines


def _arrow(
    parent: ET.Element,
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
    weight: float,
    largest: float,
) -> ET.Element:
    """Draw an arrow from a circle's edge to another's."""
    across = np.subtract(end, start)
    shift = across / np.hypot(*across)
    (x1, y1), (x2, y2) = start + shift * radius, end - shift * (radius + 4)
    sign = _sign(weight)
    return _add(
        parent, "line", x1=_number(x1), y1=_number(y1), x2=_number(x2), y2=_number(y2),
        stroke=COLOURS[sign], stroke_width=_width(weight, largest),
        stroke_dasharray=DASHES[sign], marker_end="url(#head)",
    )  # fmt: skip


def _svg(width: int, height: int, title: str, description: str) -> ET.Element:
    svg = ET.Element(
        f"{{{SVG}}}svg",
        {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-labelledby": "title description"},
    )
    svg.attrib |= {"width": str(width), "height": str(height), "font-family": "sans-serif"}
    _add(svg, "title", id="title").text = title
    _add(svg, "desc", id="description").text = description
    # A head is as large as its arrow is thick, so a weight near 0 has none.
    head = _add(
        _add(svg, "defs"), "marker", id="head", viewBox="0 0 6 6", refX="3", refY="3",
        markerWidth="2.2", markerHeight="2.2", orient="auto",
    )  # fmt: skip
    _add(head, "path", d="M0 0 6 3 0 6z", fill="#333333")
    _add(svg, "rect", width="100%", height="100%", fill="#ffffff")
    return svg


def _description(layers: Layers, inputs: Sequence[str], outputs: Sequence[str]) -> str:
    hidden = ", ".join(str(len(bias)) for _, bias in layers[:-1]) or "none"
    return (
        f"A network from {', '.join(inputs)} to {', '.join(outputs)}; nodes of its hidden layers: "
        f"{hidden}. {LEGEND}"
    )


def _animate(parent: ET.Element, attribute: str, values: Sequence[str], mode: str) -> None:
    """Change an attribute from value to value, three times: in jumps, or with `linear` smoothly."""
    _add(
        parent, "animate", attributeName=attribute, values=";".join(values), calcMode=mode,
        dur=f"{SECONDS * len(values):g}s", repeatCount="3", fill="freeze",
    )  # fmt: skip


def _caption(parent: ET.Element, text: str, **attributes: str) -> ET.Element:
    return _write(parent, text, WIDTH / 2, 26, text_anchor="middle", font_size="18", **attributes)


def _write(parent: ET.Element, text: str, x: float, y: float, **attributes: str) -> ET.Element:
    written = _add(parent, "text", x=_number(x), y=_number(y), fill="#222222", **attributes)
    written.text = text
    return written


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return ET.SubElement(parent, f"{{{SVG}}}{tag}", named)


def _flat(layers: Layers) -> NDArray[np.float32]:
    return np.concatenate([weight.ravel() for weight, _ in layers])


def _sign(weight: float) -> str:
    return "negative" if weight < 0 else "positive"


def _width(weight: float, largest: float) -> str:
    return _number(THICKEST * min(1.0, abs(weight) / largest))


def _number(value: float) -> str:
    return f"{value:.2f}"


def _text(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode") + "\n"
