"""Data."""

import gc
import struct
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe import rng
from caffe.errors import CaffeError
from tests.caffe.image_case import database, datum, random_image
from tests.caffe.layer_case import Alone, Case

CASES: list[Case] = []
TESTED_BELOW = ("Data",)  # it needs a database


def case(folder: Path, batch_size: int = 2, transform: str = "", tops: int = 2, phase: int = 1):
    source = f'source: "{folder}" backend: LMDB batch_size: {batch_size}'
    settings = f"data_param {{ {source} }} transform_param {{ {transform} }}"
    return Case("Data", settings, tops=tops, learns=(), phase=phase)


def test_records_come_in_key_order_over_and_over(tmp_path):
    images = [random_image(2, 3, seed=i) for i in range(3)]
    database(tmp_path / "db", [datum(p, 10 + i) for i, p in enumerate(images)])
    alone = Alone(case(tmp_path / "db"))
    assert [blob.shape for blob in alone.top] == [(2, 3, 2, 3), (2,)]
    passes = [alone.forward() for _ in range(3)]
    assert [labels.tolist() for _, labels in passes] == [[10, 11], [12, 10], [11, 12]]
    assert np.array_equal(passes[1][0][0], images[2].transpose(2, 0, 1))
    assert np.array_equal(passes[1][0][1], images[0].transpose(2, 0, 1))


def test_labels_are_optional(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 3), 1)])
    [only] = Alone(case(tmp_path / "db", tops=1)).forward()
    assert only.shape == (2, 3, 2, 3)


def test_images_of_different_sizes_need_batch_size_1(tmp_path):
    database(tmp_path / "db", [datum(random_image(2 + i, 3), 1) for i in range(2)])
    alone = Alone(case(tmp_path / "db", batch_size=1))
    assert [alone.forward()[0].shape for _ in range(3)] == [
        (1, 3, 2, 3),
        (1, 3, 3, 3),
        (1, 3, 2, 3),
    ]
    alone = Alone(case(tmp_path / "db", transform="crop_size: 2"))
    assert alone.forward()[0].shape == (2, 3, 2, 2)
    message = r"layer 'layer' .Data.: .*db, key '00000001' has shape \(3, 3, 3\).*\(3, 2, 3\)"
    with pytest.raises(CaffeError, match=message):
        Alone(case(tmp_path / "db")).forward()


def test_two_nets_read_one_database(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 3, seed=i), i) for i in range(5)])
    (tmp_path / "link").symlink_to(tmp_path / "db")
    first, second = Alone(case(tmp_path / "db")), Alone(case(tmp_path / "link", batch_size=1))
    labels = [(first.forward()[1].tolist(), second.forward()[1].tolist()) for _ in range(3)]
    assert labels == [([0, 1], [0]), ([2, 3], [1]), ([4, 0], [2])]


def test_a_rewritten_database_is_reread(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 3), 1)])
    alone = Alone(case(tmp_path / "db", batch_size=1))
    (tmp_path / "db").rename(tmp_path / "old")
    database(tmp_path / "db", [datum(random_image(2, 3), 2)])
    again = Alone(case(tmp_path / "db", batch_size=1))
    assert (alone.forward()[1].item(), again.forward()[1].item()) == (1, 2)


def test_the_database_folder_is_not_modified(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 3), 1)])
    before = {file.name: file.read_bytes() for file in (tmp_path / "db").iterdir()}
    Alone(case(tmp_path / "db")).forward()
    gc.collect()
    assert {file.name: file.read_bytes() for file in (tmp_path / "db").iterdir()} == before


def test_train_and_test_nets_of_a_solver_read_the_same(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 2, seed=i), i % 2) for i in range(4)])
    (tmp_path / "net.prototxt").write_text(
        f"""layer {{ name: "d" type: "Data" top: "data" top: "label"
              data_param {{ source: "{tmp_path}/db" backend: LMDB batch_size: 4 }}
              transform_param {{ scale: 0.01 }} }}
            layer {{ name: "i" type: "InnerProduct" bottom: "data" top: "i"
              inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }}
            layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "i" bottom: "label" top: "loss" }}"""
    )
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" test_iter: 1 test_interval: 10 base_lr: 0.1 '
        'lr_policy: "fixed" max_iter: 30 snapshot_after_train: false random_seed: 1'
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.step(1)
    before = float(solver.net.blobs["loss"].data)
    solver.step(29)
    assert float(solver.net.blobs["loss"].data) < 0.5 * before


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "holds no record"),
        ([b"\xff\xff"], "key '00000000': is not a Datum"),
        (
            [datum(random_image(2, 2)), datum(random_image(2, 2)).SerializeToString()[:9]],
            "key '00000001': is",
        ),
        ([struct.pack("3B", 8, 3, 16) + b"\x02"], r"shape \(3, 2, 0\) has 0 values"),
        ([b"\x08\xff\xff\xff\xff\x07\x10\xff\xff\xff\xff\x07\x18\x02"], "has 0 values"),
        (
            [datum(random_image(9, 9), kind="png").SerializeToString().replace(b"IDAT", b"XXXX")],
            "decode",
        ),
        ([datum(random_image(2, 2)), datum(random_image(2, 2, 1))], r"\(1, 2, 2\).*\(3, 2, 2\)"),
    ],
)
def test_bad_records_are_refused(tmp_path, items, message):
    database(tmp_path / "db", items)
    with pytest.raises(CaffeError, match=f"layer 'layer' .Data.: .*db.*{message}"):
        Alone(case(tmp_path / "db")).forward()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch_size: 2", ""), "batch_size is missing or 0"),
        (("backend: LMDB", ""), "is an LMDB; the default is LEVELDB: set backend: LMDB"),
        (("/db", "/none"), "none: cannot be read as LMDB: No such file"),
        (("transform_param { ", "transform_param { force_color: true force_gray: true "), "one of"),
    ],
)
def test_bad_settings(tmp_path, change, message):
    database(tmp_path / "db", [datum(random_image(2, 3), 1)])
    given = case(tmp_path / "db")
    with pytest.raises(CaffeError, match=f"layer 'layer' .Data.: .*{message}"):
        Alone(Case("Data", given.settings.replace(*change), tops=2))


def test_leveldb_is_refused_with_advice(tmp_path):
    (tmp_path / "CURRENT").touch()
    settings = f'data_param {{ source: "{tmp_path}" backend: LEVELDB batch_size: 1 }}'
    with pytest.raises(CaffeError, match="LevelDB is not supported.*convert_imageset"):
        Alone(Case("Data", settings))


def test_training_draws_random_crops_and_mirrors(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    database(tmp_path / "db", [datum(pixels)])
    transform = "crop_size: 2 mirror: true"
    rng.set_random_seed(3)
    parts = Alone(case(tmp_path / "db", 200, transform, phase=0)).forward()[0]
    possible = {
        tuple(pixels[y : y + 2, x : x + 2, 0][:, ::step].ravel())
        for y in range(2)
        for x in range(3)
        for step in (1, -1)
    }
    assert {tuple(part.ravel()) for part in parts} == possible
    parts = Alone(case(tmp_path / "db", 200, transform, phase=1)).forward()[0]
    assert {tuple(part.ravel()) for part in parts} == {(1, 2, 5, 6), (2, 1, 6, 5)}
