"""Nothing small takes much time or memory, and no file reads others."""

import h5py
import numpy as np
import pytest

import caffe
from caffe.blob import Blob
from caffe.errors import CaffeError, FormatError, LayerError, ShapeError
from caffe.fillers import fill
from caffe.formats import parse_text
from caffe.graph import filter_net
from caffe.hdf5 import opened, read_numbers
from caffe.layers.base import registry
from caffe.layers.window import read_windows as read_window_file
from caffe.memory import available
from caffe.proto.caffe_pb2 import (
    FillerParameter,
    LayerParameter,
    NetParameter,
    NetStateRule,
    SolverParameter,
)
from caffe.tools.detect import read_windows
from caffe.tools.parse_log import parse
from caffe.tools.preparation import read_array
from tests.caffe.growth import MOST, growth
from tests.caffe.net_case import net

DUMMY = 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'


def quotes(size: int) -> None:
    with pytest.raises(FormatError, match="reading NetParameter"):  # the string has no end
        parse_text('name: "' + '\\"' * size, NetParameter())


def escapes(size: int) -> None:
    parse_text('name: "' + "\\n" * size + '"', NetParameter())


def stages(size: int) -> None:
    given = NetParameter()
    given.state.stage.extend(f"s{i}" for i in range(size))
    rule = NetStateRule(stage=list(given.state.stage))
    given.layer.add(name="x").include.append(rule)
    assert len(filter_net(given).layer) == 1


@pytest.mark.parametrize("work", [quotes, escapes, stages])
def test_time_grows_with_the_size_only(work):
    assert growth(work) < MOST


def test_a_net_that_exceeds_the_memory_is_refused():
    size = available() // 4 // 8
    layer = (
        'layer {{ name: "x{0}" type: "Input" top: "x{0}" input_param {{ shape {{ dim: {1} }} }} }}'
    )
    text = "".join(layer.format(i, min(size, 2**31 - 1)) for i in range(40))
    with pytest.raises(
        ShapeError, match=r"layer 'x\d+' .Input.: the net up to it.* GiB, more than"
    ):
        net(text)


def test_a_learnt_blob_that_exceeds_the_memory_is_refused():
    param = LayerParameter(name="e", type="Embed")
    param.embed_param.input_dim, param.embed_param.num_output = 2**31 - 1, 1
    if available() > 16 * (2**31 - 1):
        param.embed_param.num_output = 2
    with pytest.raises(LayerError, match="layer 'e' .Embed.: .*(more than is available|at most)"):
        registry()["Embed"](param, caffe.TRAIN).setup([Blob((1,))], [Blob()])


@pytest.mark.parametrize(
    "filler", ["uniform", "gaussian", "xavier", "msra", "positive_unitball", "constant"]
)
def test_pieces_give_the_same_numbers(filler, monkeypatch):
    found = []
    for piece in (2**20, 7):
        monkeypatch.setattr("caffe.fillers._PIECE", piece)
        blob = Blob((5, 3, 2))
        fill(blob, FillerParameter(type=filler, max=1, value=3), np.random.default_rng(0))
        found.append(blob.data.copy())
    assert np.array_equal(*found)


@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual"])
def test_hdf5_that_reads_other_files_is_refused(tmp_path, kind):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("data/layer")
        if kind == "external link":
            group["x"] = h5py.ExternalLink(str(other), "/x")
        elif kind == "external storage":
            group.create_dataset("x", (4,), "f8", external=[(str(other), 0, 32)])
        else:
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(other), "x", (4,))
            group.create_virtual_dataset("x", layout)
    message = r"a.h5: '/data/layer/x' is (a link to another file|stored in other files)"
    with pytest.raises(FormatError, match=message), opened(tmp_path / "a.h5"):
        pass
    with pytest.raises(CaffeError, match=message):
        net(weights=tmp_path / "a.h5")


def test_hdf5_that_is_compressed_beyond_belief_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**28 + 1,), "f4", chunks=(2**20,), compression="gzip")
        file["x"][: 2**20] = 0
    with (
        opened(tmp_path / "a.h5") as file,
        pytest.raises(FormatError, match="compressed into|is damaged"),
    ):
        read_numbers(file["x"])


@pytest.mark.parametrize(
    "settings",
    [
        "test_iter: 0 test_interval: 1 test_compute_loss: true",
        'type: "Adam" momentum: 1',
        'type: "Adam" momentum2: 1e38',
    ],
)
def test_solver_settings_that_divide_by_zero_go_on_as_in_caffe(settings):
    text = f'lr_policy: "fixed" {settings} net_param {{ {DUMMY} }}'
    made = caffe.get_solver(parse_text(text, SolverParameter()))
    made.step(2)
    assert made.iter == 2


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_array, b"\x93NUMPY\x01\x00v\x00{'descr': (((((", "a: cannot be read"),
        (read_windows, b"filename,xmin,ymin,xmax,ymax\n" + b"x" * 200_000, "field larger than"),
        (read_window_file, b"# 0 a.png 3 9 9 1 1 0.5 0 0 9 99999999999", "more than 32 bits"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, read, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read(str(tmp_path / "a"))


def test_stamps_that_are_no_moment_are_passed_over():
    lines = [
        "I1341 25:61:99.1 1 solver.cpp:289] Solving",
        "I0229 23:00:00.5 1 solver.cpp:239] Iteration 3, loss = 1",
        "I0101 23:00:00.5 1 solver.cpp:258]     Train net output #0: loss = 2",
    ]
    assert parse(lines).train[0]["loss"] == 2
