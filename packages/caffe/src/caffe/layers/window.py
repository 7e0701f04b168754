"""WindowData: windows of images, warped to one size, as for training R-CNN."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from caffe import rng
from caffe.errors import FormatError
from caffe.formats import read_file
from caffe.image_files import Pixels, decode, resize
from caffe.layers.base import Blobs, register
from caffe.layers.data import Source
from caffe.layers.regions import rounded
from caffe.transform import read_mean


@dataclass(frozen=True)
class Window:
    """A box in an image, including its last column and row."""

    path: str
    label: int
    overlap: float
    box: tuple[int, int, int, int]  # x1, y1, x2, y2


@dataclass(frozen=True)
class Placed:
    """A box within an image, its size after warping, and its position in the item."""

    box: tuple[int, int, int, int]
    height: int
    width: int
    top: int
    left: int
    right: int  # left margin if mirrored


def read_windows(source: str) -> list[Window]:
    """Read R-CNN's window file.

    Each image has ``# index``, path, channels, height, width and number of windows, then
    ``class overlap x1 y1 x2 y2`` for each window, separated by spaces or lines.

    Raises
    ------
    FormatError
        If it cannot be read, is empty, truncated or in another format.
    """
    try:
        words = iter(read_file(source).decode("utf-8").split())
    except UnicodeDecodeError:
        raise FormatError(f"{source}: is binary; a list of windows is needed") from None
    windows: list[Window] = []
    images = 0
    for mark in words:
        try:
            if mark != "#":
                raise ValueError(f"'{mark}' where # is needed")
            next(words)  # the image's number
            path, (channels, _, _, count) = next(words), [int(next(words)) for _ in range(4)]
            if channels != 3:
                raise ValueError(f"{channels} channels. Allowed: 3")
            for _ in range(count):
                label, overlap = int(next(words)), float(next(words))
                x1, y1, x2, y2 = (int(next(words)) for _ in range(4))
                if max(map(abs, (label, x1, y1, x2, y2))) >= 2**31:
                    raise ValueError("a number of more than 32 bits")
                windows.append(Window(path, label, overlap, (x1, y1, x2, y2)))
        except (ValueError, StopIteration, RuntimeError) as error:
            reason = str(error) if isinstance(error, ValueError) else "the file ends there"
            raise FormatError(f"{source}: image {images}: {reason}") from None
        images += 1
    if not images:
        raise FormatError(f"{source}: the window file is empty. Needed: at least 1 image")
    return windows


def place(
    box: tuple[int, int, int, int],
    image: tuple[int, int],
    crop_size: int,
    context_pad: int,
    square: bool,
) -> Placed:
    """Widen a box by its context, and place the part of it that is within the image.

    Parameters
    ----------
    box : (x1, y1, x2, y2)
    image : (height, width)
    crop_size : int
        Side of the result.
    context_pad : int
        Width of the result's border that shows context.
    square : bool
        Whether to widen the box to a square first.
    """
    x1, y1, x2, y2 = box
    if not context_pad and not square:
        return Placed(box, crop_size, crop_size, 0, 0, 0)
    half_width, half_height = (x2 - x1 + 1) / 2, (y2 - y1 + 1) / 2
    centre_x, centre_y = x1 + half_width, y1 + half_height
    if square:
        half_width = half_height = max(half_width, half_height)
    wider = np.float32(crop_size) / np.float32(crop_size - 2 * context_pad)
    x1, x2 = rounded(centre_x - half_width * wider), rounded(centre_x + half_width * wider)
    y1, y2 = rounded(centre_y - half_height * wider), rounded(centre_y + half_height * wider)
    scale_x = np.float32(crop_size) / np.float32(x2 - x1 + 1)
    scale_y = np.float32(crop_size) / np.float32(y2 - y1 + 1)
    over_left, over_right = max(0, -x1), max(0, x2 - image[1] + 1)
    over_top, over_bottom = max(0, -y1), max(0, y2 - image[0] + 1)
    x1, x2, y1, y2 = x1 + over_left, x2 - over_right, y1 + over_top, y2 - over_bottom
    top, left, right = (
        rounded(over_top * scale_y),
        rounded(over_left * scale_x),
        rounded(over_right * scale_x),
    )
    height, width = rounded((y2 - y1 + 1) * scale_y), rounded((x2 - x1 + 1) * scale_x)
    return Placed((x1, y1, x2, y2), height, width, top, left, right)


@register("WindowData")
class WindowData(Source):
    """Batches of random windows, a fixed share of which show objects.

    Pixels outside an image are 0. As in Caffe, `scale` is the layer's own setting, while crop_size,
    mirror and mean are the transformation's (window_data_layer.cpp).
    """

    tops = (2, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param, transform = self.param.window_data_param, self.param.transform_param
        self._crop = transform.crop_size
        if not self._crop or not param.batch_size:
            raise self.error("transform_param crop_size and batch_size must be 1 or more")
        if self._crop <= 2 * param.context_pad:
            raise self.error(f"context_pad {param.context_pad} fills crop_size {self._crop}")
        with self.naming():
            self._sort(read_windows(param.source))
            self._mean = self._read_mean()
        foreground = int(np.float32(param.batch_size) * np.float32(param.fg_fraction))
        self._samples = (
            (self._background, param.batch_size - foreground, "background"),
            (self._foreground, foreground, "foreground"),
        )
        for windows, count, what in self._samples:
            if count and not windows:
                raise self.error(f"needs {count} {what} windows a batch; the file has none")
        self._cache: dict[str, bytes] = {}
        top[0].reshape(param.batch_size, 3, self._crop, self._crop)
        top[1].reshape(param.batch_size)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        size = self.param.window_data_param.batch_size
        batch = np.zeros((size, 3, self._crop, self._crop), np.float32)
        labels = np.zeros(size, np.float32)
        drawn = [
            windows[int(rng.generator().integers(len(windows)))]
            for windows, count, _ in self._samples
            for _ in range(count)
        ]
        for i, window in enumerate(drawn):
            with self.naming():
                self._draw(window, batch[i])
            labels[i] = window.label
        top[0].set_data(torch.from_numpy(batch))
        top[1].set_data(torch.from_numpy(labels))

    def _sort(self, windows: list[Window]) -> None:
        """Split windows into objects and background, with label 0; drop those in between."""
        param = self.param.window_data_param
        self._foreground: list[Window] = []
        self._background: list[Window] = []
        for window in windows:
            if np.float32(window.overlap) >= np.float32(param.fg_threshold):
                if window.label <= 0:
                    raise self.error(
                        f"{param.source}: an object has label {window.label}. Allowed: 1 or more"
                    )
                self._foreground.append(window)
            elif np.float32(window.overlap) < np.float32(param.bg_threshold):
                self._background.append(Window(window.path, 0, 0, window.box))

    def _read_mean(self) -> NDArray[np.float32]:
        """Return the mean, in a shape that broadcasts to an item."""
        transform, crop = self.param.transform_param, self._crop
        values = np.array(transform.mean_value, np.float32)[:, np.newaxis, np.newaxis]
        if not transform.HasField("mean_file"):
            if len(values) not in (0, 1, 3):
                raise self.error(f"{len(values)} mean_value. Allowed: 1, or 3 for the channels")
            return values if len(values) else np.zeros((1, 1, 1), np.float32)
        if len(values):
            raise self.error("has mean_file and mean_value. Allowed: one of them")
        mean = read_mean(transform.mean_file)
        if mean.shape[0] != 3 or mean.shape[1] != mean.shape[2] or mean.shape[1] < crop:
            raise self.error(
                f"the mean has shape {mean.shape}. Needed: (3, n, n), n at least {crop}"
            )
        start = (mean.shape[2] - crop) // 2
        return mean[:, start : start + crop, start : start + crop]

    def _draw(self, window: Window, item: NDArray[np.float32]) -> None:
        """Warp a window into its item."""
        param, transform = self.param.window_data_param, self.param.transform_param
        mirrored = transform.mirror and bool(rng.generator().integers(2))
        image = self._image(param.root_folder + window.path)
        placed = place(
            window.box,
            (image.shape[0], image.shape[1]),
            self._crop,
            param.context_pad,
            param.crop_mode == "square",
        )
        x1, y1, x2, y2 = placed.box
        if not (0 <= x1 <= x2 < image.shape[1] and 0 <= y1 <= y2 < image.shape[0]):
            raise self.error(
                f"window {window.box} is not within {window.path} of {image.shape[1]}x"
                f"{image.shape[0]}"
            )
        left = placed.right if mirrored else placed.left
        # Rounding may exceed the edge.
        height = min(placed.height, self._crop - placed.top)
        width = min(placed.width, self._crop - left)
        warped = resize(image[y1 : y2 + 1, x1 : x2 + 1], height, width)
        if mirrored:
            warped = warped[:, ::-1]
        part = (slice(None), slice(placed.top, placed.top + height), slice(left, left + width))
        item[part] = warped.transpose(2, 0, 1)
        item[part] -= np.broadcast_to(self._mean, item.shape)[part]
        item[part] *= np.float32(param.scale)

    def _image(self, path: str) -> Pixels:
        content = self._cache.get(path)
        if content is None:
            content = read_file(path)
            if self.param.window_data_param.cache_images:
                self._cache[path] = content
        return decode(content, path, color=True)
