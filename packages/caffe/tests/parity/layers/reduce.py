"""Eltwise, Reduction, ArgMax, with ties and zeros."""

import itertools

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.parity.layers.inputs import MAPS, X

A, B, C = (np.round(values(2, 3, 4, 5, seed=seed, low=-3, high=3)) for seed in (1, 2, 3))


def eltwise(settings: str, *bottoms: np.ndarray) -> Case:
    learns = tuple(range(len(bottoms)))
    return Case("Eltwise", f"eltwise_param {{ {settings} }}", bottoms, learns=learns)


def argmax(settings: str, x: np.ndarray) -> Case:
    return Case("ArgMax", f"argmax_param {{ {settings} }}", (x,), learns=())


CASES = [
    *(
        eltwise(settings, *bottoms)
        for settings in (
            "operation: SUM",
            "operation: PROD",
            "operation: PROD stable_prod_grad: false",
            "operation: MAX",
        )
        for bottoms in ((A, B), (A, B, C), (MAPS, A, C, B), (A[0, 0, 0], B[0, 0, 0]))
    ),
    eltwise("coeff: 1 coeff: -1", A, MAPS),
    eltwise("coeff: -0.5 coeff: 1 coeff: 0", A, B, MAPS),
    eltwise("operation: MAX coeff: 2 coeff: 3", A, B),
    *(
        Case(
            "Reduction",
            f"reduction_param {{ operation: {operation} axis: {axis} coeff: {coeff} }}",
            (x,),
        )
        for operation, axis, coeff, x in itertools.product(
            ("SUM", "ASUM", "SUMSQ", "MEAN"), (0, 1, 3, -2), (1, -0.3), (MAPS + 0.5, A)
        )
    ),
    *(
        argmax(f"top_k: {top_k} out_max_val: {values_too} {axis}", x)
        for top_k, values_too, axis, x in itertools.product(
            (1, 2), ("false", "true"), ("", "axis: 0", "axis: 1", "axis: -1"), (MAPS, A)
        )
    ),
    argmax("top_k: 60", A),
    argmax("top_k: 5 axis: 3 out_max_val: true", A),
    argmax("top_k: 2 out_max_val: true", X),
    argmax("", X[0]),
    argmax("top_k: 3", values(2, 3, 1, 2, 2)),
]
REFUSED = [
    eltwise("", X, values(4, 5)),
    eltwise("", X, values(6, 4)),
    eltwise("", X, values(4, 6, 1)),
    eltwise("", X),
    eltwise("coeff: 1", X, X),
    eltwise("coeff: 1 coeff: 1 coeff: 1", X, X),
    eltwise("operation: PROD coeff: 1 coeff: 1", X, X),
    Case("Eltwise", bottoms=(X, X), tops=2),
    Case("Reduction", "reduction_param { axis: 2 }", (X,)),
    Case("Reduction", "reduction_param { axis: -3 }", (X,)),
    Case("Reduction", bottoms=(X, X)),
    Case("Reduction", bottoms=(X,), tops=2),
    argmax("top_k: 0", X),
    argmax("top_k: 7", X),
    argmax("top_k: 5 axis: 0", X),
    argmax("axis: 2", X),
    argmax("axis: -3", X),
    Case("ArgMax", bottoms=(X, X)),
]
