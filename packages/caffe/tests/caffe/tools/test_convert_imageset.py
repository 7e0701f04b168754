"""`caffe convert_imageset` and `caffe compute_image_mean`."""

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.databases import records
from caffe.datum import datum_values
from caffe.image_files import resize
from caffe.proto.caffe_pb2 import Datum
from caffe.transform import read_mean
from tests.caffe.image_case import database, datum, image_bytes, random_image


@pytest.fixture
def listed(tmp_path):
    """Five images, their list and where the database goes, as arguments."""
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(image_bytes(random_image(4, 6, seed=i)))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {10 + i}\n" for i in range(5)))
    return [f"{tmp_path}/", str(tmp_path / "list.txt"), str(tmp_path / "db")]


def read(folder: str) -> dict[str, Datum]:
    return {key.decode(): Datum.FromString(value) for key, value in records(folder)}


def test_raw_images(listed):
    assert main(["convert_imageset", *listed]) == 0
    stored = read(listed[2])
    assert list(stored) == [f"{i:08d}_{i}.png" for i in range(5)]
    for i, found in enumerate(stored.values()):
        assert found == datum(random_image(4, 6, seed=i), 10 + i)


def test_gray_and_resized(listed):
    flags = ["-resize_width=3", "--resize_height", "8", "--gray"]
    assert main(["convert_imageset", *flags, *listed]) == 0
    for found in read(listed[2]).values():
        assert (found.channels, found.height, found.width) == (1, 8, 3)


def test_shuffled(listed):
    caffe.set_random_seed(1)
    assert main(["convert_imageset", "--shuffle", *listed]) == 0
    labels = [found.label for found in read(listed[2]).values()]
    assert sorted(labels) == list(range(10, 15)) != labels


def test_encoded_files_are_stored_unchanged(listed, tmp_path):
    assert main(["convert_imageset", "--encoded", *listed]) == 0
    for i, found in enumerate(read(listed[2]).values()):
        assert found == Datum(data=(tmp_path / f"{i}.png").read_bytes(), label=10 + i, encoded=True)


@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_changed_images_are_encoded_again(listed, kind):
    flags = ["--encode_type", kind, "--resize_width=3", "--resize_height=2"]
    assert main(["convert_imageset", *flags, *listed]) == 0
    for i, found in enumerate(read(listed[2]).values()):
        assert found.data[:2] == {"bmp": b"BM", "png": b"\x89P"}[kind]
        expected = resize(random_image(4, 6, seed=i), 2, 3).transpose(2, 0, 1)
        assert np.array_equal(datum_values(found, "it"), expected)


def test_unreadable_images_are_logged_and_skipped(listed, tmp_path, capsys):
    (tmp_path / "1.png").write_bytes(b"broken")
    (tmp_path / "3.png").unlink()
    assert main(["convert_imageset", *listed]) == 0
    assert [found.label for found in read(listed[2]).values()] == [10, 12, 14]
    log = capsys.readouterr().err
    assert "Could not open or find file: " in log
    assert "1.png: is not an image that can be decoded" in log
    assert "3.png: cannot be read: No such file" in log
    assert "Processed 3 files." in log


def test_no_readable_image_is_an_error_and_writes_nothing(listed, tmp_path, capsys):
    for i in range(5):
        (tmp_path / f"{i}.png").unlink()
    assert main(["convert_imageset", *listed]) == 1
    assert "list.txt: none of its 5 images can be read" in capsys.readouterr().err
    assert not (tmp_path / "db").exists()


def test_check_size_refuses_different_sizes(listed, tmp_path, capsys):
    (tmp_path / "2.png").write_bytes(image_bytes(random_image(4, 5)))
    assert main(["convert_imageset", "--check_size", *listed]) == 1
    assert "2.png has 60 bytes; the first image has 72" in capsys.readouterr().err
    assert not (tmp_path / "db").exists()
    assert main(["convert_imageset", *listed]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--backend", "leveldb"], "LevelDB is not supported"),
        (["--backend", "none"], "unknown database backend 'none'"),
        (["--encode_type", "none"], "none of its 5 images"),
    ],
)
def test_bad_arguments_are_refused(listed, capsys, flags, message):
    assert main(["convert_imageset", *flags, *listed]) == 1
    assert message in capsys.readouterr().err


def test_existing_folder_is_not_touched(listed, tmp_path, capsys):
    (tmp_path / "db").mkdir()
    assert main(["convert_imageset", *listed]) == 1
    assert "db: a new database cannot be created there: File exists" in capsys.readouterr().err
    assert (tmp_path / "db").exists()


@pytest.mark.parametrize("kind", ["raw", "float", "png"])
def test_mean_image(tmp_path, capsys, kind):
    images = [random_image(4, 6, seed=i) for i in range(3)]
    folder = database(tmp_path / "db", [datum(p, kind=kind) for p in images])
    target = str(tmp_path / "mean.binaryproto")
    assert main(["compute_image_mean", str(folder), target]) == 0
    expected = np.mean(images, axis=0).transpose(2, 0, 1) / (3 if kind == "float" else 1)
    assert read_mean(target) == pytest.approx(expected, rel=1e-6)
    first = f"mean_value channel [0]: {expected[0].mean():g}"
    assert first[:-1] in capsys.readouterr().err
    assert main(["compute_image_mean", str(folder)]) == 0


def test_mean_of_different_sizes_is_refused(tmp_path, capsys):
    folder = database(tmp_path / "db", [datum(random_image(4, 6)), datum(random_image(4, 5))])
    assert main(["compute_image_mean", str(folder)]) == 1
    message = "key '00000001' has shape (3, 4, 5); those before have (3, 4, 6)"
    assert message in capsys.readouterr().err


def test_mean_of_an_empty_database_is_refused(tmp_path, capsys):
    assert main(["compute_image_mean", str(database(tmp_path / "db", []))]) == 1
    assert "holds no record" in capsys.readouterr().err
