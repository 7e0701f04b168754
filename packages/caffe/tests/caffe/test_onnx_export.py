"""Nets written as ONNX give the same in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime as runtime
import pytest

import caffe
from caffe.__main__ import main
from caffe.errors import CaffeError
from caffe.formats import parse_text
from caffe.onnx_export import export
from caffe.proto.caffe_pb2 import NetParameter
from tests.caffe.test_folded import BLOCK, conv, layer

INPUT = 'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {} }} }} }}'
IMAGE = INPUT.format("dim: 2 dim: 4 dim: 7 dim: 6")
PRODUCT = (
    'inner_product_param { num_output: 5 weight_filler { type: "gaussian" } '
    'bias_filler { type: "gaussian" } }'
)
SINGLE = [
    ("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"),
    ("Pooling", "pooling_param { kernel_size: 3 stride: 2 pad: 1 }"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    ("LRN", "lrn_param { local_size: 3 alpha: 2 }"),
    ("InnerProduct", PRODUCT),
    ("InnerProduct", PRODUCT.replace("num_output", "axis: 2 transpose: true num_output")),
    ("Deconvolution", 'convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 '
     'weight_filler { type: "gaussian" } }'),
    ("ReLU", "relu_param { negative_slope: 0.3 }"),
    ("PReLU", ""),
    ("ELU", "elu_param { alpha: 0.4 }"),
    ("Sigmoid", ""),
    ("TanH", ""),
    ("BNLL", ""),
    ("AbsVal", ""),
    ("Swish", "swish_param { beta: 2 }"),
    ("Clip", "clip_param { min: -0.5 max: 0.5 }"),
    ("Power", "power_param { power: 2 scale: 3 shift: 1 }"),
    ("Softmax", "softmax_param { axis: 2 }"),
    ("Flatten", "flatten_param { axis: 2 }"),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }"),
    ("Dropout", ""),
    ("HardSwish", ""),
    ("Mish", ""),
    ("Erf", ""),
    ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
    ("Log", "log_param { base: 10 scale: 0 shift: 3 }"),
    ("Threshold", "threshold_param { threshold: 0.2 }"),
    ("Permute", "permute_param { order: [0, 2, 3, 1] }"),
    ("Tile", "tile_param { axis: 2 tiles: 3 }"),
    ("Normalize", 'norm_param { scale_filler { type: "constant" value: 3 } }'),
    ("Normalize", "norm_param { across_spatial: false channel_shared: false }"),
    ("MVN", "mvn_param { eps: 0.1 }"),
    ("MVN", "mvn_param { across_channels: true normalize_variance: false }"),
    ("BN", "bn_param { slope_filler { type: 'gaussian' std: 1 } }"),
    ("BN", "bn_param { bn_mode: INFERENCE scale_filler { type: 'gaussian' std: 1 } }"),
    ("Pad", "pad_param { pad: 2 }"),
    ("Pad", "pad_param { pad: 2 padtype: REPLICATE }"),
    ("Pad", "pad_param { pad: 2 padtype: REFLECT }"),
    ("Reverse", "reverse_param { axis: 2 }"),
    ("Interp", "interp_param { height: 5 width: 11 pad_beg: -1 }"),
    ("Interp", "interp_param { zoom_factor: 2 }"),
    ("Upsample", "upsample_param { scale: 3 }"),
    ("ArgMax", "argmax_param { axis: 1 }"),
    ("ArgMax", "argmax_param { axis: -1 out_max_val: true }"),
    ("ArgMax", "argmax_param { out_max_val: true }"),
    ("Reduction", "reduction_param { operation: SUM axis: 1 coeff: 3 }"),
    ("Reduction", "reduction_param { operation: MEAN axis: -1 }"),
    ("Scale", 'scale_param { axis: 2 num_axes: 2 filler { type: "gaussian" } }'),
    ("Bias", 'bias_param { axis: -1 filler { type: "gaussian" } }'),
]  # fmt: skip


def build(text: str) -> caffe.Net:
    return caffe.Net(parse_text(text, NetParameter()), caffe.TEST)


def assert_same(net: caffe.Net, path: Path) -> None:
    """Run both with the same values, and compare every output."""
    export(net, path)
    random = np.random.default_rng(0)
    given = {n: random.uniform(-1, 1, net.blobs[n].shape).astype(np.float32) for n in net.inputs}
    expected = {name: values.copy() for name, values in net.forward(**given).items()}
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for name, found in zip(expected, session.run(list(expected), given), strict=True):
        scale = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize(("kind", "settings"), SINGLE)
def test_single_layers(tmp_path: Path, kind: str, settings: str) -> None:
    assert_same(build(IMAGE + layer("y", kind, "x", "y", settings)), tmp_path / "net.onnx")


@pytest.mark.parametrize("operation", ["SUM coeff: 2 coeff: -1", "PROD", "MAX"])
def test_branches(tmp_path: Path, operation: str) -> None:
    text = IMAGE + layer("a", "ReLU", "x", "a") + layer("b", "Sigmoid", "x", "b")
    text += layer("c", "Eltwise", "a b", "c", f"eltwise_param {{ operation: {operation} }}")
    text += layer("d", "Concat", "c x", "d", "concat_param { axis: -1 }")
    text += 'layer { name: "e" type: "Slice" bottom: "d" top: "e1" top: "e2" slice_param { '
    text += "axis: 1 slice_point: 1 } }"
    text += layer("f", "Crop", "d b", "f", "crop_param { axis: 3 offset: 1 }")
    text += layer("s", "Silence", "e2", "").replace('top: ""', "")
    assert_same(build(text), tmp_path / "net.onnx")


TABLE = "input_dim: 3 num_output: 5 weight_filler { type: 'gaussian' }"
ROWS = INPUT.replace('"x"', '"i"').format("dim: 3")  # 0 for values between -1 and 1
SEVERAL = [
    ("Axpy", "s x x", "", INPUT.replace('"x"', '"s"').format("dim: 2 dim: 4")),
    ("BatchReindex", "x i", "", ROWS),
    ("Embed", "i", f"embed_param {{ {TABLE} bias_filler {{ type: 'gaussian' }} }}", ROWS),
    ("PriorBox", "x x", "prior_box_param { min_size: 2 aspect_ratio: 2 }", ""),
]


@pytest.mark.parametrize(("kind", "bottoms", "settings", "more"), SEVERAL)
def test_layers_of_several_inputs(
    tmp_path: Path, kind: str, bottoms: str, settings: str, more: str
) -> None:
    text = IMAGE + more + layer("y", kind, bottoms, "y", settings) + layer("z", "ReLU", "x", "z")
    assert_same(build(text), tmp_path / "net.onnx")


def test_maps_are_resized_at_one_scale(tmp_path: Path) -> None:
    resized = layer("y", "ImResize", "x", "y", "imresize_param { factor: 1.5 }")
    one = INPUT.format("dim: 1 dim: 4 dim: 7 dim: 6")
    assert_same(build(one + resized), tmp_path / "net.onnx")
    with pytest.raises(CaffeError, match="no operator in ONNX for several scales"):
        export(build(IMAGE + resized), tmp_path / "net.onnx")


def test_shuffled_channels(tmp_path: Path) -> None:
    net = caffe.Net(str(shuffled(tmp_path)), caffe.TEST)
    assert_same(net, tmp_path / "net.onnx")


def shuffled(folder: Path) -> Path:
    text = layer("y", "ShuffleChannel", "x", "y", "shuffle_channel_param { group: 2 }")
    (folder / "n.prototxt").write_text(IMAGE + text)
    return folder / "n.prototxt"


def test_a_residual_block_in_place(tmp_path: Path) -> None:
    assert_same(build(BLOCK), tmp_path / "net.onnx")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = build(IMAGE + conv("y", "x"))
    net.save(tmp_path / "n.caffemodel")
    (tmp_path / "n.prototxt").write_text(IMAGE + conv("y", "x"))
    files = [str(tmp_path / name) for name in ("n.prototxt", "n.caffemodel", "n.onnx")]
    assert main(["export-onnx", *files]) == 0
    assert capsys.readouterr().out == f"Wrote {files[2]}\n"
    assert (tmp_path / "n.onnx").stat().st_size > 0


def test_layers_without_an_operator_are_named(tmp_path: Path) -> None:
    text = IMAGE + layer("m", "SPP", "x", "m", "spp_param { pyramid_height: 2 }")
    text += layer("s", "Im2col", "x", "s", "convolution_param { kernel_size: 3 }")
    with pytest.raises(CaffeError, match=r"no operator in ONNX: 'm' \(SPP\), 's' \(Im2col\)\. "):
        export(build(text), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="cannot be written: No such file"):
        export(build(IMAGE + conv("y", "x")), tmp_path / "none" / "net.onnx")
