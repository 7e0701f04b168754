"""Activations, Softmax and Dropout. KINKED contains 0 and the bounds in the settings."""

import numpy as np

import caffe
from tests.caffe.layer_case import Case
from tests.parity.layers.inputs import MAPS, X

KINKED = np.array([[0.0, 1, -1, 2], [-2, 0, 100, -100]])
CASES = [
    *(
        Case(kind, settings, (x,), in_place=in_place)
        for in_place in (False, True)
        for kind, settings in (
            ("Sigmoid", ""),
            ("TanH", ""),
            ("ReLU", ""),
            ("ReLU", "relu_param { negative_slope: 0.1 }"),
            ("ReLU", "relu_param { negative_slope: -0.5 }"),
            ("ELU", ""),
            ("ELU", "elu_param { alpha: 0.3 }"),
            ("ELU", "elu_param { alpha: -0.7 }"),
            ("ELU", "elu_param { alpha: 0 }"),
            ("PReLU", ""),
            ("PReLU", 'prelu_param { filler { type: "gaussian" } }'),
            ("PReLU", "prelu_param { channel_shared: true filler { value: -0.5 } }"),
            ("PReLU", "param { lr_mult: 0 }"),
            ("BNLL", ""),
            ("Swish", ""),
            ("Swish", "swish_param { beta: -1.5 }"),
            ("Swish", "swish_param { beta: 0 }"),
        )
        for x in (MAPS, KINKED)
    ),
    *(
        Case("Softmax", f"softmax_param {{ axis: {axis} }}", (MAPS,), in_place=in_place)
        for axis in (0, 1, 2, -1)
        for in_place in (False, True)
    ),
    Case("Dropout", bottoms=(X,), phase=caffe.TEST),
    Case("Dropout", "dropout_param { dropout_ratio: 0 }", (X,)),
]
REFUSED = [
    *(
        Case(kind, bottoms=bottoms, tops=tops)
        for kind in ("Sigmoid", "TanH", "ReLU", "ELU", "PReLU", "BNLL", "Swish", "Softmax")
        for bottoms, tops in (((X,), 2), ((X, X), 1))
    ),
    Case("PReLU", bottoms=(X[0],)),
    Case("PReLU", bottoms=(X.reshape(2, 2, 2, 3, 1),)),
    Case("PReLU", "prelu_param { filler { type: 'gausian' } }", (X,)),
    Case("PReLU", "param { lr_mult: 1 } param { lr_mult: 1 }", (X,)),
    Case("Softmax", "softmax_param { axis: 2 }", (X,)),
    Case("Dropout", "dropout_param { dropout_ratio: 1.5 }", (X,)),
    Case("Dropout", "dropout_param { dropout_ratio: -0.5 }", (X,)),
]
NOT_IN_REAL = {"Clip", "ReLU6"}
