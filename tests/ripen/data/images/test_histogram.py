import numpy as np
from PIL import Image

from ripen.data.images.histogram import histogram


def test_shares_of_colours() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[0] = (255, 0, 128)
    pixels[1, :2] = (85, 86, 84)
    found = histogram(Image.fromarray(pixels), 3)
    expected = np.zeros((3, 3, 3))
    expected[2, 0, 1] = 0.5
    expected[0, 1, 0] = 0.25  # 86 is the first level of the second third
    expected[0, 0, 0] = 0.25
    np.testing.assert_array_equal(found.reshape(3, 3, 3), expected)


def test_a_grey_picture_is_on_the_diagonal() -> None:
    found = histogram(Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis]), 4)
    cube = found.reshape(4, 4, 4)
    np.testing.assert_array_equal(cube[range(4), range(4), range(4)], [0.25] * 4)
    assert found.sum() == 1
