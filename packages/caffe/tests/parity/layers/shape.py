"""Layers that rearrange values."""

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_shape import RESHAPES
from tests.parity.layers.inputs import MAPS, X

CASES = [
    Case("Split", bottoms=(X,), tops=3),
    *(
        Case("Flatten", f"flatten_param {{ {settings} }}", (MAPS,))
        for settings in ("", "axis: 2", "axis: 0 end_axis: -2", "axis: 1 end_axis: 1")
    ),
    *(
        Case("Reshape", f"reshape_param {{ {settings} }}", (values(2, 3, 4),))
        for settings, _ in RESHAPES
    ),
    *(
        Case("Permute", f"permute_param {{ {settings} }}", (MAPS,))
        for settings in ("order: 0 order: 2 order: 3 order: 1", "order: 2", "order: 3 order: 1", "")
    ),
    Case("Silence", bottoms=(X, MAPS), tops=0, learns=()),
]
REFUSED = [
    Case("Flatten", "flatten_param { axis: 2 }", (X,)),
    Case("Reshape", "reshape_param { shape { dim: 5 dim: -1 } }", (X,)),
    Case("Reshape", "reshape_param { shape { dim: 5 } }", (X,)),
    Case("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: 0 } }", (X,)),
    Case("Reshape", "reshape_param { axis: 3 }", (X,)),
    Case("Permute", "permute_param { order: 1 order: 1 }", (MAPS,)),
    Case("Permute", "permute_param { order: 4 }", (MAPS,)),
]
