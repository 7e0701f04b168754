"""Files written by one engine and read by the other: weights, old weights, mean images."""

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.errors import RealCaffeRefused
from caffe.formats import blob_array, read_binary, set_blob, write_binary
from caffe.hdf5 import read_state, write_state
from caffe.proto.caffe_pb2 import BlobProto, NetParameter
from tests.parity.compare import params, parse

TEXT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } bias_filler { value: 0.5 } } }
layer { name: "a" type: "InnerProduct" bottom: "c" top: "a" param { name: "w" }
  inner_product_param { num_output: 36 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 36 bias_filler { value: 2 } } }
"""


def made(seed: int) -> caffe.Net:
    caffe.set_random_seed(seed)
    return caffe.Net(parse(TEXT), caffe.TEST)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert np.array_equal(found[name], values), name


def loaded_by_real(real, text, file):
    found = real.forward_backward(text, weights=file, backward=False)
    return {name.removeprefix("param/"): v for name, v in found.items() if "param/" in name}


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
@pytest.mark.parametrize("diff", [False, True])
def test_our_weights_in_real_caffe(real_caffe, tmp_path, name, diff):
    net = made(1)
    net.save(tmp_path / name, write_diff=diff)
    assert_same(loaded_by_real(real_caffe, TEXT, tmp_path / name), params(net))


@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_real_weights_here(real_caffe, tmp_path, name):
    given = params(made(1))
    real_caffe.save(TEXT, tmp_path / name, given)
    net = made(2)
    net.copy_from(tmp_path / name)
    assert_same(params(net), given)


def test_the_same_bytes(real_caffe, tmp_path):
    net = made(1)
    net.save(tmp_path / "ours")
    real_caffe.save(TEXT, tmp_path / "theirs", params(net))
    ours, theirs = (read_binary(tmp_path / name, NetParameter()) for name in ("ours", "theirs"))
    assert ours == theirs


OLD = """
input: "x" input_dim: [1, 2, 3, 3]
layers { layer { name: "c" type: "conv" num_output: 3 kernelsize: 2 } bottom: "x" top: "c" }
layers { layer { name: "i" type: "innerproduct" num_output: 2 } bottom: "c" top: "i" }
"""
OLD_V1 = """
input: "x" input_dim: [1, 2, 3, 3]
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c"
  convolution_param { num_output: 3 kernel_size: 2 } }
