"""The data layers in both engines, over the same databases, lists and files."""

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.__main__ import main
from caffe.errors import CaffeError, RealCaffeRefused
from caffe.formats import set_blob, write_binary
from caffe.proto.caffe_pb2 import BlobProto
from tests.caffe.image_case import database, datum, image_bytes, random_image
from tests.parity.compare import parse

TOPS = ["data", "label"]


def check(real_caffe, text: str, passes: int = 3, phase: int = caffe.TEST, tops=TOPS) -> None:
    """Compare the first passes of a net, exactly."""
    net = caffe.Net(parse(text), phase)
    for expected in real_caffe.passes(text, passes, tops, phase):
        net.forward()
        for name in tops:
            assert net.blobs[name].data.shape == expected[name].shape
            assert np.array_equal(net.blobs[name].data, expected[name]), name


def layer(kind: str, settings: str, transform: str = "", tops=TOPS) -> str:
    names = " ".join(f'top: "{name}"' for name in tops)
    return (
        f'layer {{ name: "d" type: "{kind}" {names} {settings} transform_param {{ {transform} }} }}'
    )


def data(folder, batch: int = 2) -> str:
    return f'data_param {{ source: "{folder}" backend: LMDB batch_size: {batch} }}'


def mean_file(folder, *shape: int) -> str:
    values = np.random.default_rng(5).uniform(90, 150, shape).astype(np.float32)
    proto = BlobProto(num=1, channels=shape[0], height=shape[1], width=shape[2])
    set_blob(proto, values[np.newaxis])
    proto.ClearField("shape")
    write_binary(folder / "mean.binaryproto", proto)
    return f'mean_file: "{folder}/mean.binaryproto"'


@pytest.fixture
def five(tmp_path):
    """A database of five images of 7x9."""
    images = [datum(random_image(7, 9, seed=i), label=i) for i in range(5)]
    return database(tmp_path / "five", images)


