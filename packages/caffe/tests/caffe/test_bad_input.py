"""Absurd sizes, damaged files, files of the wrong format: always one clear error."""

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe
from caffe.errors import CaffeError, FormatError, LayerError
from caffe.formats import (
    blob_array,
    parse_text,
    read_binary,
    read_blob,
    read_text,
    set_blob,
    write_binary,
)
from caffe.hdf5 import read_state, write_state
from caffe.proto.caffe_pb2 import BlobProto, NetParameter, SolverParameter, SolverState
from tests.caffe.net_case import MLP, net

X_INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 2 } } }'
HUGE = "dim: 1048576 dim: 1048576"
MANY = settings(
    max_examples=settings.default.max_examples * 3 // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (f'type: "Input" top: "h" input_param {{ shape {{ {HUGE} }} }}', r"\(1048576, 1048576\)"),
        (
            f'type: "DummyData" top: "h" dummy_data_param {{ shape {{ {HUGE} }} }}',
            r"\(1048576, 1048576\)",
        ),
        (
            f'type: "Parameter" top: "h" parameter_param {{ shape {{ {HUGE} }} }}',
            r"\(1048576, 1048576\)",
        ),
        (
            'type: "InnerProduct" bottom: "x" top: "h" inner_product_param { num_output: '
            "2147483647 }",
            r"\(2147483647, 2\)",
        ),
        (
            'type: "InnerProduct" bottom: "x" top: "h" inner_product_param { num_output: '
            "4294967295 }",
            "num_output|4294967295",
        ),
        (
            'type: "Embed" bottom: "x" top: "h" embed_param { num_output: 2147483647 '
            "input_dim: 2147483647 }",
            r"\(2147483647, 2147483647\)",
        ),
        ('type: "Tile" bottom: "x" top: "h" tile_param { tiles: 2147483647 }', "2147483647|429"),
        (
            'type: "Input" top: "h" input_param { shape { dim: -1 dim: 5 } }',
            r"\(-1, 5\): sizes must not be negative",
        ),
    ],
)
def test_sizes_beyond_counting(layer, message):
    with pytest.raises(LayerError, match=f"layer 'huge'.*({message})"):
        net(f'{X_INPUT} layer {{ name: "huge" {layer} }}')


