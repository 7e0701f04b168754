"""`caffe classify` and `caffe detect`."""

import csv

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.__main__ import main
from tests.caffe.image_case import random_image

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "i" type: "InnerProduct" bottom: "data" top: "i"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Softmax" bottom: "i" top: "p" }
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A net `n`, images `a.jpg`, `b.jpg` and `c.png`, a mean; the flags that name the net."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(NET)
    caffe.Net("n.prototxt", caffe.TEST).save("n.caffemodel")
    for i, name in enumerate(("a.jpg", "b.jpg", "c.png")):
        Image.fromarray(random_image(9, 8, seed=i)).save(name)
    np.save("mean.npy", np.full((3, 4, 4), [[[104.0]], [[117.0]], [[123.0]]]))
    return ["--model_def", "n.prototxt", "--pretrained_model=n.caffemodel"]


def expected(names: list[str], oversample: bool = True, **settings) -> np.ndarray:
    settings = {"raw_scale": 255, "channel_swap": (2, 1, 0), "image_dims": (6, 7), **settings}
    net = caffe.Classifier("n.prototxt", "n.caffemodel", **settings)
    return net.predict([caffe.io.load_image(name) for name in names], oversample)


def test_one_image(files, capsys):
    flags = [*files, "--images_dim", "6,7", "-mean_file=mean.npy"]
    assert main(["classify", *flags, "c.png", "out.npy"]) == 0
    assert "Classifying 1 inputs." in capsys.readouterr().out
    wanted = expected(["c.png"], mean=np.array([104, 117, 123]))
    assert np.load("out.npy") == pytest.approx(wanted, rel=1e-5)


def test_a_folder_in_order_with_settings(files):
    flags = [*files, "--images_dim=6,7", "--mean_file", "", "--center_only", "--input_scale=0.5"]
    flags += ["--raw_scale", "2", "--channel_swap", ""]
    assert main(["classify", *flags, ".", "out.npy"]) == 0
    wanted = expected(["a.jpg", "b.jpg"], False, input_scale=0.5, raw_scale=2, channel_swap=None)
    assert np.array_equal(np.load("out.npy"), wanted)
    assert main(["classify", *flags, "--ext", "png", ".", "png.npy"]) == 0
    assert np.load("png.npy").shape == (1, 5)


def test_an_array(files):
    np.save("in.npy", np.stack([caffe.io.load_image(name) for name in ("a.jpg", "b.jpg")]))
    flags = [*files, "--images_dim=6,7", "--mean_file="]
    assert main(["classify", *flags, "in.npy", "out.npy"]) == 0
    assert np.array_equal(np.load("out.npy"), expected(["a.jpg", "b.jpg"]))


def test_binaryproto_mean(files):
    caffe.transform.write_mean("mean.binaryproto", np.full((3, 9, 9), 50, np.float32))
    flags = [*files, "--images_dim=6,7", "--mean_file=mean.binaryproto"]
    assert main(["classify", *flags, "a.jpg", "out.npy"]) == 0
    assert np.load("out.npy") == pytest.approx(expected(["a.jpg"], mean=np.full(3, 50)), rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "ilsvrc_2012_mean.npy: cannot be read: No such file or directory (use --mean_file ''"),
        (["--mean_file=", "--images_dim=6"], "--images_dim 6: must be height,width"),
        (["--mean_file=", "--images_dim=6,x"], "--images_dim 6,x: must be integers"),
        (["--mean_file=", "--channel_swap=1"], "channel swap (1,): needs to have the same number"),
        (["--mean_file=", "--input_scale=x"], "--input_scale x: must be a number"),
        (["--mean_file=", "--model_def="], "--model_def is required"),
        (["--mean_file=pickled.npy"], "pickled.npy: cannot be read: "),
        (["--mean_file=words.npy"], "words.npy: holds no array of numbers"),
    ],
)
def test_classify_refuses(files, capsys, flags, message):
    np.save("pickled.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save("words.npy", np.array(["a"]))
    assert main(["classify", *files, *flags, "a.jpg", "out.npy"]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.jpg", "none.jpg: cannot be read: No such file"),
        ("n.prototxt", "n.prototxt: is not an image that can be decoded"),
        ("flat.npy", "flat.npy: has shape (2,). Needed: (N, H, W, K)"),
        ("empty", "empty: holds no image *.jpg"),
    ],
)
def test_bad_inputs_are_refused(files, tmp_path, capsys, name, message):
    np.save("flat.npy", np.zeros(2))
    (tmp_path / "empty").mkdir()
    assert main(["classify", *files, "--mean_file=", name, "out.npy"]) == 1
    assert message in capsys.readouterr().err


