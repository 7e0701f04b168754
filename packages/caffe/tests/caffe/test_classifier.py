"""Classifier and Detector by hand; their numbers against pycaffe's are in tests/parity."""

import sys

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.errors import CaffeError, InputError

# The mean of each channel is the "probability" of its class.
MEANS = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param {
  pool: AVE global_pooling: true } }
layer { name: "mean" type: "Flatten" bottom: "pool" top: "mean" }
"""


@pytest.fixture
def model(tmp_path) -> str:
    (tmp_path / "net.prototxt").write_text(MEANS)
    return str(tmp_path / "net.prototxt")


def halves() -> np.ndarray:
    """An image of 8x8 whose left half is red and whose right half is green."""
    image = np.zeros((8, 8, 3), np.float32)
    image[:, :4, 0] = image[:, 4:, 1] = 1
    return image


def test_centre_crop_and_mean_of_ten_crops(model):
    net = caffe.Classifier(model, None, image_dims=(8, 8), channel_swap=(2, 1, 0), raw_scale=4)
    image = halves()
    image[:4] = 0
    middle = net.predict([image], oversample=False)
    assert middle == pytest.approx(np.array([[0, 1, 1]]))
    # The upper crops are black, the lower ones of one colour; mirrored likewise.
    assert net.predict([image] * 3) == pytest.approx(np.array([[0, 1, 1]] * 3))


def test_classifier_refuses(model, tmp_path):
    with pytest.raises(InputError, match="no image to classify"):
        caffe.Classifier(model, None).predict([])
    with pytest.raises(InputError, match=r"image_dims \(.*\) is smaller than the net's input"):
        caffe.Classifier(model, None, image_dims=(4, 3)).predict([halves()], oversample=False)
    with pytest.raises(InputError, match="Mean channels incompatible"):
        caffe.Classifier(model, None, mean=np.zeros(4))
    flat = MEANS[: MEANS.index("layer", 9)].replace("dim: 4 dim: 4", "")
    (tmp_path / "flat.prototxt").write_text(flat)
    with pytest.raises(InputError, match=r"first input has shape \(2, 3\)"):
        caffe.Classifier(str(tmp_path / "flat.prototxt"), None)


def test_windows(model, tmp_path):
    Image.fromarray((halves() * 255).astype(np.uint8)).save(tmp_path / "x.png")
    windows = [(0, 0, 8, 4), (2, 4, 6, 8), (0, 2, 8, 6)]
    found = caffe.Detector(model, None).detect_windows([(tmp_path / "x.png", windows)])
    assert [d["window"] for d in found] == windows
    assert {d["filename"] for d in found} == {tmp_path / "x.png"}
    expected = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]]
    assert np.array([d["prediction"] for d in found]) == pytest.approx(np.array(expected))


def test_context_outside_the_image_is_the_mean(model):
    net = caffe.Detector(model, None, mean=np.array([8.0, 4, 2]), raw_scale=2, context_pad=1)
    crop = net.crop(np.full((3, 3, 3), 9, np.float32), np.array([0, 0, 1, 1]))
    assert crop.shape == (4, 4, 3)
    assert crop[0, 0].tolist() == [4, 2, 1]
    assert crop[-1, -1].tolist() == [9, 9, 9]


def test_detector_refuses(model, tmp_path):
    net = caffe.Detector(model, None)
    with pytest.raises(InputError, match="no window to classify"):
        net.detect_windows([])
    for window in [(0, 0, 0, 4), (-3, 0, 2, 2), (9, 9, 12, 12)]:
        with pytest.raises(
            InputError, match=r"window .* of an image of shape \(8, 8, 3\) is empty"
        ):
            net.crop(halves(), window)
    with pytest.raises(CaffeError, match="none.png: cannot be read"):
        net.detect_windows([("none.png", [(0, 0, 1, 1)])])
    with pytest.raises(InputError, match="context_pad 2 of an input of 4x4"):
        caffe.Detector(model, None, context_pad=2)


def test_missing_selective_search_names_its_package(model):
    with pytest.raises(CaffeError, match="selective_search_ijcv_with_python, which needs MATLAB"):
        caffe.Detector(model, None).detect_selective_search(["x.png"])


def test_selective_search_if_installed(model, tmp_path, monkeypatch):
    (tmp_path / "selective_search_ijcv_with_python.py").write_text(
        "def get_windows(files, cmd):\n    return [[(0, 0, 8, 4)] for _ in files]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    Image.fromarray((halves() * 255).astype(np.uint8)).save(tmp_path / "x.png")
    [found] = caffe.Detector(model, None).detect_selective_search([str(tmp_path / "x.png")])
    sys.modules.pop("selective_search_ijcv_with_python")
    assert found["prediction"].tolist() == [1, 0, 0]
