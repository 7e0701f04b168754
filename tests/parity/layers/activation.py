"""Element by element."""

import caffe
from tests.caffe.layer_case import Case
from tests.parity.layers.inputs import MAPS, X

CASES = [
    *(
        Case(kind, bottoms=(MAPS,), in_place=in_place)
        for in_place in (False, True)
        for kind in ("Sigmoid", "TanH", "ReLU")
    ),
    Case("ReLU", "relu_param { negative_slope: 0.1 }", (MAPS,)),
    Case("ReLU", "relu_param { negative_slope: 0.1 }", (MAPS,), in_place=True),
    Case("Dropout", bottoms=(X,), phase=caffe.TEST),
]
REFUSED = [Case("Sigmoid", bottoms=(X,), tops=2)]
