"""Draw a net's definition as a graph, with pycaffe's function names.

The graph is pydot's. Its text in Graphviz's language needs nothing else; images need Graphviz's
command `dot`.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pydot

from caffe.errors import CaffeError, NetError
from caffe.formats import replacing
from caffe.proto import caffe_pb2 as caffe_pb2
from caffe.proto.caffe_pb2 import (
    ConvolutionParameter,
    LayerParameter,
    NetParameter,
    PoolingParameter,
)

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
_TEXT = ("dot", "gv", "raw")  # formats that need no Graphviz


def get_pooling_types_dict() -> dict[int, str]:
    """Return the names of the pooling methods, by number."""
    return {value: name for name, value in PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: LayerParameter) -> str:
    """Return the label of the edges that leave a layer; a quoted ``""`` for none."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer: LayerParameter) -> tuple[float, float]:
    """Return the learning rate multipliers of a layer's weight and bias.

    Raises
    ------
    NetError
        If the type has no weight and bias, or there are more than two param.
    """
    if layer.type not in _LEARNING or len(layer.param) > 2:
        raise NetError(
            f"layer '{layer.name}' ({layer.type}, {len(layer.param)} param) has no learning rate "
            f"multipliers to show. Allowed: {', '.join(_LEARNING)}, with two at most"
        )
    rates = [param.lr_mult for param in layer.param] + [1.0, 1.0]
    return rates[0], rates[1]


def get_layer_label(layer: LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """Return the label of a layer, in quotes.

    Parameters
    ----------
    layer : LayerParameter
    rankdir : str
        Direction of the graph. The parts of a label stand side by side in a vertical graph ("TB",
        "BT"), below each other otherwise.
    display_lrm : bool
        Whether to show the learning rate multipliers.
    """
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    kind = layer.type
    if kind == "Pooling":
        kind += f" {get_pooling_types_dict()[layer.pooling_param.pool]}"
    parts = [layer.name, f"({kind})"]
    if layer.type == "Pooling":
        parts += _window(layer.pooling_param)
    elif layer.type in ("Convolution", "Deconvolution"):
        parts += _window(layer.convolution_param)
    if display_lrm and layer.type in _LEARNING:
        weight, bias = get_layer_lr_mult(layer)
        if weight or bias:
            parts.append(f"lr mult: {weight:.1f}, {bias:.1f}")
    return f'"{separator.join(parts)}"'


def _window(param: ConvolutionParameter | PoolingParameter) -> list[str]:
    default = 0 if isinstance(param, PoolingParameter) else 1
    return [
        f"kernel size: {_sizes(param, 'kernel_size', default)}",
        f"stride: {_sizes(param, 'stride', 1)}",
        f"pad: {_sizes(param, 'pad', 0)}",
    ]


def _sizes(param: ConvolutionParameter | PoolingParameter, name: str, default: int) -> str:
    """Return a setting as one number, or as one for each axis: "3x5"."""
    short = name.partition("_")[0]
    if param.HasField(f"{short}_h") or param.HasField(f"{short}_w"):
        return f"{getattr(param, f'{short}_h')}x{getattr(param, f'{short}_w')}"
    value = getattr(param, name)
    if isinstance(value, int):
        return str(value)
    return "x".join(map(str, value)) or str(default)


def choose_color_by_layertype(layertype: str) -> str:
    """Return the color of a type of layer, as ``#RRGGBB``."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_pydot_graph(
    caffe_net: NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> pydot.Dot:
    """Return the graph of a net.

    Parameters
    ----------
    caffe_net : NetParameter
    rankdir : str
        Direction of the graph: "LR", "RL", "TB" or "BT".
    label_edges : bool
        Whether edges show a layer's number of outputs.
    phase : int
        Draw only the layers of this phase; all layers if None.
    display_lrm : bool
        Whether to show the learning rate multipliers.

    Raises
    ------
    NetError
        If a phase is given and a layer has both include and exclude rules.
    """
    graph = pydot.Dot(_quoted(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    nodes: dict[str, pydot.Node] = {}
    edges: list[tuple[str, str, str]] = []
    for layer in caffe_net.layer:
        if phase is not None and not _in_phase(layer, phase):
            continue
        name = f"{layer.name}_{layer.type}"
        label = get_layer_label(layer, rankdir, display_lrm)
        nodes[name] = pydot.Node(label, None, **_style(layer))
        # A blob that no later layer uses keeps Graphviz's plain style.
        nodes |= {f"{b}_blob": pydot.Node(_quoted(b), None, **BLOB_STYLE) for b in layer.bottom}
        nodes |= {f"{b}_blob": pydot.Node(_quoted(b)) for b in layer.top}
        edges += [(f"{b}_blob", name, '""') for b in layer.bottom]
        outputs = get_edge_label(layer) if label_edges else '""'
        edges += [(name, f"{b}_blob", outputs) for b in layer.top]
    for node in nodes.values():
        graph.add_node(node)
    for start, end, label in edges:
        graph.add_edge(pydot.Edge(nodes[start], nodes[end], label=label))
    return graph


def _style(layer: LayerParameter) -> dict[str, str]:
    if len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top):
        return NEURON_LAYER_STYLE
    return {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}


def _in_phase(layer: LayerParameter, phase: int) -> bool:
    """Whether a layer's rules include it in a phase; levels and stages are ignored."""
    if layer.include and layer.exclude:
        raise NetError(f"layer '{layer.name}' has both include and exclude. Allowed: one of them")
    if layer.include:
        return any(rule.phase == phase or not rule.HasField("phase") for rule in layer.include)
    return all(rule.phase != phase or not rule.HasField("phase") for rule in layer.exclude)


def _quoted(name: str) -> str:
    text = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def draw_net(
    caffe_net: NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Return a drawing of a net.

    Parameters
    ----------
    caffe_net, rankdir, phase, display_lrm
        As `get_pydot_graph` takes them.
    ext : str
        Format: one that Graphviz writes, such as "png", "svg" or "pdf"; "dot", "gv" or "raw" for
        the graph in Graphviz's language, which needs no Graphviz.

    Raises
    ------
    CaffeError
        If Graphviz is not installed, or refuses the format.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    text = graph.to_string().encode()
    return text if ext in _TEXT else _run_dot(["-T", ext], text)


def _run_dot(arguments: Sequence[str], text: bytes) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise CaffeError(
            "drawing needs Graphviz's command `dot`, which is not on the PATH. Install Graphviz, "
            f"or write the graph as text: {', '.join(_TEXT)}"
        )
    done = subprocess.run([program, *arguments], input=text, capture_output=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise CaffeError(f"dot {' '.join(arguments)} ended with {done.returncode}: {reason}")
    return done.stdout


def draw_net_to_file(
    caffe_net: NetParameter,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draw a net into a file, in the format of its extension; see `draw_net`."""
    path = Path(filename)
    if not path.suffix:
        raise CaffeError(
            f"{path}: the name has no extension. Allowed: .png, .svg, .dot and the like"
        )
    image = draw_net(caffe_net, rankdir, path.suffix[1:], phase, display_lrm)
    with replacing(path) as temporary:
        temporary.write_bytes(image)
