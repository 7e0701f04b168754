"""Weights and solver states in HDF5: Caffe's layout, and files of other formats."""

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError, FormatError, ShapeError
from caffe.formats import blob_array, replacing, set_blob
from caffe.hdf5 import new_file, read_state, write_state
from caffe.proto.caffe_pb2 import NetParameter, SolverState
from tests.caffe.net_case import MLP, net

SHARED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a/1" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" }
  inner_product_param { num_output: 3 bias_filler { value: 2 } } }
"""


def weights(made: caffe.Net) -> dict[str, list[np.ndarray]]:
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in made.params.items()}


def state() -> SolverState:
    made = SolverState(iter=7, learned_net="ünet.caffemodel.h5", current_step=2)
    for values in (np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(5), np.zeros((0, 2))):
        set_blob(made.history.add(), np.asarray(values))
    return made


def names(file: str) -> dict[str, tuple[int, ...] | None]:
    found: dict[str, tuple[int, ...] | None] = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
    return found


@pytest.mark.parametrize("text", [MLP, SHARED])
def test_weights_round_trip(tmp_path, text):
    first, second = net(text), net(text)
    first.save(tmp_path / "w.caffemodel.h5")
    second.copy_from(tmp_path / "w.caffemodel.h5")
    third = net(text)
    third.load_hdf5(tmp_path / "w.caffemodel.h5")
    for name, blobs in weights(first).items():
        for i, values in enumerate(blobs):
            assert np.array_equal(second.params[name][i].data, values)
            assert np.array_equal(third.params[name][i].data, values)


def test_layout_of_weights(tmp_path):
    made = net(SHARED)
    made.save_hdf5(tmp_path / "w", write_diff=True)
    assert names(tmp_path / "w") == {
        "data": None,
        "data/a": None,
        "data/a/1": None,
        "data/a/1/0": (3, 3),
        "data/a/1/1": (3,),
        "data/b": None,
        "data/b/1": (3,),  # the weight belongs to a
        "data/x": None,
        "diff": None,
        "diff/a": None,
        "diff/a/1": None,
        "diff/a/1/0": (3, 3),
        "diff/a/1/1": (3,),
        "diff/b": None,
        "diff/b/0": (3, 3),
        "diff/b/1": (3,),
        "diff/x": None,
    }


def test_layers_missing_on_either_side_are_skipped(tmp_path):
    net(MLP).save(tmp_path / "w.h5")
    other = net(MLP.replace('name: "ip2"', 'name: "new"'))
    before = other.params["new"][0].data.copy()
    other.copy_from(tmp_path / "w.h5")
    assert np.array_equal(other.params["new"][0].data, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("data/ip1/1"), "layer 'ip1', blob 1 is missing; the net's has (4,)"),
        (lambda f: _put(f, "data/ip1/2", [1.0]), "layer 'ip1' has 3 blobs; the net's has 2"),
        (
            lambda f: _put(f, "data/ip1/0", np.zeros((4, 4))),
            "layer 'ip1', blob 0 has shape (4, 4); the net's has (4, 3)",
        ),
        (
            lambda f: _put(f, "data/ip1/1", np.array([b"a"] * 4)),
            "'/data/ip1/1' is of |S1. Needed: numbers",
        ),
        (
            lambda f: f["data/ip1"].create_dataset("2", (2**20, 2**20), np.float32, chunks=(8, 8)),
            "layer 'ip1' has 3 blobs",
        ),
        (lambda f: f.pop("data"), "is HDF5 without a group 'data'"),
        (lambda f: _put(f, "data", [1.0]), "is HDF5 without a group 'data'"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, change, message):
    net(MLP).save(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        change(file)
    with pytest.raises(CaffeError, match=re.escape(message)):
        net(MLP).copy_from(tmp_path / "w.h5")


def _put(file: h5py.File, name: str, values: object) -> None:
    if name in file:
        del file[name]
    file[name] = values


def test_layers_with_the_same_name_are_refused(tmp_path):
    text = MLP.replace('name: "ip2"', 'name: "ip1"')
    made = net(text)
    with pytest.raises(
        FormatError, match="twice.h5: HDF5 cannot hold two layers with the same .* 'ip1'"
    ):
        made.save(tmp_path / "twice.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["s.solverstate", "s.solverstate.h5"])
def test_state_round_trip(tmp_path, name):
    write_state(tmp_path / name, state())
    again = read_state(tmp_path / name)
    assert again == state()
    assert blob_array(again.history[1]).shape == ()
    assert h5py.is_hdf5(tmp_path / name) == name.endswith("h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("iter"), "without 'iter' and 'history'"),
        (lambda f: f.pop("history"), "without 'iter' and 'history'"),
        (lambda f: (f.pop("iter"), f.create_group("iter")), "'/' has no dataset 'iter'"),
        (lambda f: f.pop("history/1"), "'/history' has no dataset '1'"),
        (lambda f: _put(f, "iter", [1, 2]), "'iter' holds 2 numbers. Needed: 1"),
        (lambda f: _put(f, "iter", "x"), "'/iter' is of object. Needed: numbers"),
        (lambda f: _put(f, "learned_net", 3), "'/learned_net' is of int64. Needed: text"),
        (lambda f: _put(f, "learned_net", b"\xff"), "is not a complete HDF5 file: 'utf-8' codec"),
        (
            lambda f: f["history"].create_dataset("3", (2**20, 2**20), np.float32, chunks=(8, 8)),
            "'/history/3' has shape (1048576, 1048576) in 0 bytes; it is damaged",
        ),
        (
            lambda f: f["history"].create_dataset("3", (2**29,), np.float32, chunks=(8,)),
            "'/history/3' has shape (536870912,) in 0 bytes; it is damaged",
        ),
    ],
)
def test_a_bad_state(tmp_path, change, message):
    write_state(tmp_path / "s.h5", state())
    with h5py.File(tmp_path / "s.h5", "a") as file:
        change(file)
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        read_state(tmp_path / "s.h5")
    assert str(caught.value).startswith(f"{tmp_path / 's.h5'}: ")


def test_other_formats_are_refused(tmp_path):
    write_state(tmp_path / "s.h5", state())
    net().save(tmp_path / "w.h5")
    with pytest.raises(FormatError, match=r"s.h5: is HDF5 without a group 'data'"):
        net().copy_from(tmp_path / "s.h5")
    with pytest.raises(FormatError, match=r"w.h5: is HDF5 without 'iter' and 'history'"):
        read_state(tmp_path / "w.h5")
    with pytest.raises(FormatError, match=r"w.h5: is HDF5; a binary file of NetParameter"):
        caffe.formats.read_binary(tmp_path / "w.h5", NetParameter())
    (tmp_path / "t.h5").write_text(MLP)
    with pytest.raises(FormatError, match=r"t.h5: is text; a binary file of SolverState"):
        read_state(tmp_path / "t.h5")
    with pytest.raises(ShapeError, match="ip1"):
        net(MLP.replace("num_output: 4", "num_output: 5")).copy_from(tmp_path / "w.h5")


def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """HDF5 itself cannot close a file that does not fit: the process dies as it ends."""
    code = """
