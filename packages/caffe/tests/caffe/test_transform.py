"""The transformation of images, by hand; against real Caffe in tests/parity/test_data.py."""

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe.errors import LayerError, ShapeError
from caffe.io import array_to_blobproto
from caffe.proto.caffe_pb2 import TransformationParameter
from caffe.transform import DataTransformer, read_mean, write_mean


def transformer(settings: str, phase: int = caffe.TEST) -> DataTransformer:
    return DataTransformer(text_format.Parse(settings, TransformationParameter()), phase)


def counted(c: int, h: int, w: int) -> np.ndarray:
    return np.arange(c * h * w, dtype=np.uint8).reshape(c, h, w)


def test_the_mean_comes_before_the_scale():
    found = transformer("scale: 0.5 mean_value: 2").transform(counted(1, 2, 3))
    assert found.tolist() == [[[-1, -0.5, 0], [0.5, 1, 1.5]]]
    assert found.dtype == np.float32


def test_a_mean_for_each_channel():
    found = transformer("mean_value: 0 mean_value: 4").transform(counted(2, 1, 4))
    assert found.tolist() == [[[0, 1, 2, 3]], [[0, 1, 2, 3]]]


def test_centre_crop_rounds_towards_the_upper_left():
    found = transformer("crop_size: 2").transform(counted(1, 3, 4))
    assert found.tolist() == [[[1, 2], [5, 6]]]


def test_mean_file_is_cropped_like_the_image(tmp_path):
    write_mean(str(tmp_path / "m"), counted(1, 3, 4).astype(np.float32))
    settings = f'crop_size: 2 mirror: true mean_file: "{tmp_path}/m"'
    for phase in (caffe.TRAIN, caffe.TEST):
        made = transformer(settings, phase)
        assert not any(made.transform(counted(1, 3, 4)).any() for _ in range(20))


def test_images_are_not_modified():
    pixels = counted(1, 2, 3).astype(np.float32)
    transformer("mean_value: 2 scale: 3").transform(pixels)
    assert np.array_equal(pixels, counted(1, 2, 3))


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 6), st.booleans())
def test_shapes(c, h, w, crop, training):
    made = transformer(f"crop_size: {crop}", caffe.TRAIN if training else caffe.TEST)
    if crop > min(h, w):
        with pytest.raises(ShapeError, match=f"crop_size {crop} is larger than .* of {h}x{w}"):
            made.transform(counted(c, h, w))
    else:
        expected = (c, crop or h, crop or w)
        assert made.shape(counted(c, h, w)) == made.transform(counted(c, h, w)).shape == expected


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(LayerError, match="has mean_file and mean_value. Allowed: one of them"):
        transformer('mean_value: 2 mean_file: "none"')
    with pytest.raises(
        ShapeError, match="2 mean_value and 3 channels. Allowed: 1, or as many as channels"
    ):
        transformer("mean_value: 2 mean_value: 3").transform(counted(3, 2, 2))
    write_mean(str(tmp_path / "m"), np.zeros((3, 2, 2), np.float32))
    with pytest.raises(ShapeError, match=r"mean has shape \(3, 2, 2\), the image \(3, 2, 3\)"):
        transformer(f'mean_file: "{tmp_path}/m"').transform(counted(3, 2, 3))


def test_means_of_other_shapes(tmp_path):
    for shape, message in (((4,), r"\(4,\)"), ((2, 3, 2, 2), r"\(2, 3, 2, 2\)")):
        (tmp_path / "m").write_bytes(array_to_blobproto(np.zeros(shape)).SerializeToString())
        with pytest.raises(ShapeError, match=f"m has shape {message}. Needed: .1, C, H, W"):
            read_mean(str(tmp_path / "m"))
    (tmp_path / "m").write_bytes(array_to_blobproto(np.ones((3, 2, 1))).SerializeToString())
    assert read_mean(str(tmp_path / "m")).tolist() == np.ones((3, 2, 1)).tolist()
