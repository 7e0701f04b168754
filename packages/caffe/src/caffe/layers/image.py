"""ImageData: images from a list of files."""

import os
import re

from caffe import rng
from caffe.errors import FormatError
from caffe.formats import read_file
from caffe.image_files import read_image
from caffe.layers.base import Blobs, register
from caffe.layers.image_batches import ImageBatches, Item


def read_list(source: str) -> list[tuple[str, int]]:
    """Read a list of images, ``path label`` in each line; without a label it is 0.

    Raises
    ------
    FormatError
        If it cannot be read, is empty, or a line has no label; the message gives the line number.
    """
    content = read_file(source)
    if b"\0" in content:
        raise FormatError(f"{source}: is binary; a list of images is needed")
    lines = os.fsdecode(content).splitlines()  # paths are bytes: in any encoding
    pairs = [_pair(line, f"{source}:{i}") for i, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise FormatError(f"{source}: lists no image. Needed: at least 1")
    return pairs


def _pair(line: str, where: str) -> tuple[str, int]:
    path, _, text = line.rstrip().rpartition(" ")
    if not path.strip():
        return text, 0  # as in Caffe: lists for testing have no labels
    label = re.match(r"[+-]?\d{1,10}(?!\d)", text)
    if not label or not -(2**31) <= int(label[0]) < 2**31:
        raise FormatError(
            f"{where}: '{line.strip()[:200]}' has no label. Needed: path, space, whole number of "
            "32 bits"
        )
    return path, int(label[0])


@register("ImageData")
class ImageData(ImageBatches):
    """Reads the images of a list in order, or reshuffled in each round."""

    tops = (2, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.image_data_param
        if bool(param.new_height) != bool(param.new_width):
            raise self.error(
                f"new_height is {param.new_height} and new_width {param.new_width}. "
                "Allowed: both or neither"
            )
        with self.naming():
            self._pairs = read_list(param.source)
        self._shuffle()
        self._next = 0
        if param.rand_skip:
            self._next = int(rng.generator().integers(param.rand_skip))
            if self._next >= len(self._pairs):
                raise self.error(
                    f"rand_skip {param.rand_skip} skips more than the {len(self._pairs)} images"
                )
        self.prepare(param.batch_size, top)

    def first(self) -> Item:
        param = self.param.image_data_param
        path, label = self._pairs[self._next]
        file = param.root_folder + path
        image = read_image(
            file, color=param.is_color, height=param.new_height, width=param.new_width
        )
        return Item(image.transpose(2, 0, 1), label, file)

    def take(self) -> Item:
        item = self.first()
        self._next += 1
        if self._next == len(self._pairs):
            self._next = 0
            self._shuffle()
        return item

    def _shuffle(self) -> None:
        if self.param.image_data_param.shuffle:
            order = rng.generator().permutation(len(self._pairs))
            self._pairs = [self._pairs[i] for i in order]
