"""InnerProduct."""

import numpy as np

from tests.caffe.layer_case import Case
from tests.parity.layers.inputs import FILLED, MAPS, X


def inner(settings: str, x: np.ndarray) -> Case:
    return Case("InnerProduct", f"inner_product_param {{ {settings} {FILLED} }}", (x,))


CASES = [
    inner("num_output: 3", X),
    inner("num_output: 3 bias_term: false", X),
    inner("num_output: 3 transpose: true", X),
    inner("num_output: 3", MAPS),
    inner("num_output: 3 axis: 2", MAPS),
    inner("num_output: 3 axis: -1 transpose: true", MAPS),
    inner("num_output: 3 axis: 0", X),
]
REFUSED = [
    Case("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", (X,)),
    Case("InnerProduct", "inner_product_param { num_output: 3 }", (X, X)),
]
