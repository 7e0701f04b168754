"""The base of Data and ImageData: batches of transformed images with labels."""

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
import torch

from caffe.datum import Values
from caffe.errors import naming
from caffe.layers.base import Blobs
from caffe.layers.data import Source
from caffe.transform import DataTransformer


class Item(NamedTuple):
    """An array (C, H, W), its label, and its name for errors."""

    values: Values
    label: int
    where: str


class ImageBatches(Source):
    """A source of images (N, C, H, W) and, in the optional second top, their labels.

    The first image of a batch determines its shape, so images of different sizes need a batch size
    of 1 or a crop to one size.
    """

    tops = (1, 2)

    @abstractmethod
    def first(self) -> Item:
        """Return the first image without consuming it."""

    @abstractmethod
    def take(self) -> Item:
        """Return the next image; after the last comes the first."""

    def prepare(self, batch_size: int, top: Blobs) -> None:
        """Read the transformation's settings, and shape the tops by the first image."""
        if not batch_size:
            raise self.error("batch_size is missing or 0. Allowed: 1 or more")
        self._batch_size = batch_size
        with self.naming():
            self._transformer = DataTransformer(self.param.transform_param, self.phase)
            top[0].reshape(batch_size, *self._shape(self.first()))
        for blob in top[1:]:
            blob.reshape(batch_size)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.naming():
            batch, labels = self._batch()
        for blob, values in zip(top, (batch, labels), strict=False):
            blob.reshape(*values.shape)
            blob.set_data(values)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        item = self.take()
        shape = self._shape(item)
        batch = np.empty((self._batch_size, *shape), np.float32)
        labels = np.empty(self._batch_size, np.float32)
        for i in range(self._batch_size):
            if i:
                item = self.take()
            if self._shape(item) != shape:
                raise self.error(
                    f"{item.where} has shape {item.values.shape}, which gives {self._shape(item)}; "
                    f"the first of its batch gives {shape}. Allowed: one shape, or batch_size 1"
                )
            batch[i] = self._transformed(item)
            labels[i] = item.label
        return torch.from_numpy(batch), torch.from_numpy(labels)

    def _shape(self, item: Item) -> tuple[int, int, int]:
        with naming(item.where):
            return self._transformer.shape(item.values)

    def _transformed(self, item: Item) -> Values:
        with naming(item.where):
            return self._transformer.transform(item.values)