layers { name: "i" type: INNER_PRODUCT bottom: "c" top: "i" inner_product_param { num_output: 2 } }
"""


@pytest.mark.parametrize("text", [OLD, OLD_V1])
def test_old_weights(real_caffe, tmp_path, text):
    net = caffe.Net(parse(text), caffe.TEST)
    shapes = [(3, 2, 2, 2), (1, 1, 1, 3), (1, 1, 2, 12), (1, 1, 1, 2)]
    arrays = [np.random.default_rng(i).normal(size=s).astype("f") for i, s in enumerate(shapes)]
    stored = parse(text)
    for layer, blobs in zip(stored.layers, (arrays[:2], arrays[2:]), strict=True):
        target = layer.layer if layer.HasField("layer") else layer
        for values in blobs:
            n, c, h, w = values.shape
            target.blobs.add(num=n, channels=c, height=h, width=w, data=values.ravel().tolist())
    write_binary(tmp_path / "old.caffemodel", stored)
    net.copy_from(tmp_path / "old.caffemodel")
    assert_same(loaded_by_real(real_caffe, text, tmp_path / "old.caffemodel"), params(net))
    assert np.array_equal(net.params["i"][0].data, arrays[2].reshape(2, 12))


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((1, 1, 1, 3), True),
        ((3, 1, 1, 1), False),
        ((1, 3, 1, 1), False),
        ((1, 1, 3, 1), False),
    ],
)
def test_legacy_four_axes(real_caffe, tmp_path, shape, fits):
    n, c, h, w = shape
    stored = NetParameter()
    layer = stored.layer.add(name="c", type="Convolution")
    set_blob(layer.blobs.add(), np.zeros((3, 2, 2, 2), np.float32))
    layer.blobs.add(num=n, channels=c, height=h, width=w, data=[1, 2, 3])
    write_binary(tmp_path / "w.caffemodel", stored)
    net = caffe.Net(parse(OLD_V1), caffe.TEST)
    if fits:
        net.copy_from(tmp_path / "w.caffemodel")
        real = loaded_by_real(real_caffe, OLD_V1, tmp_path / "w.caffemodel")
        assert real["c/1"].tolist() == net.params["c"][1].data.tolist() == [1, 2, 3]
        return
    with pytest.raises(
        caffe.CaffeError, match=r"layer 'c', blob 1 has shape .* the net's has \(3,"
    ):
        net.copy_from(tmp_path / "w.caffemodel")
    with pytest.raises(RealCaffeRefused, match="shape mismatch"):
        loaded_by_real(real_caffe, OLD_V1, tmp_path / "w.caffemodel")


def test_layers_with_the_same_name(real_caffe, tmp_path):
    text = TEXT.replace('name: "b"', 'name: "a"').replace('param { name: "w" }', "")
    stored = NetParameter()
    layer = stored.layer.add(name="a", type="InnerProduct")
    set_blob(layer.blobs.add(), np.ones((36, 36), np.float32))
    set_blob(layer.blobs.add(), np.ones(36, np.float32))
    write_binary(tmp_path / "w.caffemodel", stored)
    net = caffe.Net(parse(text), caffe.TEST)
    before = params(net)
    net.copy_from(tmp_path / "w.caffemodel")
    real = real_caffe.forward_backward(
        text, params=before, weights=tmp_path / "w.caffemodel", backward=False
    )
    assert net.params["a"][1].data.tolist() == real["param/a/1"].tolist()


@pytest.mark.parametrize("name", ["s.solverstate", "s.solverstate.h5"])
def test_states(real_caffe, tmp_path, name):
    text = 'layer { name: "l" type: "EuclideanLoss" bottom: "b" bottom: "a" }'
    solver = f"""net_param {{ {TEXT} {text} }} base_lr: 0.01 lr_policy: "step" stepsize: 2
    gamma: 0.5 momentum: 0.9 max_iter: 5 snapshot_prefix: "{tmp_path}/theirs"
    solver_mode: CPU snapshot_format: {"HDF5" if name.endswith("h5") else "BINARYPROTO"}"""
    (tmp_path / "solver.prototxt").write_text(solver)
    inputs = {"x": np.random.default_rng(0).normal(size=(2, 3, 5, 5)).astype("f")}
    given = params(made(1))
    real_caffe.snapshot_after(tmp_path, 3, inputs, given)
    end = name.partition(".")[2]
    state = read_state(tmp_path / f"theirs_iter_3.{end}")
    weights = tmp_path / f"theirs_iter_3.{end.replace('solverstate', 'caffemodel')}"
    assert (state.iter, state.current_step) == (3, 1)
    assert state.learned_net == str(weights)
    assert [blob_array(blob).shape for blob in state.history] == [
        blob.data.shape for blob in (x.blob for x in made(1).learnable_params)
    ]
    write_state(tmp_path / name, state)
    theirs = real_caffe.train(tmp_path, 2, inputs, restore=tmp_path / f"theirs_iter_3.{end}")
    ours = real_caffe.train(tmp_path, 2, inputs, restore=tmp_path / name)
    for key, values in theirs.items():
        assert np.array_equal(ours[key], values), key


def test_mean_image(real_caffe, tmp_path):
    mean = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype("f")
    proto = BlobProto(num=1, channels=3, height=4, width=5, data=mean.ravel().tolist())
    write_binary(tmp_path / "mean.binaryproto", proto)
    assert np.array_equal(blob_array(read_binary(tmp_path / "mean.binaryproto", BlobProto())), mean)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.png 0\n")
    Image.fromarray(np.full((4, 5, 3), 7, np.uint8)).save(tmp_path / "a.png")
    text = f"""layer {{ name: "d" type: "ImageData" top: "d" top: "l" image_data_param {{
    source: "{tmp_path}/list.txt" batch_size: 1 }} transform_param {{
    mean_file: "{tmp_path}/mean.binaryproto" }} }}"""
    real = real_caffe.passes(text, 1, ["d"])[0]["d"]
    net = caffe.Net(parse(text), caffe.TRAIN)
    net.forward()
    np.testing.assert_allclose(net.blobs["d"].data, real, rtol=1e-6)
    np.testing.assert_allclose(real, 7 - mean, rtol=1e-6)
