"""What scripts written for pycaffe do, with the values that real Caffe 1.0 gives."""

import gc
import io
import logging
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

import caffe
from caffe import _caffe, draw, image_files, pycaffe
from caffe.errors import CaffeError, FormatError
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import SolverParameter
from tests.caffe.net_case import net

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'
TRAINED = """
layer { name: "d" type: "DummyData" top: "data" top: "y" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {
  num_output: 1 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "l" }"""


def solver(folder, settings: str) -> caffe.Solver:
    (folder / "n.prototxt").write_text(TRAINED)
    (folder / "s.prototxt").write_text(f'net: "{folder}/n.prototxt" base_lr: 0.1 {settings}')
    return caffe.get_solver(os.fsencode(folder / "s.prototxt"))


def test_mean_file_as_notebooks_read_it():
    blob = caffe.io.array_to_blobproto(np.arange(12, dtype="f").reshape(1, 3, 2, 2))
    read = caffe.io.caffe_pb2.BlobProto.FromString(blob.SerializeToString())
    assert caffe.io.blobproto_to_array(read)[0].mean(1).mean(1).tolist() == [1.5, 5.5, 9.5]
    assert draw.caffe_pb2 is caffe_pb2


def test_blob_without_a_shape_is_one_number():
    assert caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[123])) == 123
    with pytest.raises(ValueError, match="without a shape is stored with 2 values"):
        caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[1, 2]))


def test_what_needs_scikit_image_says_so():
    image = np.linspace(0, 1, 60, dtype="f").reshape(4, 5, 3)
    try:
        import skimage  # noqa: F401
    except ImportError:
        assert not hasattr(caffe.io, "resize")
        with pytest.raises(AttributeError, match=r"resize is scikit-image's.*resize_image"):
            caffe.io.resize(image, (8, 8, 3))
    else:
        assert caffe.io.resize(image, (8, 8, 3)).shape == (8, 8, 3)
    assert caffe.io.zoom(image, (2, 1, 1)).shape == (8, 5, 3)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        caffe.io.nonsense  # noqa: B018


def test_own_training_loop_counts_its_updates(tmp_path):
    found = {}
    for kind, text in (("Adam", "momentum: 0.9"), ("SGD", 'lr_policy: "step" gamma: 0.1')):
        policy = text if "lr_policy" in text else f'lr_policy: "fixed" {text}'
        made = solver(tmp_path, f'type: "{kind}" {policy} stepsize: 1')
        for _ in range(4):
            made.net.clear_param_diffs()
            made.net.forward()
            made.net.backward()
            made.apply_update()
        found[kind] = made.iter, made.net.params["ip"][0].data[0, 0].round(4).item()
    assert found == {"Adam": (4, pytest.approx(0.4936)), "SGD": (4, pytest.approx(0.201))}


def test_speed_counts_from_the_last_display(tmp_path, caplog):
    made = solver(tmp_path, 'lr_policy: "fixed" display: 1')
    with caplog.at_level(logging.INFO, "caffe"):
        for _ in range(3):
            made.step(1)
    speeds = [r.getMessage().split("(")[1] for r in caplog.records if "iter/s" in r.getMessage()]
    assert [speed.startswith("0 iter/s") for speed in speeds] == [True, False, False]


@pytest.mark.parametrize(("coding", "comment"), [("gbk", "数据层"), ("latin1", "rot. 90°")])
def test_prototxt_of_other_encodings(tmp_path, coding, comment):
    file = tmp_path / "n.prototxt"
    file.write_bytes(f'# {comment}\nname: "{comment}" {INPUT}\n'.encode(coding))
    assert list(caffe.Net(os.fsencode(file), caffe.TEST).blobs) == ["data"]


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (OSError, lambda: caffe.io.load_image("nope.jpg")),
        (OSError, lambda: caffe.io.load_image(__file__)),
        (RuntimeError, lambda: caffe.Net("nope.prototxt", caffe.TEST)),
        (RuntimeError, lambda: net(weights="nope.caffemodel")),
        (RuntimeError, lambda: caffe.SGDSolver("nope.prototxt")),
        (RuntimeError, lambda: net().set_input_arrays(np.zeros(1, "f"), np.zeros(1, "f"))),
        (ValueError, lambda: net().forward(end="nope")),
        (KeyError, lambda: net().forward(["nope"], x=np.zeros((2, 3)), label=np.zeros(2))),
        (ValueError, lambda: caffe.io.array_to_datum(np.zeros(3))),
        (ValueError, lambda: caffe.io.datum_to_array(caffe_pb2.Datum(channels=1, data=b"xy"))),
        (TypeError, lambda: net().params["ip1"].__setitem__(0, np.ones((4, 3)))),
        (TypeError, lambda: net().layers.__setitem__(0, 1)),
        (TypeError, lambda: caffe.Net("n.prototxt", None)),
        (AttributeError, lambda: setattr(net(), "params", {})),
        (OSError, lambda: caffe.io.load_image(None)),
        (ValueError, lambda: net().forward(x=np.zeros((2, 5)), label=np.zeros(2))),
        (TypeError, lambda: net().forward("y", x=np.zeros((2, 3)), label=np.zeros(2))),
        (IndexError, lambda: net().forward(x=np.float32(3), label=np.zeros(2))),
        (TypeError, lambda: net().share_with("x")),
        (TypeError, lambda: net().blobs["x"].reshape(np.array([2, 3]))),
        (ImportError, lambda: net(python("nowhere_at_all", "X"))),
        (ImportError, lambda: net(python(".relative", "X"))),
        (AttributeError, lambda: net(python("json", "X"))),
    ],
)
def test_errors_are_those_that_scripts_catch(kind, call):
    with pytest.raises(kind, match=".") as caught:
        call()
    assert isinstance(caught.value, CaffeError | KeyError | TypeError)