import resource, sys
from pathlib import Path
import caffe
from caffe.errors import FormatError
Path("net.prototxt").write_text(
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 200 } } }'
    'layer { name: "y" type: "InnerProduct" bottom: "x" top: "y"'
    ' inner_product_param { num_output: 100 } }'
)
net = caffe.Net("net.prototxt", caffe.TEST)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    net.save_hdf5("x.caffemodel.h5")
except FormatError as error:
    print(error)
"""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    said = "x.caffemodel.h5: cannot be written: File too large\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]


def test_a_file_of_reserved_size_has_the_bytes_of_a_plain_one(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((300, 70)).astype(np.float32)
    plain, reserved = tmp_path / "plain", tmp_path / "reserved"
    for opened in (h5py.File(plain, "w"), new_file(reserved, values.nbytes)):
        with opened as file:
            file["data/a/0"] = values
            file.attrs["settings"] = "x"
            file.create_dataset("b", (500, 70), "f4")[100:400] = values
    assert plain.read_bytes() == reserved.read_bytes()


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without names")
def test_a_file_has_no_name_until_it_is_whole(tmp_path: Path) -> None:
    path, values = tmp_path / "a.h5", np.arange(5000, dtype=np.float32)
    for factor in (1, 2):
        before = list(tmp_path.iterdir())
        with replacing(path) as temporary, new_file(temporary, values.nbytes) as file:
            file["x"] = factor * values
            file.flush()
            assert list(tmp_path.iterdir()) == before
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["x"][()], factor * values)
    assert list(tmp_path.iterdir()) == [path]