@pytest.mark.parametrize("kind", ["raw", "float", "png", "bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_data_of_every_kind(real_caffe, tmp_path, kind, channels):
    items = [datum(random_image(6, 5, channels, seed=i), 3 * i - 1, kind) for i in range(3)]
    check(real_caffe, layer("Data", data(database(tmp_path / "db", items))), passes=4)


@pytest.mark.parametrize(
    "transform",
    [
        "scale: 0.00390625",
        "crop_size: 5",
        "crop_size: 6 scale: 0.5 mean_value: 104",
        "mean_value: 104 mean_value: 117 mean_value: 123",
        "crop_size: 4 MEAN scale: 0.1",
        "MEAN",
    ],
)
def test_transformations(real_caffe, tmp_path, five, transform):
    transform = transform.replace("MEAN", mean_file(tmp_path, 3, 7, 9))
    check(real_caffe, layer("Data", data(five), transform))


def test_data_without_labels(real_caffe, five):
    check(real_caffe, layer("Data", data(five), tops=["data"]), tops=["data"])


def test_data_ignores_what_caffe_ignores(real_caffe, tmp_path):
    items = [datum(random_image(4, 4, 1, seed=i), i, "png") for i in range(3)]
    settings = data(database(tmp_path / "db", items), 1).replace(
        "batch_size", "rand_skip: 3 force_encoded_color: true mirror: true scale: 3 batch_size"
    )
    check(real_caffe, layer("Data", settings))


@pytest.mark.parametrize("force", ["force_color", "force_gray"])
@pytest.mark.parametrize("channels", [1, 3])
def test_forced_channels(real_caffe, tmp_path, force, channels):
    items = [datum(random_image(6, 5, channels, seed=i), i, "png") for i in range(3)]
    folder = database(tmp_path / "db", items)
    check(real_caffe, layer("Data", data(folder), f"{force}: true"))


def test_images_of_different_sizes_with_batch_size_1(real_caffe, tmp_path):
    items = [datum(random_image(4 + i, 5, seed=i), i) for i in range(3)]
    folder = database(tmp_path / "db", items)
    check(real_caffe, layer("Data", data(folder, 1)))
    check(real_caffe, layer("Data", data(folder, 3), "crop_size: 4"))


def test_images_are_equal_up_to_random_mirroring(real_caffe, tmp_path, five):
    """The mean is subtracted before mirroring, at the image's own position."""
    text = layer("Data", data(five, 5), mean_file(tmp_path, 3, 7, 9) + " mirror: true")
    net = caffe.Net(parse(text), caffe.TEST)
    mirrored = 0
    for expected in real_caffe.passes(text, 8, TOPS, caffe.TEST):
        net.forward()
        for found, wanted in zip(net.blobs["data"].data, expected["data"], strict=True):
            assert any(np.array_equal(found, w) for w in (wanted, wanted[:, :, ::-1]))
            mirrored += not np.array_equal(found, wanted)
    assert 0 < mirrored < 40  # otherwise one engine mirrors never or always


@pytest.mark.parametrize(
    ("transform", "ours"),
    [
        ("crop_size: 8", "crop_size 8 is larger than the image of 7x9"),
        ('mean_value: 1 mean_file: "none"', "mean_file and mean_value"),
        ("mean_value: 1 mean_value: 2", "2 mean_value and 3 channels"),
        ('mean_file: "nowhere"', "nowhere: cannot be read"),
        ("MEAN", r"mean has shape \(3, 7, 8\), the image \(3, 7, 9\)"),
    ],
)
def test_both_refuse_bad_transformations(real_caffe, tmp_path, five, transform, ours):
    text = layer("Data", data(five), transform.replace("MEAN", mean_file(tmp_path, 3, 7, 8)))
    with pytest.raises(CaffeError, match=f"layer 'd' .Data.: .*{ours}"):
        caffe.Net(parse(text), caffe.TEST).forward()
    with pytest.raises(RealCaffeRefused):
        real_caffe.passes(text, 2, TOPS, caffe.TEST)


@pytest.mark.parametrize("flags", [[], ["--encoded"], ["--gray", "-resize_width=5"]])
def test_real_caffe_reads_what_our_tools_write(real_caffe, tmp_path, listed, flags):
    """A database by convert_imageset, and the mean by compute_image_mean."""
    flags = [*flags, "--resize_height=6"] if "--gray" in flags else flags
    listed = [f"{tmp_path}/", f"{tmp_path}/list.txt", f"{tmp_path}/db"]
    assert main(["convert_imageset", "-minloglevel=3", *flags, *listed]) == 0
    transform = "force_color: true" if flags == ["--encoded"] else ""
    check(real_caffe, layer("Data", data(tmp_path / "db"), transform))
    if flags != ["--encoded"]:  # its images differ in their number of channels
        mean = f"{tmp_path}/mean.binaryproto"
        assert main(["compute_image_mean", "-minloglevel=3", listed[2], mean]) == 0
        check(real_caffe, layer("Data", data(tmp_path / "db"), f'mean_file: "{mean}"'))


MEMORY = """
import numpy as np
import caffe
net = caffe.Net(FILE, caffe.TEST)
whole, column = np.zeros((4, 1, 1, 3), "f4"), np.zeros(4, "f4")
result = []
for data, labels in [
    (whole, column), (whole, column.reshape(4, 1, 1, 1)), (whole, column.reshape(4, 1)),
    (whole.reshape(4, 3), column), (whole.astype(float), column), (whole, column.astype(float)),
    (whole, column[:3]), (whole[:3], column[:3]), (whole[..., :2].copy(), column),
    (whole.reshape(4, 3, 1, 1), column), (np.zeros((8, 1, 1, 3), "f4")[::2], column),
    (whole.astype(int), column), (whole.reshape(4, 1, 3, 1).transpose(0, 1, 3, 2), column),
]:
    try:
        net.set_input_arrays(data, labels)
        result.append(1)
    except Exception:
        result.append(0)
"""


def test_memory_data_arrays(real_caffe, tmp_path):
    size = "batch_size: 2 channels: 1 height: 1 width: 3"
    text = layer("MemoryData", f"memory_data_param {{ {size} }}")
    (tmp_path / "net.prototxt").write_text(text)
    code = MEMORY.replace("FILE", repr(str(tmp_path / "net.prototxt")))
    names: dict = {}
    exec(code, names)
    assert names["result"] == real_caffe.script(code)
    assert sum(names["result"]) == 3


def write_list(folder, *lines: str) -> str:
    (folder / "list.txt").write_text("".join(line + "\n" for line in lines))
    return f'source: "{folder}/list.txt"'


@pytest.fixture
def listed(tmp_path):
    """A list of four images of 8x10, in colour, gray, PNG and BMP."""
    for i, (channels, kind) in enumerate([(3, "png"), (1, "png"), (3, "bmp"), (1, "bmp")]):
        (tmp_path / f"my {i}.{kind}").write_bytes(
            image_bytes(random_image(8, 10, channels, seed=i), kind)
        )
    names = ["my 0.png", "my 1.png", "my 2.bmp", "my 3.bmp"]
    lines = write_list(tmp_path, *(f"{name} {i - 1}" for i, name in enumerate(names)))
    return f'{lines} root_folder: "{tmp_path}/"'


@pytest.mark.parametrize("color", ["true", "false"])
@pytest.mark.parametrize(
    "size",
    [
        "",
        "new_height: 4 new_width: 5",
        "new_height: 13 new_width: 7",
        "new_height: 3 new_width: 30",
    ],
)
def test_image_data(real_caffe, listed, color, size):
    settings = f"image_data_param {{ {listed} batch_size: 3 is_color: {color} {size} }}"
    check(real_caffe, layer("ImageData", settings), passes=4)
    check(real_caffe, layer("ImageData", settings, "scale: 0.5 mean_value: 9 crop_size: 3"))


@pytest.mark.parametrize(
    ("subsampling", "mean", "most"),
    [(0, 0.05, 2), (1, 0.6, 20), (2, 0.6, 20)],  # libraries upsample chroma differently
)
def test_jpegs(real_caffe, tmp_path, subsampling, mean, most):
    for i in range(3):
        small = Image.fromarray(random_image(4, 5, seed=i)).resize(
            (120, 96), Image.Resampling.BICUBIC
        )
        small.save(tmp_path / f"{i}.jpg", quality=90, subsampling=subsampling)
    source = write_list(tmp_path, *(f"{tmp_path}/{i}.jpg {i}" for i in range(3)))
    for color in ("true", "false"):
        settings = f"image_data_param {{ {source} batch_size: 3 is_color: {color} }}"
        text = layer("ImageData", settings)
        net = caffe.Net(parse(text), caffe.TEST)
        [expected] = real_caffe.passes(text, 1, TOPS, caffe.TEST)
        difference = np.abs(net.forward()["data"] - expected["data"])
        assert difference.mean() <= (mean if color == "true" else 0)
        assert difference.max() <= (most if color == "true" else 0)


@pytest.mark.parametrize(
    ("lines", "settings", "ours"),
    [
        ((), "", "lists no image"),
        (("nowhere.png 1",), "", "nowhere.png: cannot be read"),
        (("BROKEN 1",), "", "broken.png: .*decoded"),
        (("OK 1",), "new_height: 3", "new_height is 3 and new_width 0"),
        (("OK 1",), "new_width: 3", "new_height is 0 and new_width 3"),
        (("OK 1", "OTHER 1"), "batch_size: 2", r"other.png has shape \(3, 5, 5\)"),
    ],
)
def test_both_refuse_bad_lists(real_caffe, tmp_path, lines, settings, ours):
    (tmp_path / "ok.png").write_bytes(image_bytes(random_image(4, 4)))
    (tmp_path / "other.png").write_bytes(image_bytes(random_image(5, 5)))
    (tmp_path / "broken.png").write_bytes(image_bytes(random_image(40, 40))[:30])
    names = {name.upper(): f"{tmp_path}/{name}.png" for name in ("ok", "other", "broken")}
    changed = [" ".join(names.get(word, word) for word in line.split(" ")) for line in lines]
    source = write_list(tmp_path, *changed)
    text = layer("ImageData", f"image_data_param {{ {source} {settings} }}")
    with pytest.raises(CaffeError, match=f"layer 'd' .ImageData.: .*{ours}"):
        caffe.Net(parse(text), caffe.TEST).forward()
    with pytest.raises(RealCaffeRefused):
        real_caffe.passes(text, 2, TOPS, caffe.TEST)


WINDOWS = ["4 6 20 12", "0 0 9 9", "0 0 39 29", "31 2 39 27", "12 20 13 21", "5 5 5 5"]


def windows(folder, box: str) -> str:
    """Write a file with one object, and one window that is never drawn."""
    (folder / "w.png").write_bytes(image_bytes(random_image(30, 40)))
    text = f"# 0\n{folder}/w.png\n3\n30\n40\n2\n7 0.9 {box}\n1 0.1 0 0 3 3\n"
    (folder / "windows.txt").write_text(text)
    return f'source: "{folder}/windows.txt" batch_size: 2 fg_fraction: 1 fg_threshold: 0.5'


@pytest.mark.parametrize("box", WINDOWS)
@pytest.mark.parametrize(
    "mode", ["", "context_pad: 2", 'crop_mode: "square"', 'crop_mode: "square" context_pad: 3']
)
def test_windows(real_caffe, tmp_path, box, mode):
    settings = f"window_data_param {{ {windows(tmp_path, box)} {mode} }}"
    check(real_caffe, layer("WindowData", settings, "crop_size: 11"), passes=1)


@pytest.mark.parametrize(
    "transform",
    ["mean_value: 100", "mean_value: 1 mean_value: 2 mean_value: 3", "MEAN", "scale: 9"],
)
def test_windows_transformed(real_caffe, tmp_path, transform):
    transform = transform.replace("MEAN", mean_file(tmp_path, 3, 14, 14)) + " crop_size: 11"
    more = "context_pad: 2 scale: 0.5 cache_images: true"
    settings = f"window_data_param {{ {windows(tmp_path, '25 20 39 29')} {more} }}"
    check(real_caffe, layer("WindowData", settings, transform), passes=2)


def test_background_windows(real_caffe, tmp_path):
    settings = windows(tmp_path, "4 6 20 12").replace("fg_fraction: 1 ", "fg_fraction: 0.5 ")
    check(real_caffe, layer("WindowData", f"window_data_param {{ {settings} }}", "crop_size: 8"))


@pytest.mark.parametrize(
    "settings",
    [
        "shape { dim: 2 dim: 3 }",
        "shape { dim: 2 dim: 3 } shape { dim: 4 } data_filler { value: 3 }",
        "shape { dim: 2 } data_filler { value: 3 } data_filler { value: 4 }",
        "num: 2 channels: 3 height: 4 width: 5",
        "num: 2 num: 3 channels: 3 height: 4 height: 1 width: 5",
    ],
)
def test_dummy_data(real_caffe, settings):
    check(real_caffe, layer("DummyData", f"dummy_data_param {{ {settings} }}"))


@pytest.mark.parametrize(
    ("settings", "ours"),
    [
        ("", "2 tops and 0 shape"),
        ("shape { dim: 2 } num: 2 channels: 1 height: 1 width: 1", "has shape and num"),
        ("num: 2 num: 2 num: 2 channels: 1 height: 1 width: 1", "2 tops and 3 num"),
        ("num: 2 channels: 1 height: 1", "2 tops and 0 width"),
    ],
)
def test_both_refuse_bad_dummy_data(real_caffe, settings, ours):
    text = layer("DummyData", f"dummy_data_param {{ {settings} }}")
    with pytest.raises(CaffeError, match=f"layer 'd' .DummyData.: .*{ours}"):
        caffe.Net(parse(text), caffe.TEST)
    with pytest.raises(RealCaffeRefused):
        real_caffe.passes(text, 1, TOPS, caffe.TEST)


def test_hdf5_output(real_caffe, tmp_path):
    """Both write the same file, and read each other's."""
    source = layer(
        "DummyData",
        "dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { value: 3 } }",
    )
    for name in ("ours", "real"):
        text = source + (
            'layer { name: "o" type: "HDF5Output" bottom: "data" bottom: "label" '
            f'hdf5_output_param {{ file_name: "{tmp_path}/{name}.h5" }} }}'
        )
        if name == "ours":
            caffe.Net(parse(text), caffe.TEST).forward()
        else:
            real_caffe.passes(text, 1, TOPS, caffe.TEST)
    stored = []
    for name in ("ours", "real"):
        with h5py.File(tmp_path / f"{name}.h5") as file:
            stored.append({key: file[key][:] for key in file})
        (tmp_path / "list.txt").write_text(f"{tmp_path}/{name}.h5\n")
        read = layer(
            "HDF5Data", f'hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: 3 }}'
        )
        check(real_caffe, read.replace("transform_param {  }", ""))
    assert set(stored[0]) == set(stored[1]) == {"data", "label"}
    for key in stored[0]:
        assert stored[0][key].dtype == stored[1][key].dtype
        assert np.array_equal(stored[0][key], stored[1][key])
        assert stored[0][key].shape == stored[1][key].shape