def python(module: str, layer: str) -> str:
    return f"""layer {{ name: "p" type: "Python" top: "p"
    python_param {{ module: "{module}" layer: "{layer}" }} }}"""


def test_weights_after_the_phase_are_refused(tmp_path):
    (tmp_path / "n.prototxt").write_text(INPUT)
    with pytest.raises(CaffeError, match=r"a path after the phase. Allowed.*weights=\.\.\."):
        caffe.Net(tmp_path / "n.prototxt", caffe.TEST, "w.caffemodel")


def test_containers_of_the_binding():
    made = net()
    vector = _caffe.RawBlobVec(made.blobs.values())
    with pytest.raises(TypeError, match="Invalid assignment: a int to an element of a RawBlobVec"):
        vector[0] = 1
    vector[:1] = [made.blobs["y"]]
    assert vector[0] is made.blobs["y"]
    with pytest.raises(TypeError, match="Invalid assignment: a str"):
        _caffe.IntVec([1]).append("x")
    assert pycaffe._Net_params(made) is made.params


def test_none_unsets_a_step_of_the_transformer():
    transformer = caffe.io.Transformer({"data": (1, 3, 2, 2)})
    transformer.set_raw_scale("data", None)
    transformer.mean["data"] = transformer.transpose["data"] = None
    values = np.ones((2, 2, 3), "f")
    assert np.array_equal(transformer.preprocess("data", values), values)
    assert np.array_equal(transformer.deprocess("data", values), values)


def test_whatever_has_a_shape_is_an_input(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = net()
        for given in (
            memoryview(values),
            torch.tensor(values),
            file.create_dataset("x", data=values),
        ):
            made.blobs["x"].data[...] = 0
            made.forward(x=given, label=np.zeros(2))
            assert made.blobs["x"].data.tolist() == values.tolist()


def test_image_of_a_web_page():
    """BVLC's web demo passes what was sent to load_image, as a file in memory."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), 51, "u1")).save(file, "PNG")
    assert caffe.io.load_image(file) == pytest.approx(np.full((4, 5, 3), 0.2))
    with pytest.raises(OSError, match="the image: is not an image that can be decoded"):
        caffe.io.load_image(io.BytesIO(b"no"))


def test_half_precision_is_resized():
    image = np.linspace(0, 1, 60, dtype="f2").reshape(4, 5, 3)
    expected = caffe.io.resize_image(image.astype("f"), (8, 8))
    assert np.array_equal(caffe.io.resize_image(image, (8, 8)), expected)


def test_a_mean_without_channels_broadcasts():
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    transformer.mean["data"] = np.ones((4, 5))  # assigned, where set_mean would add an axis
    transformer.set_transpose("data", (2, 0, 1))
    assert not transformer.preprocess("data", np.ones((4, 5, 3))).any()
    transformer.mean["data"] = np.ones(4)
    with pytest.raises(ValueError, match=r"has shape \(3, 4, 5\), its mean \(4,\): must agree"):
        transformer.preprocess("data", np.ones((4, 5, 3)))


def test_log_of_inner_layers_and_of_what_is_forced(caplog):
    """Scale's bias is a layer of its own; force_backward comes after the log of what learns."""
    with caplog.at_level(logging.INFO, "caffe"):
        net(
            "force_backward: true"
            ' layer { name: "d" type: "MemoryData" top: "x" top: "y" transform_param { scale: 2 }'
            " memory_data_param { batch_size: 1 channels: 3 height: 1 width: 1 } }"
            ' layer { name: "s" type: "Scale" bottom: "x" top: "s" param { lr_mult: 0 }'
            " param { lr_mult: 0 } scale_param { bias_term: true } }"
        ).set_input_arrays(np.zeros((1, 3, 1, 1), "f"), np.zeros(1, "f"))
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("Creating layer s") == 2
    assert "s does not need backward computation." in lines
    assert lines[-1] == "MemoryData does not transform array data on Reset()"


FORKED = """
import multiprocessing, caffe, numpy as np, torch
torch.set_num_threads(2)
from tests.caffe.net_case import net
made = net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 64, 64] } }}'
  'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 64'
  ' kernel_size: 3 weight_filler { type: "constant" value: 1 } } }', caffe.TEST)
def run(value):
    return float(made.forward(x=np.full((2, 3, 64, 64), value))["c"].mean())
run(1)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(run, [1, 2]).get(timeout=300))
"""


@pytest.mark.slow
def test_net_in_a_forked_process():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=400,
        env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
    )
    assert done.stdout == "[27.0, 54.0]\n", done.stderr


