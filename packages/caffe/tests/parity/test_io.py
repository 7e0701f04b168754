"""caffe.io, Classifier and Detector: the same script in both engines."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.errors import CaffeError, RealCaffeRefused
from tests.caffe.image_case import random_image
from tests.parity.compare import relative_difference
from tests.parity.real_caffe import RealCaffe

# Since Caffe 1.0 scikit-image has renamed a function and smooths images that it shrinks, and numpy
# no longer accepts floats as indexes, which pycaffe's Detector uses.
AS_IT_WAS = """
import functools, types
import caffe, caffe.detector, caffe.io, skimage.io, skimage.transform
import numpy as np
caffe.io.resize = functools.partial(skimage.transform.resize, anti_aliasing=False)
imread = getattr(skimage.io, "imread_now", skimage.io.imread)
skimage.io.imread_now = imread
skimage.io.imread = lambda name, as_grey=False: imread(name, as_gray=as_grey)
whole = types.SimpleNamespace(**vars(np))
whole.clip = lambda *arguments: np.clip(*arguments).astype(int)
caffe.detector.np = whole
"""


def both(real: RealCaffe, folder: Path, code: str, **given: np.ndarray) -> float:
    """Run code that fills the dict `out` in both; return the largest relative difference.

    The two may differ by 1e-5.
    """
    np.savez(folder / "given.npz", **given)
    code = f"given = dict(np.load({str(folder / 'given.npz')!r}))\nout = {{}}\nfolder = " + (
        f"{str(folder)!r}\n" + textwrap.dedent(code)
    )
    names: dict = {"caffe": caffe, "np": np}
    exec(code, names)
    saved = f"\nnp.savez({str(folder / 'out.npz')!r}, **out)\nresult = ''"
    real.script(AS_IT_WAS + code + saved)
    worst = 0.0
    with np.load(folder / "out.npz") as expected:
        assert sorted(expected.files) == sorted(names["out"])
        for name in expected.files:
            found = np.asarray(names["out"][name])
            assert (found.shape, found.dtype) == (expected[name].shape, expected[name].dtype), name
            worst = max(worst, relative_difference(found, expected[name]))
    assert worst <= 1e-5
    return worst


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


IMAGES = """
for i, (h, w) in enumerate([(7, 9), (4, 30), (21, 5), (1, 8), (16, 12)]):
    for name, image in given.items():
        out[f"{name} {i}"] = caffe.io.resize_image(image, (h, w))
        out[f"{name} {i} near"] = caffe.io.resize_image(image, (h, w), interp_order=0)
