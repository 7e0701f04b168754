"""Files and the blobs in them: round trips, and files of other formats."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caffe.errors import FormatError
from caffe.formats import (
    blob_array,
    blob_shape,
    parse_text,
    read_binary,
    read_text,
    replacing,
    set_blob,
    to_text,
    write_binary,
)
from caffe.proto.caffe_pb2 import (
    BlobProto,
    LayerParameter,
    NetParameter,
    SolverParameter,
    SolverState,
    V1LayerParameter,
)
from tests.caffe.message_case import messages

FLOATS = st.floats(width=32, allow_nan=False)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, max_side=5)


def blob(text: str) -> BlobProto:
    return text_format.Parse(text, BlobProto())


@given(arrays.arrays(np.float32, SHAPES, elements=FLOATS))
def test_blob_round_trip(values):
    proto = BlobProto()
    set_blob(proto, values, -values)
    again = BlobProto.FromString(proto.SerializeToString())
    assert np.array_equal(blob_array(again), values)
    assert np.array_equal(blob_array(again, diff=True), -values)
    assert blob_shape(again) == values.shape


def test_a_blob_is_stored_as_protobuf_would():
    proto, plain = BlobProto(), BlobProto()
    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    set_blob(proto, values)
    plain.shape.dim.extend([10, 100])
    plain.data.extend(values.ravel().tolist())
    assert proto == plain


@pytest.mark.parametrize(
    ("text", "shape", "values", "dtype"),
    [
        ("shape { dim: 2 } data: [1, 2]", (2,), [1, 2], np.float32),
        ("shape { dim: 2 } double_data: [1, 2]", (2,), [1, 2], np.float64),
        ("num: 1 channels: 1 height: 1 width: 2 data: [1, 2]", (1, 1, 1, 2), [1, 2], np.float32),
        ("data: [1, 2, 3]", (3,), [1, 2, 3], np.float32),
        ("shape {} data: 5", (), [5], np.float32),
    ],
)
def test_blob_shapes_old_and_new(text, shape, values, dtype):
    found = blob_array(blob(text))
    assert found.shape == shape
    assert found.dtype == dtype
    assert found.ravel().tolist() == values


def test_a_blob_with_too_few_values():
    with pytest.raises(FormatError, match=r"shape \(2, 3\) is stored with 2 values"):
        blob_array(blob("shape { dim: 2 dim: 3 } data: [1, 2]"))


MESSAGES = st.sampled_from([NetParameter, SolverParameter, LayerParameter, V1LayerParameter])


@given(MESSAGES.flatmap(messages))
def test_any_message_round_trips_as_text(message):
    kind = type(message)
    assert parse_text(to_text(message), kind(), strict=True) == message
    assert parse_text(to_text(message), kind()) == message


@given(MESSAGES.flatmap(messages))
def test_any_message_round_trips_as_binary(tmp_path_factory, message):
    file = tmp_path_factory.getbasetemp() / "any.bin"
    write_binary(file, message)
    if message.ListFields():
        assert read_binary(file, type(message)()) == message


@given(messages(NetParameter), st.data())
def test_truncated_or_changed_text_is_a_message_or_a_clear_error(net, data):
    text = to_text(net)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    changed = (
        text[:start] + data.draw(st.text("{}:\"'[]<>,;#\\\n0x-.einf", max_size=5)) + text[end:]
    )
    try:
        parse_text(changed, NetParameter(), "some.prototxt")
    except FormatError as error:
        assert str(error).startswith("some.prototxt:")  # noqa: PT017 - the damaged file may still be valid


def test_escapes():
    text = r"""name: "\a\n\t\"\'\\\101\x41\u00e4#" # \q"""
    assert parse_text(text, NetParameter()).name == "\a\n\t\"'\\AA\u00e4#"


def test_net_round_trips_through_files(tmp_path):
    net = NetParameter(name="n", input=["x"])
    write_binary(tmp_path / "net.caffemodel", net)
    (tmp_path / "net.prototxt").write_text(to_text(net))
    assert read_binary(tmp_path / "net.caffemodel", NetParameter()) == net
    assert read_text(tmp_path / "net.prototxt", NetParameter()) == net
    assert sorted(os.listdir(tmp_path)) == ["net.caffemodel", "net.prototxt"]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_clear_error(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.solverstate"
    file.write_bytes(content)
    try:
        state = read_binary(file, SolverState())
    except FormatError as error:
        assert "any.solverstate: " in str(error)  # noqa: PT017 - random bytes may be valid
    else:
        assert state.ListFields()


def test_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "net.caffemodel"
    write_binary(file, NetParameter(name="first"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(FormatError, match="net.caffemodel: cannot be written: File too large"):
            write_binary(file, NetParameter(name="second" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_binary(file, NetParameter()).name == "first"
    assert os.listdir(tmp_path) == ["net.caffemodel"]


def test_binary_instead_of_text(tmp_path):
    (tmp_path / "a.prototxt").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(FormatError, match="a.prototxt: is binary; a text file .* is needed"):
        read_text(tmp_path / "a.prototxt", NetParameter())


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_file_has_no_name_until_it_is_whole(
    tmp_path: Path, unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a killed writer leaves nothing, where the system can do that, as Linux does."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    unnamed = hasattr(os, "O_TMPFILE")
    path, other = tmp_path / "a", tmp_path / "b"
    other.touch()
    for content in ("old", "new"):
        before = set(tmp_path.iterdir())
        with replacing(path) as temporary:
            temporary.write_text(content)
            assert (set(tmp_path.iterdir()) == before) == unnamed
        assert path.read_text() == content
        assert set(tmp_path.iterdir()) == {path, other}
    assert path.stat().st_mode == other.stat().st_mode