LITTLE_MEMORY = """
import json
import resource
import sys
import caffe
from caffe.formats import parse_text
from caffe.proto.caffe_pb2 import NetParameter

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, resource.RLIM_INFINITY))
for text in json.load(sys.stdin):
    try:
        net = caffe.Net(parse_text(text, NetParameter()), caffe.TEST)
        net.forward()
    except caffe.CaffeError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_more_memory_than_the_machine_has():
    layers = (
        'type: "InnerProduct" bottom: "x" top: "h" inner_product_param { num_output: 134217728 }',
        'type: "Tile" bottom: "x" top: "h" tile_param { tiles: 67108864 }',
    )
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY],
        input=json.dumps([f'{X_INPUT} layer {{ name: "huge" {layer} }}' for layer in layers]),
        capture_output=True,
        text=True,
        check=True,
    )
    product, tile = done.stdout.splitlines()
    assert product.startswith(
        "layer 'huge' (InnerProduct): shape (134217728, 2) takes 1.00 GiB, more than is available"
    )
    assert tile.startswith("layer 'huge' (Tile): ")


def test_values_that_do_not_fill_a_shape():
    proto = BlobProto(data=[1, 2])
    proto.shape.dim.extend([2**20, 2**20])
    with pytest.raises(FormatError, match=r"shape \(1048576, 1048576\) is stored with 2 values"):
        blob_array(proto)
    del proto.shape.dim[:]
    proto.shape.dim.extend([-1, -2])
    with pytest.raises(FormatError, match=r"shape \(-1, -2\) is stored with 2 values"):
        blob_array(proto)


# A valid file of every format, and its reader.


def _text(folder: Path) -> Path:
    (folder / "f").write_text(MLP)
    return folder / "f"


def _weights(folder: Path) -> Path:
    net().save(folder / "f")
    return folder / "f"


def _weights_hdf5(folder: Path) -> Path:
    net().save_hdf5(folder / "f")
    return folder / "f"


def _state(folder: Path, name: str = "f") -> Path:
    state = SolverState(iter=3, learned_net="net.caffemodel", current_step=1)
    set_blob(state.history.add(), np.arange(6, dtype=np.float32).reshape(2, 3))
    write_state(folder / name, state)
    return folder / name


def _state_hdf5(folder: Path) -> Path:
    return _state(folder, "f.h5").rename(folder / "f")


def _mean(folder: Path) -> Path:
    write_binary(folder / "f", BlobProto(num=1, channels=1, height=1, width=2, data=[1, 2]))
    return folder / "f"


def _solver(folder: Path) -> Path:
    (folder / "f").write_text('base_lr: 0.1 lr_policy: "step" net_param { name: "n" }\n')
    return folder / "f"


FORMATS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "net": (_text, lambda file: caffe.Net(file, caffe.TEST)),
    "solver": (_solver, lambda file: read_text(file, SolverParameter())),
    "weights": (_weights, lambda file: net().copy_from(file)),
    "weights in HDF5": (_weights_hdf5, lambda file: net().copy_from(file)),
    "state": (_state, read_state),
    "state in HDF5": (_state_hdf5, read_state),
    "mean": (_mean, read_blob),
}


@functools.cache
def _valid(name: str) -> bytes:
    """Return the content of a file that its reader takes."""
    with tempfile.TemporaryDirectory() as folder:
        file = FORMATS[name][0](Path(folder))
        FORMATS[name][1](file)
        return file.read_bytes()


def _read(read: Callable[[Path], object], file: Path) -> None:
    """Random bytes may be valid; if not, the error names the file."""
    try:
        read(file)
    except CaffeError as error:
        assert str(file) in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", FORMATS)
@MANY
@given(content=st.binary(max_size=80))
def test_any_bytes(tmp_path, name, content):
    (tmp_path / "f").write_bytes(content)
    _read(FORMATS[name][1], tmp_path / "f")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@MANY
@given(data=st.data())
def test_truncated(tmp_path, name, data):
    content = _valid(name)
    (tmp_path / "f").write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    _read(FORMATS[name][1], tmp_path / "f")


@pytest.mark.parametrize("name", FORMATS)
@MANY
@given(data=st.data())
def test_damaged(tmp_path, name, data):
    content = bytearray(_valid(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "f").write_bytes(content)
    _read(FORMATS[name][1], tmp_path / "f")


@pytest.mark.parametrize("name", FORMATS)
def test_one_format_for_another(tmp_path, name):
    """Every reader refuses every other format's files.

    A state's `iter` and a mean's `num` share a field number; so a solver detects only later that a
    mean is not a state.
    """
    for i, other in enumerate(FORMATS):
        kinds = {name.split()[0], other.split()[0]}
        if len(kinds) == 1 or kinds == {"state", "mean"}:
            continue
        folder = tmp_path / str(i)
        folder.mkdir()
        file = FORMATS[other][0](folder)
        with pytest.raises(CaffeError) as caught:
            FORMATS[name][1](file)
        message = str(caught.value)
        assert str(file) in message, other
        text_read, text_given = (kind in ("net", "solver") for kind in (name, other))
        if text_read != text_given:
            assert ("is binary; a text file" if text_read else "is text; a binary file") in message


@pytest.mark.parametrize("depth", [150, 20_000])
def test_nested_text(depth):
    for text in (
        "net_param { " * depth,
        "layer { " * depth + "}" * depth,
        "[" * depth,
        "dim: " + "[" * depth,
        "<" * depth,
        "a { " * depth,
        "[type.googleapis.com/caffe.NetParameter] { " * depth,
        "name: " + '"x" ' * depth + "}",
        "# comment\n" * depth + "}",
        f"input_dim: {'9' * depth}",
        f"input_dim: 0x{'f' * depth}",
        f"input_dim: 1e{'9' * depth}",
    ):
        with pytest.raises(FormatError, match=r"^deep:\d+:\d+: .*\(reading NetParameter\)$"):
            parse_text(text, NetParameter(), "deep")


@pytest.mark.parametrize("depth", [150, 20_000])
def test_nested_bytes(tmp_path, depth):
    """Deeply nested groups and messages in unknown fields."""
    content = b""
    for _ in range(min(depth, 2000)):
        content = b"\x0a" + _varint(len(content)) + content
    for i, nested in enumerate((b"\x0b" * depth, b"\x0b" * depth + b"\x0c" * depth, content)):
        (tmp_path / f"{i}").write_bytes(nested)
        with pytest.raises(FormatError, match=f"{i}: (is|holds) no"):
            read_binary(tmp_path / f"{i}", SolverState())


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def test_string_that_is_not_utf8(tmp_path):
    (tmp_path / "w").write_bytes(b"\x0a\x02\xff\xfe")
    with pytest.raises(FormatError, match="w: the name of a NetParameter is not UTF-8 text"):
        read_binary(tmp_path / "w", NetParameter())


def test_missing_required_field():
    with pytest.raises(FormatError, match=r"required fields are missing: .*clip_param.min"):
        parse_text('layer { type: "Clip" clip_param { max: 1 } }', NetParameter())


def test_external_links_in_hdf5_are_not_followed(tmp_path):
    net().save_hdf5(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file["data/ip1/0"]
        file["data/ip1/0"] = h5py.SoftLink("/data/ip1/0")
    with pytest.raises(CaffeError, match="w.h5: is not a complete HDF5 file: .*too many links"):
        net().copy_from(tmp_path / "w.h5")
