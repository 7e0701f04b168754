"""The decoder of Deep Compression, on files written by hand and on the published one."""

import struct
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.errors import DataError
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.squeezenet import decode

TWO_LAYERS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 5 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 3 } }
"""
CODEBOOK = np.arange(256, dtype="<f4") / 4


def net() -> caffe.Net:
    return caffe.Net(text_format.Parse(TWO_LAYERS, NetParameter()), caffe.TEST)


def layer(bias: list[float], indices: list[int], gaps: list[int]) -> bytes:
    """Return one layer in the format; an odd number of gaps leaves half a byte unused."""
    halves = [*gaps, 0][: len(gaps) + len(gaps) % 2]
    packed = bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))
    return CODEBOOK.tobytes() + struct.pack(f"<{len(bias)}f", *bias) + bytes(indices) + packed


# a: entries 8, 12, 255 at 0, 4, 9 of its 10 places; b: entry 1 at 5 of its 6 places.
FILE = (
    struct.pack("<2I", 3, 1) + layer([1, 2], [8, 12, 255], [0, 3, 4]) + layer([3, 4, 5], [1], [5])
)


def test_a_file_written_by_hand() -> None:
    filled = net()
    decode(FILE, filled, "file")
    weight, bias = (blob.data for blob in filled.params["a"])
    assert weight.tolist() == [[2, 0, 0, 0, 3], [0, 0, 0, 0, 63.75]]
    assert bias.tolist() == [1, 2]
    assert filled.params["b"][0].data.tolist() == [[0, 0], [0, 0], [0, 0.25]]
    assert filled.params["b"][1].data.tolist() == [3, 4, 5]


def test_positions_without_an_entry_hold_the_codebooks_first_number() -> None:
    filled = net()
    other = np.full(256, 7, "<f4").tobytes()
    decode(FILE.replace(CODEBOOK.tobytes(), other), filled, "file")
    assert (filled.params["a"][0].data == 7).all()


@given(st.integers(0, len(FILE) - 1))
def test_a_truncated_file_names_the_part_in_which_it_ends(size: int) -> None:
    with pytest.raises(DataError, match=r"file: truncated in the \w+ of .*: \d+ bytes expected"):
        decode(FILE[:size], net(), "file")


def test_bytes_after_the_last_layer() -> None:
    with pytest.raises(DataError, match="file: 2 bytes after its last layer"):
        decode(FILE + b"xx", net(), "file")


def test_an_entry_beyond_the_end_of_a_weight() -> None:
    bad = struct.pack("<2I", 1, 0) + layer([1, 2], [8], [10]) + layer([3, 4, 5], [], [])
    with pytest.raises(
        DataError, match=r"a has an entry at position 10; .* \(2, 5\) has 10 positions"
    ):
        decode(bad, net(), "file")


def test_the_published_file_has_as_many_weights_as_the_paper_reports(mirror: Path) -> None:
    file = mirror / "songhan/SqueezeNet-Deep-Compression/compressed_SqueezeNet.net"
    squeezenet = caffe.Net(DEFINITIONS["squeezenet"].deploy(), caffe.TEST)
    decode(file.read_bytes(), squeezenet, "file")
    kept = sum(int((blobs[0].data != 0).sum()) for blobs in squeezenet.params.values())
    weights = sum(blobs[0].count for blobs in squeezenet.params.values())
    # Deep Compression keeps about a third of SqueezeNet's weights (Iandola et al., 2016, table 2).
    assert 0.3 < kept / weights < 0.36