"""


def test_resized_images(real_caffe, measured, tmp_path):
    given = {f"of{c}": noise(8, 12, c) * 3 - 1 for c in (1, 2, 3, 4)}
    given |= {"bytes": random_image(9, 6), "constant": np.full((4, 5, 3), 2.5), "double": np.eye(9)}
    given["double"] = np.eye(9).reshape(9, 3, 3)
    measured(both(real_caffe, tmp_path, IMAGES, **given))


def test_ten_crops(real_caffe, measured, tmp_path):
    code = """
    out["even"] = caffe.io.oversample([given["a"], given["b"]], (4, 6))
    out["odd"] = caffe.io.oversample([given["a"]], np.array([5, 3]))
    out["whole"] = caffe.io.oversample(given["a"][None], (9, 8))
    """
    measured(both(real_caffe, tmp_path, code, a=noise(9, 8, 3), b=noise(9, 8, 3, seed=1)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_loaded_images(real_caffe, measured, tmp_path, mode):
    image = Image.fromarray(random_image(6, 5))
    if mode == "I;16":
        deep = np.random.default_rng(0).integers(0, 2**16, (6, 5), dtype=np.uint16)
        image = Image.fromarray(deep)
    elif mode == "P":
        image = image.quantize(16)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "x.png")
    code = 'out["color"] = caffe.io.load_image(folder + "/x.png")\n'
    if (
        mode != "RGBA"
    ):  # newer versions of scikit-image blend with white, that of Caffe's time did not
        code += 'out["gray"] = caffe.io.load_image(folder + "/x.png", color=False)\n'
    measured(both(real_caffe, tmp_path, code))


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "t.set_raw_scale('data', 255)",
        "t.set_channel_swap('data', (2, 1, 0)); t.set_mean('data', given['each'])",
        "t.set_mean('data', given['whole']); t.set_input_scale('data', 0.017)",
        "t.set_mean('data', given['other'])",
        "t.set_raw_scale('data', 255); t.set_channel_swap('data', (2, 0, 1)); "
        "t.set_mean('data', given['each']); t.set_input_scale('data', 0.5)",
    ],
)
def test_transformer(real_caffe, measured, tmp_path, settings):
    code = f"""
    t = caffe.io.Transformer({{"data": (2, 3, 6, 7)}})
    t.set_transpose("data", (2, 0, 1))
    {settings}
    for name in ("same", "larger"):
        out[name] = t.preprocess("data", given[name].copy())
        out[name + " back"] = t.deprocess("data", out[name])
        out[name + " batch"] = t.deprocess("data", out[name][np.newaxis])
    """
    given = {"same": noise(6, 7, 3), "larger": noise(11, 8, 3, seed=1)}
    given |= {"each": np.array([0.1, 0.2, 0.4]), "whole": noise(3, 6, 7), "other": noise(3, 9, 9)}
    measured(both(real_caffe, tmp_path, code, **given))


@pytest.mark.parametrize(
    "call",
    [
        "set_raw_scale('none', 1)",
        "set_input_scale('none', 1)",
        "set_mean('data', np.zeros(2))",
        "set_mean('data', np.zeros((1, 2, 3, 4)))",
        "set_transpose('data', (0, 1))",
        "set_channel_swap('data', (0, 1))",
        "preprocess('none', np.zeros((6, 7, 3)))",
        "deprocess('none', np.zeros((3, 6, 7)))",
    ],
)
def test_both_transformers_refuse(real_caffe, call):
    code = f'caffe.io.Transformer({{"data": (2, 3, 6, 7)}}).{call}'
    with pytest.raises(CaffeError, match="none is not one of the net inputs|[Nn]eeds|Mean"):
        exec(code, {"caffe": caffe, "np": np})
    with pytest.raises(RealCaffeRefused):
        real_caffe.script(AS_IT_WAS + code)


def test_arrays_in_messages(real_caffe, measured, tmp_path):
    code = """
    blob = caffe.io.array_to_blobproto(given["a"], given["b"])
    out["a"] = caffe.io.blobproto_to_array(blob)
    out["b"] = caffe.io.blobproto_to_array(blob, return_diff=True)
    out["wire"] = np.frombuffer(blob.SerializeToString(), np.uint8)
    arrays = [given["a"], given["bytes"], given["b"][0]]
    wire = caffe.io.arraylist_to_blobprotovector_str(arrays)
    out["vector"] = np.frombuffer(wire, np.uint8)
    for i, array in enumerate(caffe.io.blobprotovector_str_to_arraylist(wire)):
        out["vector %d" % i] = array
    for name in ("a", "bytes"):
        datum = caffe.io.array_to_datum(given[name].reshape(2, 3, 4), 7)
        out["datum " + name] = np.frombuffer(datum.SerializeToString(), np.uint8)
        out["from datum " + name] = caffe.io.datum_to_array(datum)
        out["label"] = datum.label
    out["no label"] = int(caffe.io.array_to_datum(given["bytes"]).HasField("label"))
    old = caffe.proto.caffe_pb2.BlobProto(num=1, channels=2, height=3, width=4)
    old.data.extend(range(24))
    out["old"] = caffe.io.blobproto_to_array(old)
    """
    given = {"a": noise(2, 12), "b": noise(2, 12, seed=1), "bytes": random_image(2, 3, 4)}
    measured(both(real_caffe, tmp_path, code, **given))


NET = """
name: "small" layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 3 dim: 3 dim: 12 dim: 12 } } }
layer { name: "c" type: "InnerProduct" bottom: "data" top: "c" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Softmax" bottom: "c" top: "p" }
"""
PREPARED = [
    "",
    "raw_scale=255, mean=np.array([104.0, 117, 123]), channel_swap=(2, 1, 0), input_scale=0.02",
    "mean=given['mean'], raw_scale=2.0, channel_swap=(2, 0, 1)",
]


@pytest.fixture
def model(tmp_path) -> str:
    """Write a small net with random weights; return its arguments."""
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(tmp_path / "net.caffemodel")
    return f"{str(tmp_path / 'net.prototxt')!r}, {str(tmp_path / 'net.caffemodel')!r}"


@pytest.mark.parametrize("prepared", PREPARED)
@pytest.mark.parametrize("dims", ["", "image_dims=(15, 19), "])
def test_classifier(real_caffe, measured, tmp_path, model, prepared, dims):
    code = f"""
    net = caffe.Classifier({model}, {dims}{prepared})
    images = [given["a"], given["b"]]
    out["ten"] = net.predict(images)
    out["middle"] = net.predict(images, oversample=False)
    """
    given = {"a": noise(20, 17, 3), "b": noise(9, 30, 3, seed=1), "mean": noise(3, 12, 12)}
    measured(both(real_caffe, tmp_path, code, **given))


@pytest.mark.parametrize("prepared", PREPARED)
@pytest.mark.parametrize("context", [None, 1, 3])
def test_detector(real_caffe, measured, tmp_path, model, prepared, context):
    for i in range(2):
        Image.fromarray(random_image(30, 40, seed=i)).save(tmp_path / f"{i}.png")
    code = f"""
    net = caffe.Detector({model}, {prepared + ", " if prepared else ""}context_pad={context})
    windows = [np.array(w) for w in
               [(2, 3, 20, 30), (0, 0, 5, 8), (10, 20, 30, 40), (3, 36, 25, 40), (0, 0, 30, 40)]]
    images_windows = [(folder + "/0.png", windows), (folder + "/1.png", windows[1:3])]
    found = net.detect_windows(images_windows)
    out["predictions"] = np.array([d["prediction"] for d in found])
    out["windows"] = np.array([d["window"] for d in found])
    out["files"] = np.array([d["filename"] == folder + "/0.png" for d in found], int)
    out["crops"] = np.concatenate(
        [net.crop(given["image"], window).ravel() for window in windows])
    """
    given = {"mean": noise(3, 12, 12), "image": noise(30, 40, 3)}
    measured(both(real_caffe, tmp_path, code, **given))
