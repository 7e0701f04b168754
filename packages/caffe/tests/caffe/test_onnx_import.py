"""ONNX models as nets give what ONNX Runtime does."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as runtime
import pytest
import torch
from google.protobuf import text_format
from torch import nn

import caffe
from caffe.__main__ import main
from caffe.errors import CaffeError, FormatError, NotInstalled
from caffe.onnx_export import export
from caffe.onnx_import import Imported, read
from caffe.proto.caffe_pb2 import NetParameter
from tests.caffe.test_folded import conv, layer

MAPS = "float[2,4,7,6] x"
Shapes = dict[str, tuple[int, ...]]


def model(text: str, weights: Shapes, given: str = MAPS, version: int = 17) -> Any:
    """Return a model whose nodes read random weights and write `y`."""
    graph = onnx.parser.parse_graph(f"g ({given}) => (float y) {{ {text} }}")
    random = np.random.default_rng(0)
    for name, shape in weights.items():
        values = random.normal(size=shape).astype(np.float32)
        values = abs(values) if name == "variance" else values
        graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    opset = [onnx.helper.make_opsetid("", version)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def written(path: Path, *arguments: Any, **named: Any) -> Path:
    onnx.save(model(*arguments, **named), path)
    return path


def assert_same(path: Path, imported: Imported, batch: int | None = None) -> None:
    """Run both with the same values, and compare every output."""
    net, random = imported.filled(), np.random.default_rng(1)
    for name in net.inputs if batch else ():
        net.blobs[name].reshape(batch, *net.blobs[name].shape[1:])
    given = {n: random.normal(size=net.blobs[n].shape).astype(np.float32) for n in net.inputs}
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    expected = session.run(names, given)
    net.forward(**given)
    for name, values in zip(names, expected, strict=True):
        np.testing.assert_allclose(net.blobs[name].data, values, rtol=1e-4, atol=1e-5)


CONV = {"w": (6, 4, 3, 3), "b": (6,)}
NORM = {"scale": (4,), "shift": (4,), "mean": (4,), "variance": (4,)}
SINGLE: list[tuple[str, Shapes, str]] = [
    ("y = Conv(x, w, b)", CONV, "Convolution"),
    ("y = Conv <strides=[2,1], pads=[0,1,2,0]> (x, w)", CONV, "Convolution"),
    ('y = Conv <auto_pad="SAME_UPPER", strides=[2,2]> (x, w)', CONV, "Convolution"),
    ('y = Conv <auto_pad="SAME_LOWER", strides=[2,3]> (x, w)', CONV, "Convolution"),
    (
        "y = Conv <group=2, dilations=[2,1], pads=[2,1,2,1]> (x, w)",
        {"w": (4, 2, 2, 3)},
        "Convolution",
    ),
    (
        "n = Constant <value_ints=[0,0,1,0,0,0,2,1]> () z = Pad (x, n) y = Conv(z, w)",
        CONV,
        "Convolution",
    ),
    ("y = ConvTranspose <strides=[2,2], pads=[1,0,1,2], output_padding=[1,0]> (x, w, b)",
     {"w": (4, 5, 3, 3), "b": (5,)}, "Deconvolution"),
    ("y = ConvTranspose <strides=[2,2], group=2, output_shape=[14,13]> (x, w)",
     {"w": (4, 5, 2, 3)}, "Deconvolution"),
    ("f = Flatten (x) y = Gemm <alpha=2.0, beta=3.0> (f, w, b)", {"w": (168, 5), "b": (1, 5)},
     "Flatten InnerProduct"),
    ("f = Flatten <axis=1> (x) y = Gemm <transB=1> (f, w)", {"w": (5, 168)},
     "Flatten InnerProduct"),
    ("m = MatMul (x, w) y = Add (b, m)", {"w": (6, 5), "b": (5,)}, "InnerProduct"),
    ("y = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]> (x)", {}, "Pooling"),
    ("y = MaxPool <kernel_shape=[3,2], strides=[2,2], ceil_mode=1> (x)", {}, "Pooling"),
    ('y = MaxPool <kernel_shape=[3,2], strides=[2,2], auto_pad="SAME_UPPER"> (x)', {}, "Pooling"),
    ("y = AveragePool <kernel_shape=[2,2]> (x)", {}, "Pooling"),
    ("y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (x)", {}, "Pooling Scale"),
    ("y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x)", {},
     "Pooling"),
    ("y = AveragePool <kernel_shape=[3,3], strides=[2,2], ceil_mode=1, pads=[0,1,0,1]> (x)", {},
     "Pooling Scale"),
    ("y = GlobalAveragePool (x)", {}, "Pooling"),
    ("y = GlobalMaxPool (x)", {}, "Pooling"),
    ("y = ReduceMean <axes=[2,3], keepdims=0> (x)", {}, "Pooling Flatten"),
    ("y = ReduceMean <axes=[-1]> (x)", {}, "Reduction Reshape"),
    ("y = BatchNormalization (x, scale, shift, mean, variance)", NORM, "BatchNorm Scale"),
    ("y = LRN <size=3, alpha=0.5, beta=0.6, bias=2.0> (x)", {}, "LRN"),
    ("y = Softmax (x)", {}, "Softmax"),
    ("a = Transpose <perm=[0,1,3,2]> (x) y = MatMul (a, x)", {}, "Permute MatMul"),
    ("a = Erf (x) y = Sub (a, x)", {}, "Erf Eltwise"),
    ("a = ReduceMean <axes=[-1]> (x) y = Sub (x, a)", {},
     "Reduction Reshape Power Reshape Bias"),
    ("y = ReduceMean <axes=[1], keepdims=0> (x)", {}, "Permute Reduction"),
    ("a = Constant <value_int=-2> () y = Gather <axis=1> (x, a)", {},
     "Slice Silence Silence Reshape"),
    ("f = Flatten (x) y = LogSoftmax <axis=1> (f)", {}, "Flatten Softmax Log"),
    ("y = PRelu (x, w)", {"w": (4, 1, 1)}, "PReLU"),
    ("y = LeakyRelu <alpha=0.2> (x)", {}, "ReLU"),
    ("y = Elu <alpha=0.3> (x)", {}, "ELU"),
    ("a = Constant <value_float=-0.5> () y = Clip (x, a)", {}, "Clip"),
    ("y = HardSigmoid (x)", {}, "Power Clip"),
    ("a = Constant <value_float=0.3> () y = Max (x, a)", {}, "Clip"),
    ("a = Sigmoid (x) b = Tanh (x) c = HardSwish (b) y = Sub (a, c)", {},
     "Sigmoid TanH HardSwish Eltwise"),
    ("a = Softplus (x) b = Abs (x) y = Mean (a, b, x)", {}, "BNLL AbsVal Eltwise"),
    ("a = Exp (x) b = Neg (a) y = Div (b, a)", {}, "Exp Power Power Eltwise"),
    ("a = Constant <value_float=2.0> () b = Pow (x, a) y = Sub (a, b)", {}, "Power Power Power"),
    ("a = Mul (x, w) y = Add (a, b)", {"w": (1, 4, 1, 1), "b": (4, 1, 1)}, "Scale"),
    ("a = Div (x, w) y = Sub (a, b)", {"w": (7, 1), "b": (7, 6)}, "Scale Bias"),
    ("a = GlobalMaxPool (x) b = Mul (a, x) y = Add (b, a)", {},
     "Pooling Reshape Scale Reshape Bias"),
    ("s = Constant <value_ints=[1,3]> () a, b = Split <axis=1> (x, s) y = Concat <axis=1> (b, a)",
     {}, "Slice Concat"),
    ("b = Constant <value_ints=[1,-4]> () e = Constant <value_ints=[3,100]> () "
     "i = Constant <value_ints=[1,3]> () y = Slice (x, b, e, i)", {},
     "Slice Silence Silence Slice Silence"),
    ("y = Transpose <perm=[0,2,3,1]> (x)", {}, "Permute"),
    ("a = Constant <value_ints=[0,2,2,-1]> () y = Reshape (x, a)", {}, "Reshape"),
    ("a = Constant <value_ints=[2]> () b = Unsqueeze (x, a) y = Squeeze (b, a)", {},
     "Reshape Reshape"),
    ("a = Identity (x) b, m = Dropout (a) c = Cast <to=1> (b) y = Relu (c)", {}, "ReLU"),
    ("a = Relu (x) y = Identity (a)", {}, "ReLU Power"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "weights", "types"), SINGLE)
def test_single_nodes(tmp_path: Path, text: str, weights: Shapes, types: str) -> None:
    path = written(tmp_path / "m.onnx", text, weights)
    found = read(path)
    assert [each.type for each in found.net.layer[1:]] == types.split()
    assert found.difference is not None
    assert found.difference < 1e-5
    assert_same(path, found)
    assert found.filled().outputs == ["y"]


OLD: list[tuple[int, str]] = [
    (7, "y = Clip <min=0.0, max=6.0> (x)"),
    (9, "a, b = Split <axis=1> (x) y = Sum (a, b, b)"),
    (9, "y = Slice <axes=[2], starts=[2], ends=[5]> (x)"),
    (9, 'a = Pad <pads=[0,0,1,1,0,0,1,1], mode="constant"> (x) '
        "y = AveragePool <kernel_shape=[3,3], count_include_pad=1> (a)"),
    (11, "a = Unsqueeze <axes=[4]> (x) y = Squeeze <axes=[4]> (a)"),
    (11, "f = Flatten (x) y = Softmax (f)"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "text"), OLD)
def test_older_operator_sets(tmp_path: Path, version: int, text: str) -> None:
    path = written(tmp_path / "m.onnx", text, {}, version=version)
    assert_same(path, read(path))


@pytest.mark.parametrize("factor", [2, 3])
def test_nearest_resizing(tmp_path: Path, factor: int) -> None:
    made = model('y = Resize <mode="nearest"> (x, , s)', {})
    sizes = np.array([1, 1, factor, factor], np.float32)
    made.graph.initializer.append(onnx.numpy_helper.from_array(sizes, "s"))
    onnx.save(made, tmp_path / "m.onnx")
    assert_same(tmp_path / "m.onnx", read(tmp_path / "m.onnx"))


@pytest.mark.parametrize("settings", [
    'mode="linear"',
    'mode="linear", coordinate_transformation_mode="align_corners"',
    'mode="linear", coordinate_transformation_mode="asymmetric"',
    'mode="cubic", coordinate_transformation_mode="pytorch_half_pixel", cubic_coeff_a=-0.75',
    'mode="nearest", nearest_mode="ceil"',
])  # fmt: skip
@pytest.mark.parametrize(("name", "sizes"), [
    ("scales", [1, 1, 2, 1.5]), ("scales", [1, 1, 0.5, 2.3]), ("sizes", [2, 4, 10, 3]),
])  # fmt: skip
def test_interpolation_is_a_product_along_each_axis(
    tmp_path: Path, settings: str, name: str, sizes: list[float]
) -> None:
    inputs = "x, , s" if name == "scales" else "x, , , s"
    made = model(f"y = Resize <{settings}> ({inputs})", {})
    values = np.array(sizes, np.float32 if name == "scales" else np.int64)
    made.graph.initializer.append(onnx.numpy_helper.from_array(values, "s"))
    onnx.save(made, tmp_path / "m.onnx")
    assert_same(tmp_path / "m.onnx", read(tmp_path / "m.onnx"))


def test_control_characters_of_names_are_escaped(tmp_path: Path) -> None:
    made = model("y = MatMul(w, x)", {"w": (5, 7)})
    made.graph.node[0].name = "a\nb\x1b[2J"
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(FormatError, match=r"node 'a\\nb\\x1b\[2J' \(MatMul\)"):
        read(tmp_path / "m.onnx")


LAYOUTS = [
    ("float[2,4,9] x", "y = MaxPool<kernel_shape=[2], strides=[2]>(x)"),
    ("float[2,4,9] x", "y = MaxPool<kernel_shape=[2], strides=[2], ceil_mode=1>(x)"),
    ("float[2,4,9] x", "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)"),
    ("float[2,4,9] x", "y = GlobalAveragePool(x)"),
    ("float[2,3,4,5,2] x", "y = GlobalMaxPool(x)"),
    ("float[2,8,3,2] x", "y = DepthToSpace<blocksize=2>(x)"),
    ("float[2,8,3,2] x", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)'),
    ("float[2,3,4,6] x", "y = SpaceToDepth<blocksize=2>(x)"),
    ("float[2,4,5,6] x", "y = InstanceNormalization(x, s, b)"),
    ("float[2,4,7] x", "y = InstanceNormalization<epsilon=0.01>(x, s, b)"),
    ("float[2,3,4] x", "y = LayerNormalization(x, s, b)"),
    ("float[2,4,3,5] x", "y = LayerNormalization<axis=2, epsilon=0.01>(x, f)"),
    ("float[2,4,3,5] x", "y = GroupNormalization<num_groups=2>(x, s, b)"),
    ("float[2,4,3] x", 'y = Gelu<approximate="tanh">(x)'),
    ("float[2,4,3] x", "y = Gelu(x)"),
]


@pytest.mark.parametrize(("given", "text"), LAYOUTS)
@pytest.mark.parametrize("batch", [None, 3])
def test_nodes_between_changes_of_layout(
    tmp_path: Path, given: str, text: str, batch: int | None
) -> None:
    given = given.replace("2,", "n,", 1) if batch else given
    learnt = {"s": (4,), "b": (4,), "f": (3, 5)}
    path = written(tmp_path / "m.onnx", text, learnt, given, 21)
    assert_same(path, read(path), batch)


class Network(nn.Module):
    """What torch's exporter writes much arithmetic on shapes for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.rows = nn.Linear(6 * 3 * 3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(torch.relu(self.norm(x)))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, -1, h, w)  # shuffled channels
        x = nn.functional.max_pool2d(nn.functional.silu(x), 2, ceil_mode=True)
        return self.rows(x.view(x.size(0), -1)).softmax(-1)


