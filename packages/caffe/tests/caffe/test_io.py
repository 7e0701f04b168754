"""caffe.io by hand; its numbers against pycaffe's are in tests/parity/test_io.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from caffe import io
from caffe.errors import CaffeError, FormatError, InputError
from caffe.proto.caffe_pb2 import BlobProto, Datum
from tests.caffe.image_case import random_image

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)


def test_load_image_is_rgb_from_0_to_1(tmp_path):
    Image.new("RGB", (2, 1), (255, 51, 0)).save(tmp_path / "x.png")
    loaded = io.load_image(tmp_path / "x.png")
    assert loaded.dtype == np.float32
    assert loaded.tolist() == [[pytest.approx([1, 0.2, 0])] * 2]
    gray = io.load_image(tmp_path / "x.png", color=False)
    assert gray.shape == (1, 2, 1)
    assert gray.ravel() == pytest.approx([0.2125 + 0.2 * 0.7154] * 2)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "I", "F"])
def test_load_image_gives_one_or_three_channels(tmp_path, mode):
    Image.new(mode, (3, 2)).save(tmp_path / "x.tif")
    assert io.load_image(tmp_path / "x.tif").shape == (2, 3, 3)
    assert io.load_image(tmp_path / "x.tif", color=False).shape == (2, 3, 1)


def test_load_image_refuses(tmp_path):
    with pytest.raises(FormatError, match="none.png: cannot be read: No such file"):
        io.load_image(tmp_path / "none.png")
    (tmp_path / "x.png").write_bytes(b"not an image")
    with pytest.raises(FormatError, match="x.png: is not an image that can be decoded"):
        io.load_image(tmp_path / "x.png")
    Image.fromarray(random_image(60, 60)).save(tmp_path / "y.png")
    (tmp_path / "y.png").write_bytes((tmp_path / "y.png").read_bytes()[:200])
    with pytest.raises(FormatError, match="y.png: cannot be decoded"):
        io.load_image(tmp_path / "y.png")


def test_resize_by_hand():
    line = np.array([[[0.0], [4.0]]], np.float32)
    # Beyond its edge the image continues with its lowest value, a quarter of the right end.
    assert io.resize_image(line, (1, 4)).ravel().tolist() == [0, 1, 3, 3]
    four = np.zeros((2, 2, 4), np.float32)
    four[:, 1] = 3
    assert io.resize_image(four, (2, 4))[0, :, 0].tolist() == pytest.approx([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("shape", "dims"), [((4, 4), (2, 2)), ((0, 4, 3), (2, 2)), ((4, 4, 3), (0, 2))]
)
def test_resize_refuses(shape, dims):
    with pytest.raises(InputError, match="cannot be resized"):
        io.resize_image(np.zeros(shape), dims)


def test_oversample_by_hand():
    image = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    crops = io.oversample([image], (1, 1)).ravel().tolist()
    assert crops == [0, 2, 6, 8, 4] * 2
    wide = io.oversample([image], (1, 2))[:, 0, :, 0].tolist()
    assert wide[:5] == [[0, 1], [1, 2], [6, 7], [7, 8], [3, 4]]
    assert wide[5:] == [row[::-1] for row in wide[:5]]


def test_oversample_refuses():
    with pytest.raises(
        InputError, match=r"images of shapes \[\(3, 3, 1\)\] cannot be cropped to 4x2"
    ):
        io.oversample([np.zeros((3, 3, 1))], (4, 2))
    with pytest.raises(InputError, match="at least its size"):
        io.oversample([np.zeros((3, 4, 1)), np.zeros((3, 3, 1))], (2, 2))
    for slip in (None, [], np.zeros((3, 3, 1))):
        with pytest.raises(IndexError, match="oversample needs images|cannot be cropped"):
            io.oversample(slip, (2, 2))
    with pytest.raises(InputError, match="oversample needs images and"):
        io.oversample([np.zeros((3, 3, 1))], None)


def test_later_images_may_be_larger_than_the_first():
    large = np.arange(20.0).reshape(4, 5, 1)
    crops = io.oversample([large[:3, :3], large], (2, 2))
    assert crops[10:].tolist() == io.oversample([large[:3, :3]], (2, 2)).tolist()


@given(SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(-9, 9, width=32))))
def test_blobs_round_trip(values):
    blob = io.array_to_blobproto(values, -values)
    assert np.array_equal(io.blobproto_to_array(blob), values)
    assert np.array_equal(io.blobproto_to_array(blob, return_diff=True), -values)
    wire = io.arraylist_to_blobprotovector_str([values, values[:1]])
    first, second = io.blobprotovector_str_to_arraylist(wire)
    assert np.array_equal(first, values)
    assert np.array_equal(second, values[:1])


@given(st.tuples(*[st.integers(1, 4)] * 3), st.booleans(), st.integers(-(2**31), 2**31 - 1))
def test_datums_round_trip(shape, whole, label):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8 if whole else np.float32)
    datum = Datum.FromString(io.array_to_datum(values, label).SerializeToString())
    found = io.datum_to_array(datum)
    assert np.array_equal(found, values)
    assert found.dtype == (np.uint8 if whole else np.float64)
    assert datum.label == label


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: io.array_to_datum(np.zeros((2, 2))), r"Incorrect array shape: \(2, 2\)"),
        (lambda: io.array_to_blobproto(np.zeros(2), np.zeros(3)), "must agree"),
        (lambda: io.blobproto_to_array(BlobProto(num=2, data=[1])), "stored with 1 values"),
        (lambda: io.blobprotovector_str_to_arraylist(b"\xff"), "are not a BlobProtoVector"),
        (lambda: io.datum_to_array(Datum(channels=1, height=2, width=2, data=b"abc")), "3 values"),
        (lambda: io.datum_to_array(Datum(encoded=True, data=b"abc")), "encoded image"),
    ],
)
def test_messages_refuse(call, message):
    with pytest.raises(CaffeError, match=message):
        call()


def transformer() -> io.Transformer:
    made = io.Transformer({"data": (1, 3, 2, 2)})
    made.set_transpose("data", (2, 0, 1))
    return made


def test_preprocess_by_hand():
    made = transformer()
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    made.set_mean("data", np.array([1.0, 2, 3]))
    made.set_input_scale("data", 0.5)
    image = np.broadcast_to(np.float32([0, 0.2, 1]), (2, 2, 3))
    found = made.preprocess("data", image)
    assert found[:, 0, 0] == pytest.approx([127, 24.5, -1.5])
    assert made.deprocess("data", found) == pytest.approx(image, abs=1e-6)


def test_preprocess_of_a_vector_resizes_nothing():
    values = io.Transformer({"data": (1, 4)}).preprocess("data", np.arange(4))
    assert values.tolist() == [0, 1, 2, 3]  # real Caffe's


def test_preprocess_does_not_modify_the_image():
    made = transformer()
    made.set_raw_scale("data", 255)
    image = np.ones((2, 2, 3), np.float32)
    assert made.preprocess("data", image).max() == 255
    assert image.max() == 1


@settings(max_examples=30)
@given(st.permutations([0, 1, 2]), st.floats(0.1, 300), st.floats(0.01, 2), st.integers(0, 99))
def test_deprocess_inverts_preprocess(order, raw, scale, seed):
    made = transformer()
    made.set_channel_swap("data", order)
    made.set_raw_scale("data", raw)
    made.set_input_scale("data", scale)
    made.set_mean("data", np.random.default_rng(seed).random((3, 2, 2)))
    image = np.random.default_rng(seed).random((2, 2, 3)).astype(np.float32)
    assert made.deprocess("data", made.preprocess("data", image)) == pytest.approx(image, abs=1e-4)


def test_a_constant_mean_of_another_size_stays_constant():
    made = transformer()
    made.set_mean("data", np.full((3, 5, 5), 7.0))
    assert made.mean["data"].tolist() == np.full((3, 2, 2), 7.0).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.set_mean("x", np.zeros(3)), "x is not one of the net inputs: data"),
        (lambda t: t.set_mean("data", np.zeros(2)), "Mean channels incompatible with input: 2"),
        (lambda t: t.set_mean("data", np.zeros((1, 3, 2, 2))), "Mean shape invalid"),
        (lambda t: t.set_transpose("data", (2, 0)), "same number of dimensions as the input, 3"),
        (lambda t: t.set_channel_swap("data", (1, 0)), "the input channels, 3"),
    ],
)
def test_transformer_refuses(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(transformer())
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    ("setting", "order", "kind"),
    [("transpose", (2, 0, 3), ValueError), ("channel_swap", (3, 1, 0), IndexError)],
)
def test_orders_are_checked_when_they_are_used(setting, order, kind):
    made = transformer()
    getattr(made, f"set_{setting}")("data", order)
    with pytest.raises(kind, match=rf"{order[0]}, {order[1]}, {order[2]}\) of an array of shape"):
        made.preprocess("data", np.zeros((2, 2, 3)))


def test_images_with_other_channels_than_the_net():
    made = transformer()
    made.set_channel_swap("data", (2, 1, 0))
    with pytest.raises(InputError, match=r"channels \(2, 1, 0\) of an array of shape \(1, 2, 2\)"):
        made.preprocess("data", np.zeros((2, 2, 1)))
    made = transformer()
    made.set_mean("data", np.zeros((3, 2, 2)))
    with pytest.raises(InputError, match=r"has shape \(2, 2, 2\), its mean \(3, 2, 2\)"):
        made.preprocess("data", np.zeros((2, 2, 2)))
