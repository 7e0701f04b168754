"""WindowData."""

from pathlib import Path

import numpy as np
import pytest

from caffe import rng
from caffe.errors import CaffeError
from caffe.layers.window import Placed, place
from tests.caffe.image_case import image_bytes, random_image
from tests.caffe.layer_case import Alone, Case

CASES: list[Case] = []
TESTED_BELOW = ("WindowData",)  # it needs files
WINDOWS = "3 0.9 0 0 3 3\n5 0.5 4 0 7 3\n2 0.49 0 4 3 7\n0 0.1 4 4 7 7\n"


def case(folder: Path, more: str = "", transform: str = "crop_size: 4", windows: str = WINDOWS):
    """Write an image of 8x8 with windows, 4x4 each; return a layer that reads them."""
    (folder / "0.png").write_bytes(image_bytes(random_image(8, 8)))
    count = windows.count("\n")
    (folder / "windows.txt").write_text(f"# 0\n0.png\n3 8 8\n{count}\n{windows}")
    source = f'source: "{folder}/windows.txt" root_folder: "{folder}/" batch_size: 4 {more}'
    settings = f"window_data_param {{ {source} }} transform_param {{ {transform} }}"
    return Case("WindowData", settings, tops=2, learns=())


def test_batches_hold_background_then_objects(tmp_path):
    alone = Alone(case(tmp_path, "fg_fraction: 0.5 bg_threshold: 0.3"))
    quarters = {
        label: random_image(8, 8)[y : y + 4, x : x + 4]
        for label, y, x in ((3, 0, 0), (5, 0, 4), (0, 4, 4))
    }
    seen = set()
    for _ in range(20):
        data, labels = alone.forward()
        assert labels[:2].tolist() == [0, 0]
        for item, label in zip(data, labels, strict=True):
            assert np.array_equal(item, quarters[int(label)].transpose(2, 0, 1))
        seen.update(labels.tolist())
    assert seen == {0, 3, 5}


def test_mirrored_half_of_the_time_reproducibly(tmp_path):
    rounds = []
    for seed in (1, 1, 2):
        rng.set_random_seed(seed)
        given = case(tmp_path, "fg_fraction: 1", "crop_size: 4 mirror: true", "3 0.9 0 0 3 3\n")
        rounds.append(np.concatenate([Alone(given).forward()[0] for _ in range(10)]))
    assert np.array_equal(rounds[0], rounds[1])
    assert not np.array_equal(rounds[0], rounds[2])
    plain = random_image(8, 8)[:4, :4].transpose(2, 0, 1)
    straight = sum(np.array_equal(item, plain) for item in rounds[0])
    assert 10 <= straight <= 30
    mirrored = sum(np.array_equal(item, plain[:, :, ::-1]) for item in rounds[0])
    assert straight + mirrored == 40


def test_context_of_a_window_at_the_corner():
    """A box of 4x4 with a quarter of context on each side is one of 9x9 from -2 to 6."""
    assert place((0, 0, 3, 3), (8, 8), 8, 2, False) == Placed((0, 0, 6, 6), 6, 6, 2, 2, 0)
    assert place((4, 4, 7, 7), (8, 8), 8, 2, False) == Placed((2, 2, 7, 7), 5, 5, 0, 0, 3)


def test_a_square_around_a_window():
    assert place((2, 3, 5, 4), (8, 8), 8, 0, True) == Placed((2, 2, 6, 6), 8, 8, 0, 0, 0)


def test_the_margin_is_zero_and_mirrored_too(tmp_path):
    windows = "3 0.9 0 0 3 3\n"
    given = case(tmp_path, "fg_fraction: 1 context_pad: 2", "crop_size: 8 mirror: true", windows)
    data = np.concatenate([Alone(given).forward()[0] for _ in range(10)])
    margins = {tuple(np.flatnonzero(item.any(axis=(0, 1)))) for item in data}
    assert margins == {(2, 3, 4, 5, 6, 7), (0, 1, 2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("more", "transform", "windows", "message"),
    [
        ("", "", WINDOWS, "crop_size and batch_size must be 1 or more"),
        ("context_pad: 2", "crop_size: 4", WINDOWS, "context_pad 2 fills crop_size 4"),
        ("", "crop_size: 4", "0 0.9 0 0 3 3\n", "label 0. Allowed: 1 or more"),
        ("", "crop_size: 4", "3 0.9 0 0 3 3\n", "3 background windows a batch"),
        ("fg_fraction: 1", "crop_size: 4", "3 0.1 0 0 3 3\n", "4 foreground windows a batch"),
        ("", "crop_size: 4", "3 0.9 0 0 3\n", "image 0: the file ends there"),
        ("", "crop_size: 4", "3 0.9 0 0 3 x\n", "image 0: invalid literal.*'x'"),
        ("", "crop_size: 4", "3 0.9 0 0 3 3\nmore", "image 1: 'more' where # is needed"),
        ("", "crop_size: 4 mean_value: 1 mean_value: 2", WINDOWS, "2 mean_value"),
        ("", 'crop_size: 4 mean_value: 1 mean_file: "x"', WINDOWS, "mean_file and mean_value"),
        ("", 'crop_size: 4 mean_file: "none"', WINDOWS, "none: cannot be read"),
        ("fg_fraction: 1", "crop_size: 4", "3 0.9 0 0 8 3\n", r"\(0, 0, 8, 3\) is not within"),
        ('source: "none"', "crop_size: 4", WINDOWS, "none: cannot be read"),
        ('root_folder: "none/"', "crop_size: 4", WINDOWS, "none/0.png: cannot be read"),
    ],
)
def test_bad_files_and_settings_are_refused(tmp_path, more, transform, windows, message):
    with pytest.raises(CaffeError, match=f"layer 'layer' .WindowData.: .*{message}"):
        Alone(case(tmp_path, more, transform, windows)).forward()


def test_an_empty_file(tmp_path):
    given = case(tmp_path)
    (tmp_path / "windows.txt").write_text("\n")
    with pytest.raises(CaffeError, match="layer 'layer'.*windows.txt: the window file is empty"):
        Alone(given)