@pytest.mark.filterwarnings("ignore")  # torch's, of its own older exporter
def test_a_network_of_torch_for_any_batch(tmp_path: Path) -> None:
    file, example = io.BytesIO(), torch.zeros(2, 4, 6, 5)
    settings: dict[str, Any] = {"dynamo": False, "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(Network().eval(), (example,), file, input_names=["x"], **settings)
    path = tmp_path / "m.onnx"
    path.write_bytes(file.getvalue())
    found = read(path)
    types = "BatchNorm ReLU Convolution Reshape Permute Reshape Sigmoid Eltwise Pooling "
    types += "Flatten InnerProduct Softmax"
    assert [each.type for each in found.net.layer[1:]] == types.split()
    assert found.net.layer[0].input_param.shape[0].dim == [1, 4, 6, 5]
    assert_same(path, found, batch=3)


class Attention(nn.Module):
    """A transformer's block over patches and a class token, which alone decides the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 17, 16))
        self.norm, self.end = nn.LayerNorm(16), nn.Linear(16, 5)
        self.keys, self.mix = nn.Linear(16, 48), nn.Linear(16, 16)
        self.rows = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.size(0), -1, -1), x], 1) + self.places
        n, length, c = x.shape
        heads = [y.reshape(n, length, 2, c // 2) for y in self.keys(self.norm(x)).chunk(3, -1)]
        query, key, value = (y.transpose(1, 2) for y in heads)
        weights = (query @ key.transpose(-1, -2) * 8**-0.5).softmax(-1)
        x = x + self.mix((weights @ value).transpose(1, 2).reshape(n, length, c))
        x = x + self.rows(x)
        return self.end(x[:, 0] + x.mean(1)).softmax(-1)


@pytest.mark.filterwarnings("ignore")  # torch's, of its own older exporter
@pytest.mark.parametrize("version", [14, 20])  # without LayerNormalization and Gelu, and with both
def test_a_transformer_for_any_batch(tmp_path: Path, version: int) -> None:
    torch.manual_seed(0)
    path, example = tmp_path / "m.onnx", (torch.zeros(2, 3, 16, 16),)
    settings: dict[str, Any] = {"dynamo": False, "dynamic_axes": {"x": {0: "n"}}}
    settings |= {"input_names": ["x"], "opset_version": version}
    torch.onnx.export(Attention().eval(), example, str(path), **settings)
    found = read(path)
    assert_same(path, found, batch=3)
    export(found.filled(), path)
    assert (read(path).difference or 0) < 1e-5


PIECES: list[Callable[[str, str], str]] = [
    lambda x, y: conv(y, x),
    lambda x, y: layer(y, "Pooling", x, y, "pooling_param { kernel_size: 3 stride: 2 }"),
    lambda x, y: layer(y, "Pooling", x, y, "pooling_param { pool: AVE kernel_size: 3 pad: 1 }"),
    lambda x, y: layer(y, "Pooling", x, y, "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"),
    lambda x, y: layer(y, "ReLU", x, x) + layer(y + "p", "Power", x, y, "power_param { scale: 2 }"),
    lambda x, y: layer(y, "PReLU", x, y),
    lambda x, y: layer(y, "Swish", x, y),
    lambda x, y: layer(y, "LRN", x, y, "lrn_param { local_size: 3 alpha: 2 }"),
    lambda x, y: layer(y, "BatchNorm", x, y) + layer(f"{y}s", "Scale", y, y, SCALED),
    lambda x, y: layer(f"{y}a", "Sigmoid", x, f"{y}a") + layer(y, "Eltwise", f"{x} {y}a", y),
    lambda x, y: layer(f"{y}a", "AbsVal", x, f"{y}a") + layer(y, "Concat", f"{x} {y}a", y),
    lambda x, y: layer(y, "Permute", x, y, "permute_param { order: [0, 1, 3, 2] }"),
    lambda x, y: layer(y, "Deconvolution", x, y, UP),
]
SCALED = 'scale_param { bias_term: true filler { type: "gaussian" } }'
UP = 'convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" } }'
END = 'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }'


@pytest.mark.parametrize("seed", range(12))
def test_any_net_survives_export_and_import(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { '
    text += "dim: 2 dim: 4 dim: 13 dim: 12 } } }"
    for i in range(1, 6):
        text += random.choice(np.array(PIECES))(f"b{i - 1}" if i > 1 else "x", f"b{i}")
    text += layer("end", "InnerProduct", "b5", "end", END) + layer("p", "Softmax", "end", "p")
    caffe.set_random_seed(seed)
    net = caffe.Net(text_format.Parse(text, NetParameter()), caffe.TEST)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "BatchNorm":
            for blob, value in zip(blobs, (0.1, 2, 1), strict=True):
                blob.data[...] = value
    export(net, tmp_path / "m.onnx")
    found = read(tmp_path / "m.onnx").filled()
    data = random.normal(size=(2, 4, 13, 12)).astype(np.float32)
    (expected,) = net.forward(x=data).values()
    assert found.outputs == net.outputs
    np.testing.assert_allclose(found.forward(x=data)["p"], expected, rtol=1e-4, atol=1e-5)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "m.onnx", "y = Conv(x, w, b)", CONV, "float[n,4,h,6] x")
    files = [str(path), str(tmp_path / "m.prototxt"), str(tmp_path / "m.caffemodel")]
    assert main(["import-onnx", *files]) == 1
    assert capsys.readouterr().err.endswith("in 4 numbers, 0 for an axis that is known\n")
    assert main(["import-onnx", *files, "-shape", "0,0,7,0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Wrote {files[1]} and {files[2]}"
    assert re.fullmatch(r"Its outputs agree with ONNX Runtime's within \de-\d\d", lines[1])
    net = caffe.Net(*files[1:], caffe.TEST)
    np.testing.assert_array_equal(net.params["y"][1].data, read_weight(path, "b"))


def read_weight(path: Path, name: str) -> np.ndarray[Any, Any]:
    (found,) = (each for each in onnx.load(path).graph.initializer if each.name == name)
    return onnx.numpy_helper.to_array(found)


REFUSED: list[tuple[str, Shapes, str]] = [
    ("y = Asin (x)", {}, r"these nodes have no counterpart in Caffe: 'y' \(Asin\)"),
    ("y = my.own.Thing (x)", {}, r"no counterpart in Caffe: 'y' \(Thing\)"),
    ("y = Relu (z)", {}, r"node 'y' \(Relu\) reads 'z', which no node before it computes"),
    ("a = Relu (b) b = Relu (a) y = Add (x, b)", {}, "reads 'b', which no node before it"),
    ("y = Conv (x)", {}, r"node 'y' \(Conv\) is invalid: Node .* has input size 1"),
    ("y = Conv (x, w)", {"w": (4, 3, 3, 3)}, r"weights of shape \(4, 3, 3, 3\); its input needs "),
    ("y = Conv (x, x)", {}, "has no constant input 1"),
    ("y = Conv <pads=[1,0,0,0], dilations=[2,2]> (x, w)", CONV,
     r"pads \(1, 0\) and \(0, 0\) with dilation \[2, 2\]"),
    ("y = Relu <alpha=1.0> (x)", {}, "is invalid: Unrecognized attribute: alpha"),
    ("a = Relu (x) a = Relu (x) y = Relu (a)", {}, "computes 'a', which exists already"),
    ("y = MatMul (w, x)", {"w": (5, 7)}, "has no computed input 0"),
    ("y = Concat <axis=2> (c, x)", {"c": (2, 4, 3, 6)}, "joins constants of shape"),
    ("a = Constant <value_ints=[0,1]> () y = Gather <axis=1> (x, a)", {}, "takes 2 places"),
    ("a = Constant <value_ints=[-1]> () b = Reshape (x, a) y = MatMul (x, b)", {}, "node 'y'"),
    ("y = Mul (x, w)", {"w": (3, 2, 4, 7, 6)}, "combines .*Allowed: what keeps the blob's shape"),
    ("a = ReduceMax <axes=[1]> (x) y = Mul (x, a)", {}, "reduces the axes"),
    ("a = Constant <value_ints=[0,0,1,1,0,0,1,1]> () b = Pad (x, a) y = MaxPool "
     "<kernel_shape=[3,3]> (b)", {}, r"node 'y' \(MaxPool\) reads maps padded with zeros"),
    ("a = Constant <value_ints=[1000000000,1000000000]> () b = ConstantOfShape (a) y = Add (x, b)",
     {}, "makes constants too large. Allowed: 268435456"),
    ("a = Shape (x) b = Cast <to=1> (x) c = Gather (a, b) y = Relu (c)", {}, "node 'c'"),
    ("y = MaxPool <kernel_shape=[3,3], strides=[0,1]> (x)", {}, "node 'y'"),
    ("y = Softmax <axis=9> (x)", {}, "node 'y'"),
    ("y = Constant <value_float=1.0> ()", {}, "the output 'y' does not depend on an input"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "weights", "message"), REFUSED)
def test_what_has_no_counterpart_is_named(
    tmp_path: Path, text: str, weights: Shapes, message: str
) -> None:
    path = written(tmp_path / "m.onnx", text, weights)
    with pytest.raises(FormatError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    good = written(tmp_path / "m.onnx", "y = Conv (x, w)", CONV).read_bytes()
    newer = model("y = Relu (x)", {}, version=17)
    newer.opset_import[0].version = 9999
    contents = {
        "is no ONNX model, or is truncated": good[:-9],
        "it holds no nodes": b"",
        "is no ONNX model": b"\x89PNG\r\n\x1a\n",
        "the operator set is 9999. Allowed: 7 to": newer.SerializeToString(),
    }
    for message, content in contents.items():
        (tmp_path / "b.onnx").write_bytes(content)
        with pytest.raises(FormatError, match=re.escape(message)):
            read(tmp_path / "b.onnx")
    with pytest.raises(FormatError, match="is no regular file"):
        read(tmp_path)
    with pytest.raises(FormatError, match="cannot be read: No such file"):
        read(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("w.bin", None),
        ("../w.bin", "is outside the folder of the model"),
        ("/etc/passwd", "is outside the folder of the model"),
        ("link", "is outside the folder of the model"),
        ("none", "is missing"),
        ("short", "has 864 bytes at 0; its shape needs 864"),
        ("a\0b", "is invalid"),
    ],
)
def test_external_data(tmp_path: Path, location: str, message: str | None) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    made = model("y = Conv (x, w)", {"w": (6, 4, 3, 3)})
    tensor = made.graph.initializer[0]
    for file in (tmp_path / "w.bin", folder / "w.bin"):
        file.write_bytes(tensor.raw_data)
    (folder / "short").write_bytes(b"short")
    (folder / "link").symlink_to(tmp_path / "w.bin")
    expected = onnx.numpy_helper.to_array(tensor)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    if message is None:
        weight = read(folder / "m.onnx").filled().params["y"][0].data
        np.testing.assert_array_equal(weight, expected)
    else:
        with pytest.raises(FormatError, match=message):
            read(folder / "m.onnx")


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        changed[random.integers(len(changed))] = random.integers(256)
    return bytes(changed[: random.integers(1, len(changed)) if random.random() < 0.1 else None])


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    text = "a = Conv <pads=[1,0,0,1]> (x, w) s = Shape (a) f = Reshape (a, s) y = MaxPool "
    text += "<kernel_shape=[2,2]> (f)"
    good = model(text, {"w": (1, 4, 2, 2)}).SerializeToString()
    random, path = np.random.default_rng(0), tmp_path / "m.onnx"
    lines = []
    for _ in range(150):
        path.write_bytes(mutated(good, random))
        try:
            read(path)
        except CaffeError as error:
            lines.append(str(error).splitlines())
    assert len(lines) > 50
    assert all(len(each) == 1 for each in lines)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(NotInstalled, match="import-onnx needs the package onnx: pip install onnx"):
        read(tmp_path / "m.onnx")