def cut_jpeg() -> bytes:
    noise = np.random.RandomState(3).randint(0, 255, (6, 8, 3))
    file = io.BytesIO()
    whole = Image.fromarray(np.kron(noise, np.ones((5, 5, 1))).astype("u1"))
    whole.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()[: len(file.getvalue()) * 2 // 3]


def test_truncated_jpeg_is_decoded_as_far_as_it_goes(tmp_path, caplog):
    (tmp_path / "cut.jpg").write_bytes(cut_jpeg())
    with caplog.at_level(logging.WARNING, "caffe"):
        for _ in range(2):
            pixels = image_files.read_image(tmp_path / "cut.jpg")
    assert pixels.shape == (30, 40, 3)
    assert pixels[-1, -1].tolist() == [128] * 3  # as real Caffe: libjpeg's gray
    assert pixels[:10].std() > 50
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/cut.jpg: the JPEG is truncated; what is there is used"
    ]


def test_images_have_one_limit_of_pixels(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setenv("CAFFE_MAX_PIXELS", "1199")
    for read in (caffe.io.load_image, image_files.read_image):
        with pytest.raises(
            FormatError, match=r"a.png: has too many pixels: 40x30.*CAFFE_MAX_PIXEL"
        ):
            read(tmp_path / "a.png")
    monkeypatch.setenv("CAFFE_MAX_PIXELS", "1200")
    assert caffe.io.load_image(tmp_path / "a.png").shape == (30, 40, 3)
    with pytest.raises(FormatError, match="too many pixels: 7x1000000000"):
        image_files.read_image(tmp_path / "a.png", height=10**9, width=7)


def test_paths_as_bytes(tmp_path):
    made = net()
    made.save(os.fsencode(tmp_path / "w.caffemodel"))
    again = net(weights=os.fsencode(tmp_path / "w.caffemodel"))
    assert np.array_equal(again.params["ip1"][0].data, made.params["ip1"][0].data)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_paths_that_no_file_can_have(name, tmp_path):
    for call in (
        lambda: caffe.Net(name, caffe.TEST),
        lambda: caffe.io.load_image(name),
        lambda: net(weights=name),
        lambda: net().save(str(tmp_path / name)),
        lambda: caffe.get_solver(SolverParameter(net=name, lr_policy="fixed")),
    ):
        with pytest.raises(CaffeError, match=r"cannot be|null"):
            call()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layer { name: "r" type: "Relu" }', "unknown type 'Relu'; did you mean ReLU?"),
        ('layer { name: "r" type: "QuartetLoss" }', "not Caffe's, nor of a fork known here"),
        ('layer { name: "r" type: "MultiStageMeanfield" }', "from the CRF-RNN fork"),
        ("layer { batch_norm_param { scale_bias: true } }", "from NVIDIA's fork"),
        ("layer { multi_stage_meanfield_param { } }", "from the CRF-RNN fork"),
        ("layers { type: ROI_POOLING }", "from the Fast R-CNN fork"),
        (
            'layer { name: "d" type: "ImageData" top: "a" top: "b" '
            'image_data_param { source: "no" } }',
            r"^layer 'd' \(ImageData\): no: cannot be read: No such file or directory$",
        ),
    ],
)
def test_errors_say_whose_it_is_and_name_the_layer_once(text, message):
    with pytest.raises(CaffeError, match=message):
        net(text)


def test_arrays_outlive_their_net_and_their_solver(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: [2, 3] }'
        " data_filler { value: 2 } } }"
        'layer { name: "i" type: "InnerProduct" bottom: "x" top: "i" inner_product_param {'
        ' num_output: 4 weight_filler { type: "constant" value: 1 } } }'
    )
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" test_iter: 1 test_interval: 1 base_lr: 1'
        ' lr_policy: "fixed"'
    )
    solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    nets = [solver.net, *solver.test_nets]
    del solver
    for made in nets:
        made.forward()
    kept = [blob for made in nets for blob in (*made.params["i"], *made.blobs.values())]
    del made, nets
    gc.collect()
    sums = [float(blob.data.sum() + blob.diff.sum()) for blob in kept]
    assert sums == [12, 0, 12, 48] * 2


def test_a_datum_has_a_label_only_if_one_is_given():
    values = np.ones((1, 2, 2))
    assert caffe.io.array_to_datum(values, label=0).HasField("label")
    assert not caffe.io.array_to_datum(values).HasField("label")