TABLE = "filename,xmin,ymin,xmax,ymax\na.jpg,0,1,5,9\nb.jpg,2,2,8,8\na.jpg,1,0,4.0,4\n"
ROWS = [("a.jpg", 1, 0, 9, 5), ("a.jpg", 0, 1, 4, 4), ("b.jpg", 2, 2, 8, 8)]


def detected(**settings) -> np.ndarray:
    settings = {"raw_scale": 255, "channel_swap": (2, 1, 0), "context_pad": 0, **settings}
    net = caffe.Detector("n.prototxt", "n.caffemodel", **settings)
    found = net.detect_windows([(name, [window]) for name, *window in ROWS])
    return np.array([row["prediction"] for row in found])


def test_windows_of_a_table_into_a_table(files, tmp_path):
    (tmp_path / "in.csv").write_text(TABLE)
    flags = [*files, "--crop_mode=list", "--context_pad=1", "--mean_file=mean.npy"]
    assert main(["detect", *flags, "in.csv", "out.csv"]) == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["filename", "ymin", "xmin", "ymax", "xmax", *(f"class{i}" for i in range(5))]
    assert [(row[0], *map(int, row[1:5])) for row in rows] == ROWS
    found = np.array([row[5:] for row in rows], np.float32)
    assert np.array_equal(found, detected(context_pad=1, mean=np.array([104.0, 117, 123])))


def test_windows_into_hdf5(files, tmp_path):
    (tmp_path / "in.csv").write_text(TABLE)
    flags = [*files, "--crop_mode=list", "--context_pad=0", "--mean_file="]
    assert main(["detect", *flags, "in.csv", "out.h5"]) == 0
    with h5py.File("out.h5") as file:
        assert file["filename"].asstr()[:].tolist() == [row[0] for row in ROWS]
        assert file["window"][:].tolist() == [list(row[1:]) for row in ROWS]
        assert np.array_equal(file["prediction"][:], detected())


@pytest.mark.parametrize(
    ("table", "flags", "message"),
    [
        (TABLE, ["--crop_mode=none"], "--crop_mode none. Allowed: list, selective_search"),
        (TABLE, [], "selective_search_ijcv_with_python, which needs MATLAB"),
        (TABLE.replace("xmax", "x"), ["--crop_mode=list"], "in.csv: no column 'xmax'"),
        (
            TABLE.replace("9", "nine"),
            ["--crop_mode=list"],
            "in.csv:2: a window needs four integers",
        ),
        (TABLE.replace(",9", ""), ["--crop_mode=list"], "in.csv:2: a window needs four integers"),
        (TABLE.split("\n")[0], ["--crop_mode=list"], "no window to classify"),
        (TABLE.replace("a.jpg", "no.jpg"), ["--crop_mode=list"], "no.jpg: cannot be read"),
        (TABLE, ["--crop_mode=list", "--context_pad=2"], "context_pad 2 of an input of 4x4"),
    ],
)
def test_detect_refuses(files, tmp_path, capsys, table, flags, message):
    (tmp_path / "in.csv").write_text(table)
    context = [] if any("context" in flag for flag in flags) else ["--context_pad=0"]
    assert main(["detect", *files, "--mean_file=", *context, *flags, "in.csv", "out.csv"]) == 1
    assert message in capsys.readouterr().err
