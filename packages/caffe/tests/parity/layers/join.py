"""Layers that join or split blobs."""

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_join import BAD
from tests.parity.layers.inputs import MAPS, X

WITH_AXIS = {0: (1, 3, 4, 5), 1: (2, 1, 4, 5), 2: (2, 3, 2, 5), 3: (2, 3, 4, 1)}


def concat(settings: str, axis: int) -> Case:
    other = values(*WITH_AXIS[axis], seed=1)
    return Case("Concat", f"concat_param {{ {settings} }}", (MAPS, other, MAPS), learns=(0, 1, 2))


def sliced(settings: str, tops: int) -> Case:
    return Case("Slice", f"slice_param {{ {settings} }}", (MAPS,), tops)


def crop(settings: str, *shape: int) -> Case:
    return Case("Crop", f"crop_param {{ {settings} }}", (MAPS, values(*shape)))


CASES = [
    *(concat(f"axis: {axis}", axis) for axis in WITH_AXIS),
    concat("axis: -3", 1),
    concat("concat_dim: 2", 2),
    concat("", 1),
    Case("Concat", bottoms=(X,)),
    *(sliced(f"axis: {axis}", MAPS.shape[axis]) for axis in range(4)),
    sliced("axis: -2 slice_point: 1", 2),
    sliced("slice_dim: 3 slice_point: 1 slice_point: 4", 3),
    sliced("", 3),
    Case("Slice", bottoms=(X,)),
    *(
        Case("Tile", f"tile_param {{ axis: {axis} tiles: {tiles} }}", (MAPS,))
        for axis in (0, 1, -1)
        for tiles in (1, 3)
    ),
    crop("", 2, 3, 2, 3),
    crop("offset: 1", 2, 3, 2, 3),
    crop("offset: 2 offset: 1", 7, 1, 2, 4),
    crop("axis: 1 offset: 2", 2, 1, 2, 3),
    crop("axis: -1 offset: 3", 1, 1, 1, 2),
    crop("axis: 0 offset: 1 offset: 0 offset: 2 offset: 1", 1, 3, 2, 3),
    crop("offset: 1", 1, 1, 1, 1, 9),
]
REFUSED = [case for case, _ in BAD]
