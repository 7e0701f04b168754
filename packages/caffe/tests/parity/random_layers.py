"""Draw random layers one after another: those that can follow in a partial net.

Each function of LAYERS adds one layer (or a few) to a `Draft`, or nothing where no blob suits it.
Shapes are our engine's; where it refuses a layer, the layer is left out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import caffe
from caffe.errors import CaffeError
from tests.parity.compare import parse

KINDS = frozenset(caffe.layer_type_list())
# Layers whose tops must not be changed in place: in real Caffe they share memory with the bottom or
# a weight, or the layer needs them for its gradient, which would be wrong then.
KEPT = {
    *("Flatten", "Reshape", "Parameter", "Tile", "Concat", "Slice", "Softmax", "LRN", "MVN"),
    *("BatchNorm", "Swish", "LSTM", "RNN", "Sigmoid", "TanH", "ELU", "Exp", "Eltwise"),
}


@dataclass
class Draft:
    """A partial net.

    Parameters
    ----------
    rng : numpy.random.Generator
    phase : int
    forced : bool
        Whether the net has force_backward.
    layers : list of str
        Prototxt.
    shapes : dict of str to tuple of int
        Of every blob that a layer may use.
    inputs : dict of str to ndarray
        Values of the Input layers.
    open : list of str
        Blobs that no layer uses yet.
    kept : set of str
        Blobs that no layer may change in place.
    makers : dict of str to str
        The type of the layer that produces each blob.
    shared : dict of tuple to str
        Names of parameters, by their shapes.
    """

    rng: np.random.Generator
    phase: int
    forced: bool
    layers: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    makers: dict[str, str] = field(default_factory=dict)
    shared: dict[tuple[object, ...], str] = field(default_factory=dict)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """Return an integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def one_of(self, *values: str) -> str:
        return values[self.integer(0, len(values) - 1)]

    def blob(self, *axes: int) -> str | None:
        """Return a blob with one of these numbers of axes, or with any number."""
        fitting = [n for n, shape in self.shapes.items() if not axes or len(shape) in axes]
        fresh = [name for name in fitting if name in self.open]
        chosen = fresh if fresh and self.chance(0.75) else fitting
        return self.one_of(*chosen) if chosen else None

    def alike(self, name: str) -> list[str]:
        """Return the other blobs of the same shape."""
        return [n for n, shape in self.shapes.items() if shape == self.shapes[name] and n != name]

    def input(self, values: NDArray[np.float64]) -> str:
        """Add an Input layer."""
        name = f"in{len(self.inputs)}"
        dims = " ".join(f"dim: {size}" for size in values.shape)
        self.layers.append(
            f'layer {{ name: "{name}" type: "Input" top: "{name}" '
            f"input_param {{ shape {{ {dims} }} }} }}"
        )
        self.inputs[name] = values.astype(np.float32)
        self.shapes[name] = values.shape
        self.open.append(name)
        self.kept.add(name)
        return name

    def add(
        self, kind: str, bottoms: list[str], settings: str = "", tops: int = 1, within: bool = False
    ) -> list[str]:
        """Add a layer, in place if `within` and no other layer reads the blob.

        Returns
        -------
        list of str
            Its tops; none if the layer is refused, or not there yet.
        """
        if kind not in KINDS:
            return []
        number = len(self.layers)
        names = [f"b{number}" if tops == 1 else f"b{number}_{i}" for i in range(tops)]
        if within and bottoms[0] in self.open and bottoms[0] not in self.kept:
            names[0] = bottoms[0]
        blobs = " ".join([f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in names])
        self.layers.append(f'layer {{ name: "l{number}" type: "{kind}" {blobs} {settings} }}')
        try:
            made = caffe.Net(parse("\n".join(self.layers)), self.phase)
            empty = not all(made.blobs[name].count for name in names)
        except CaffeError:
            empty = True
        if empty:
            self.layers.pop()
            return []
        self.open = [name for name in self.open if name not in bottoms] + names
        self.shapes |= {name: made.blobs[name].shape for name in names}
        self.makers |= dict.fromkeys(names, kind)
        if kind in KEPT:
            self.kept.update(names)
        return names

    def param(self, *key: object) -> str:
        """Return a `param` that shares a parameter of this key, or none."""
        if not self.chance(0.4):
            return ""
        name = self.shared.setdefault(key, f"w{len(self.shared)}")
        return f'param {{ name: "{name}" }}'


