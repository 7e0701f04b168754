"""ImageData."""

from pathlib import Path

import numpy as np
import pytest

from caffe import rng
from caffe.errors import CaffeError
from tests.caffe.image_case import image_bytes, random_image
from tests.caffe.layer_case import Alone, Case

CASES: list[Case] = []
TESTED_BELOW = ("ImageData",)  # it needs files


def case(folder: Path, count: int = 4, more: str = "batch_size: 2", lines: str | None = None):
    """Write images of 2x3 and their list; return a layer that reads them."""
    for i in range(count):
        (folder / f"{i}.png").write_bytes(image_bytes(random_image(2, 3, seed=i)))
    listed = "".join(f"{i}.png {i}\n" for i in range(count)) if lines is None else lines
    (folder / "list.txt").write_text(listed)
    source = f'source: "{folder}/list.txt" root_folder: "{folder}/" {more}'
    return Case("ImageData", f"image_data_param {{ {source} }}", tops=2, learns=())


def labels(alone: Alone, passes: int) -> list[list[float]]:
    return [alone.forward()[1].tolist() for _ in range(passes)]


def test_images_come_in_order_over_and_over(tmp_path):
    alone = Alone(case(tmp_path, 3))
    assert [blob.shape for blob in alone.top] == [(2, 3, 2, 3), (2,)]
    assert labels(alone, 2) == [[0, 1], [2, 0]]
    assert np.array_equal(alone.forward()[0][0], random_image(2, 3, seed=1).transpose(2, 0, 1))


def test_gray_and_resized(tmp_path):
    more = "batch_size: 1 is_color: false new_height: 4 new_width: 5"
    assert Alone(case(tmp_path, more=more)).forward()[0].shape == (1, 1, 4, 5)


def test_each_round_is_reshuffled_reproducibly(tmp_path):
    rounds = []
    for seed in (1, 1, 2):
        rng.set_random_seed(seed)
        rounds.append(labels(Alone(case(tmp_path, 12, "batch_size: 12 shuffle: true")), 3))
    assert rounds[0] == rounds[1] != rounds[2]
    assert all(sorted(part) == list(range(12)) for part in rounds[0])
    assert len({tuple(part) for part in rounds[0]}) == 3


def test_rand_skip_skips_fewer_than_its_value(tmp_path):
    first = set()
    for seed in range(40):
        rng.set_random_seed(seed)
        first.add(Alone(case(tmp_path, 5, "batch_size: 1 rand_skip: 3")).forward()[1].item())
    assert first == {0, 1, 2}


def test_lines(tmp_path):
    lines = "0.png 7\n\n0.png -2\n0.png 3.9\n0.png\n0.png 4 \r\n"
    read = labels(Alone(case(tmp_path, lines=lines, more="batch_size: 5")), 1)
    assert read == [[7, -2, 3, 0, 4]]


@pytest.mark.parametrize(
    ("lines", "more", "message"),
    [
        ("\n\n", "", "list.txt: lists no image"),
        ("0.png 1\n0.png 2147483648\n", "", "list.txt:2: '0.png 2147483648' has no label"),
        ("0.png " + "9" * 5000, "", "list.txt:1: .* has no label"),
        ("0.png one\n", "", "list.txt:1: '0.png one' has no label"),
        ("no.png 1\n", "", "no.png: cannot be read: No such file"),
        ("list.txt 1\n", "", "list.txt: is not an image that can be decoded"),
        ("0.png 1\n", "new_width: 3", "new_height is 0 and new_width 3"),
        ("0.png 1\n", "batch_size: 0", "batch_size is missing or 0"),
    ],
)
def test_bad_lists_and_settings_are_refused(tmp_path, lines, more, message):
    with pytest.raises(CaffeError, match=f"layer 'layer' .ImageData.: .*{message}"):
        Alone(case(tmp_path, lines=lines, more=more))


def test_lists_that_cannot_be_read(tmp_path):
    given = case(tmp_path)
    (tmp_path / "list.txt").write_bytes(b"\xff\0")
    with pytest.raises(CaffeError, match="layer 'layer'.*list.txt: is binary"):
        Alone(given)
    (tmp_path / "list.txt").unlink()
    with pytest.raises(CaffeError, match="layer 'layer'.*list.txt: cannot be read"):
        Alone(given)


def test_rand_skip_past_the_end(tmp_path):
    with pytest.raises(CaffeError, match="rand_skip 900 skips more than the 1 images"):
        Alone(case(tmp_path, 1, "rand_skip: 900"))
