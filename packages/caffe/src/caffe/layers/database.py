"""Data: images from a database of Datum messages."""

from collections.abc import Iterator

from caffe.databases import records
from caffe.datum import datum_values, parse_datum
from caffe.layers.base import Blobs, register
from caffe.layers.image_batches import ImageBatches, Item


@register("Data")
class Data(ImageBatches):
    """Reads a database in the order of its keys, over and over.

    `rand_skip`, `prefetch` and `force_encoded_color` have no effect, as in Caffe 1.0: a batch is
    read when it is needed, and the transformation's `force_color` determines the channels.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        transform = self.param.transform_param
        if transform.force_color and transform.force_gray:
            raise self.error("has force_color and force_gray. Allowed: one of them")
        self._color = (
            transform.force_color if transform.force_color or transform.force_gray else None
        )
        self._items = self._endless()
        self._peeked: Item | None = None
        self.prepare(self.param.data_param.batch_size, top)

    def first(self) -> Item:
        self._peeked = next(self._items)
        return self._peeked

    def take(self) -> Item:
        item, self._peeked = self._peeked or next(self._items), None
        return item

    def _endless(self) -> Iterator[Item]:
        param = self.param.data_param
        while True:
            for key, content in records(param.source, param.backend):
                where = f"{param.source}, key '{key.decode(errors='replace')}'"
                datum = parse_datum(content, where)
                yield Item(datum_values(datum, where, self._color), datum.label, where)