def _window(draft: Draft) -> str:
    """With a stride up to the kernel: a window outside the map would be empty (0 / 0)."""
    kernel = draft.integer(1, 3)
    pad = draft.integer(0, min(1, kernel - 1))
    return f"kernel_size: {kernel} stride: {draft.integer(1, min(2, kernel))} pad: {pad}"


def convolution(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is None:
        return
    channels = draft.shapes[bottom][1]
    group = channels if draft.chance(0.2) else math.gcd(channels, draft.integer(1, 2))
    outputs = group * draft.integer(1, 3)
    kind = draft.one_of("Convolution", "Convolution", "Deconvolution")
    kernel, bias = draft.integer(1, 3), draft.chance(0.7)
    settings = (
        f"convolution_param {{ num_output: {outputs} group: {group} bias_term: {str(bias).lower()} "
        f"kernel_size: {kernel} stride: {draft.integer(1, 2)} pad: {draft.integer(0, 2)} "
        f"dilation: {draft.integer(1, 2)} }}"
    )
    draft.add(kind, [bottom], draft.param(kind, channels, outputs, group, kernel) + settings)


def pooling(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is None:
        return
    window = "global_pooling: true" if draft.chance(0.15) else _window(draft)
    draft.add(
        "Pooling", [bottom], f"pooling_param {{ pool: {draft.one_of('MAX', 'AVE')} {window} }}"
    )


def im2col(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is not None:
        draft.add("Im2col", [bottom], f"convolution_param {{ {_window(draft)} }}")


def spp(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is not None:
        draft.add("SPP", [bottom], f"spp_param {{ pyramid_height: {draft.integer(1, 2)} }}")


def lrn(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is None:
        return
    region = draft.one_of("ACROSS_CHANNELS", "WITHIN_CHANNEL")
    settings = f"local_size: {draft.one_of('1', '3', '5')} alpha: {draft.number(0.1, 2)}"
    settings += f" beta: {draft.number(0.3, 1)} norm_region: {region}"
    if region == "ACROSS_CHANNELS":
        settings += f" k: {draft.number(1, 2)}"
    draft.add("LRN", [bottom], f"lrn_param {{ {settings} }}")


def batch_norm(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is None:
        return
    # The wheel cannot compute a batch's statistics (tests/parity/layers/norm.py).
    settings = "batch_norm_param { use_global_stats: true eps: 0.01 }"
    draft.add("BatchNorm", [bottom], settings, within=draft.chance(0.3))


def mvn(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is None:
        return
    flags = [draft.one_of("true", "false") for _ in range(2)]
    settings = f"normalize_variance: {flags[0]} across_channels: {flags[1]} eps: 0.01"
    draft.add("MVN", [bottom], f"mvn_param {{ {settings} }}")


def scale(draft: Draft) -> None:
    """With a learnt factor and offset, or a second bottom as the factor."""
    if (bottom := draft.blob()) is None:
        return
    if draft.chance(0.3) and (others := draft.alike(bottom)):
        kind = draft.one_of("Scale", "Bias")
        draft.add(kind, [bottom, draft.one_of(*others)], f"{kind.lower()}_param {{ axis: 0 }}")
        return
    axis, axes = draft.integer(0, 2), draft.one_of("1", "1", "2", "-1", "0")
    bias = f"bias_term: {draft.one_of('true', 'false')}"
    kind = draft.one_of("Scale", "Scale", "Bias")
    settings = f"axis: {axis} num_axes: {axes} {bias if kind == 'Scale' else ''}"
    draft.add(kind, [bottom], f"{kind.lower()}_param {{ {settings} }}", within=draft.chance(0.3))


ELEMENTWISE: dict[str, Callable[[Draft], str]] = {
    "ReLU": lambda d: f"relu_param {{ negative_slope: {d.one_of('0', '0.1', '0.5')} }}",
    "Sigmoid": lambda d: "",
    "TanH": lambda d: "",
    "AbsVal": lambda d: "",
    "BNLL": lambda d: "",
    "ELU": lambda d: f"elu_param {{ alpha: {d.number(0.2, 1.5)} }}",
    "PReLU": lambda d: f"prelu_param {{ channel_shared: {d.one_of('true', 'false')} }}",
    "Swish": lambda d: f"swish_param {{ beta: {d.number(0.5, 2)} }}",
    "Exp": lambda d: f"exp_param {{ base: {d.number(1.1, 2)} scale: {d.number(-0.5, 0.5)} }}",
    "Power": lambda d: (
        f"power_param {{ power: {d.one_of('1', '2', '3')} scale: {d.number(-1, 1)} "
        f"shift: {d.number(-1, 1)} }}"
    ),
    "Dropout": lambda d: "include { phase: TEST }",
}
# Layers that share their tops' gradients, which a Flatten above breaks in real Caffe.
OWNERS = {"Parameter", "LSTM", "RNN", "Reshape"}
# Those whose backward needs no values of the bottom (real Caffe's Power does).
WITHIN = {"ReLU", "Sigmoid", "TanH", "ELU", "PReLU", "Exp", "Dropout"}


def elementwise(draft: Draft) -> None:
    kind = draft.one_of(*ELEMENTWISE)
    bottom = draft.blob(2, 3, 4) if kind == "PReLU" else draft.blob()
    if bottom is not None and (kind != "Dropout" or draft.phase == caffe.TEST):
        settings = ELEMENTWISE[kind](draft)
        draft.add(kind, [bottom], settings, within=kind in WITHIN and draft.chance(0.4))


def logarithm(draft: Draft) -> None:
    """On values that are certainly positive."""
    if (bottom := draft.blob()) is not None and "Log" in KINDS:
        for squashed in draft.add("Sigmoid", [bottom]):
            draft.add("Log", [squashed], f"log_param {{ shift: {draft.number(0.1, 1)} }}")


def softmax(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is not None:
        axis = draft.integer(0, len(draft.shapes[bottom]) - 1)
        draft.add("Softmax", [bottom], f"softmax_param {{ axis: {axis} }}")


def inner_product(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is None:
        return
    shape = draft.shapes[bottom]
    axis = draft.integer(1, len(shape) - 1) if draft.chance(0.3) else 1
    outputs, transpose = draft.integer(1, 5), draft.one_of("true", "false", "false")
    inputs = math.prod(shape[axis:])
    if draft.chance(0.3):
        outputs = inputs = min(inputs, 8) if inputs <= 8 else inputs
        outputs = inputs if inputs <= 8 else outputs
    outputs = min(outputs, 8)
    bias = draft.one_of("true", "true", "false")
    draft.add(
        "InnerProduct",
        [bottom],
        draft.param("InnerProduct", inputs, outputs, transpose)
        + f"inner_product_param {{ num_output: {outputs} axis: {axis} transpose: {transpose} "
        f"bias_term: {bias} }}",
    )


def reshape(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is None:
        return
    axes = len(draft.shapes[bottom])
    kind = draft.one_of("Flatten", "Reshape", "Permute")
    if kind == "Flatten" and draft.makers.get(bottom) in OWNERS:
        return
    if kind == "Flatten":
        draft.add(kind, [bottom], f"flatten_param {{ axis: {draft.integer(0, axes - 1)} }}")
    elif kind == "Reshape":
        dims = draft.one_of("dim: 0 dim: -1", "dim: 0 dim: 0 dim: -1", "dim: 0 dim: -1 dim: 1")
        dims = draft.one_of(dims, f"{dims} dim: 1")
        draft.add(kind, [bottom], f"reshape_param {{ shape {{ {dims} }} }}")
    else:
        axes_in_order = draft.rng.permutation(axes)
        if list(axes_in_order) != sorted(
            axes_in_order
        ):  # the wheel confuses the memory of its blobs
            order = " ".join(f"order: {axis}" for axis in axes_in_order)
            draft.add(kind, [bottom], f"permute_param {{ {order} }}")


def tile(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is not None:
        axis, tiles = draft.integer(0, len(draft.shapes[bottom]) - 1), draft.integer(1, 3)
        draft.add("Tile", [bottom], f"tile_param {{ axis: {axis} tiles: {tiles} }}")


def reduction(draft: Draft) -> None:
    if (bottom := draft.blob()) is None:
        return
    operation = draft.one_of("SUM", "ASUM", "SUMSQ", "MEAN")
    axis = draft.integer(0, max(0, len(draft.shapes[bottom]) - 1))
    settings = f"operation: {operation} axis: {axis} coeff: {draft.number(-2, 2)}"
    draft.add("Reduction", [bottom], f"reduction_param {{ {settings} }}")


def slices(draft: Draft) -> None:
    if (bottom := draft.blob(2, 3, 4)) is None:
        return
    shape = draft.shapes[bottom]
    axis = draft.integer(0, len(shape) - 1)
    if shape[axis] < 2:
        return
    tops = draft.integer(2, min(3, shape[axis]))
    points = sorted(draft.rng.choice(np.arange(1, shape[axis]), tops - 1, replace=False))
    given = " ".join(f"slice_point: {point}" for point in points)
    draft.add("Slice", [bottom], f"slice_param {{ axis: {axis} {given} }}", tops)


def concat(draft: Draft) -> None:
    """On blobs that differ in at most one axis."""
    if (bottom := draft.blob(1, 2, 3, 4)) is None:
        return
    shape = draft.shapes[bottom]
    axis = draft.integer(0, len(shape) - 1)
    fitting = [
        name
        for name, other in draft.shapes.items()
        if len(other) == len(shape)
        and all(a == b for i, (a, b) in enumerate(zip(shape, other, strict=True)) if i != axis)
    ]
    others = [draft.one_of(*fitting) for _ in range(draft.integer(1, 2))]
    draft.add("Concat", [bottom, *others], f"concat_param {{ axis: {axis} }}")


def eltwise(draft: Draft) -> None:
    if (bottom := draft.blob()) is None or not (others := draft.alike(bottom)):
        return
    bottoms = [bottom, *(draft.one_of(*others) for _ in range(draft.integer(1, 2)))]
    operation = draft.one_of("SUM", "SUM", "PROD", "MAX")
    settings = f"operation: {operation}"
    if operation == "SUM" and draft.chance(0.5):
        settings += "".join(f" coeff: {draft.number(-2, 2)}" for _ in bottoms)
    if operation == "PROD":
        settings += f" stable_prod_grad: {draft.one_of('true', 'false')}"
    draft.add("Eltwise", bottoms, f"eltwise_param {{ {settings} }}")


def crop(draft: Draft) -> None:
    if (bottom := draft.blob(4)) is None:
        return
    shape = draft.shapes[bottom]
    smaller = [
        name
        for name, other in draft.shapes.items()
        if len(other) == 4 and other[2] <= shape[2] and other[3] <= shape[3]
    ]
    draft.add("Crop", [bottom, draft.one_of(*smaller)], "crop_param { axis: 2 offset: 0 }")


def batch_reindex(draft: Draft) -> None:
    if draft.forced or (bottom := draft.blob(1, 2, 3, 4)) is None:
        return
    count = draft.shapes[bottom][0]
    index = draft.input(draft.rng.integers(0, count, draft.integer(1, 2 * count)).astype(float))
    draft.open.remove(index)
    del draft.shapes[index]
    draft.add("BatchReindex", [bottom, index])


def embed(draft: Draft) -> None:
    if draft.forced:
        return
    index = draft.input(draft.rng.integers(0, 4, (draft.integer(1, 3), 2)).astype(float))
    draft.open.remove(index)
    del draft.shapes[index]
    draft.add("Embed", [index], f"embed_param {{ input_dim: 4 num_output: {draft.integer(1, 4)} }}")


def recurrent(draft: Draft) -> None:
    """LSTM or RNN with the first axis as time."""
    if (bottom := draft.blob(3)) is None:
        return
    shape = draft.shapes[bottom]
    going_on = draft.input((draft.rng.random(shape[:2]) < 0.7).astype(float))
    draft.open.remove(going_on)
    del draft.shapes[going_on]
    draft.add(
        draft.one_of("LSTM", "RNN"),
        [bottom, going_on],
        f"recurrent_param {{ num_output: {draft.integer(1, 4)} }}",
    )


def python(draft: Draft) -> None:
    if (bottom := draft.blob()) is not None:
        module = 'module: "tests.caffe.python_layers" layer: "Times"'
        settings = f'python_param {{ {module} param_str: "{draft.number(-1, 1)}" }}'
        draft.add("Python", [bottom], settings)


def parameter(draft: Draft) -> None:
    if (bottom := draft.blob(1, 2, 3, 4)) is not None:
        dims = " ".join(f"dim: {size}" for size in draft.shapes[bottom])
        draft.add("Parameter", [], f"parameter_param {{ shape {{ {dims} }} }}")


def silence(draft: Draft) -> None:
    if len(draft.open) > 2 and (bottom := draft.blob()) is not None:
        draft.add("Silence", [bottom], tops=0)


LAYERS: list[Callable[[Draft], None]] = [
    *[convolution, elementwise, elementwise, inner_product, eltwise, pooling] * 2,
    *[batch_norm, scale, concat, slices, reshape, lrn, mvn, softmax, reduction, tile, logarithm],
    *[im2col, spp, crop, batch_reindex, embed, recurrent, python, parameter, silence],
]
