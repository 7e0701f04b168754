"""Embed, Parameter. Their parameters' gradients are compared in test_learnt.py."""

import numpy as np

from tests.caffe.layer_case import Case, labels
from tests.parity.layers.inputs import FILLED, X

WORDS = np.array([[0, 2, 2], [3, 0, 1]], np.float64)


def embed(settings: str, x: np.ndarray) -> Case:
    return Case("Embed", f"loss_weight: 2 embed_param {{ {settings} }}", (x,), learns=())


CASES = [
    embed(f"input_dim: 4 num_output: 3 {FILLED}", WORDS),
    embed(f"input_dim: 4 num_output: 3 bias_term: false {FILLED}", labels(0, 0.9, 3.5)),
    embed(f"input_dim: 9 num_output: 1 {FILLED}", WORDS[:, :, None, None, None]),
    embed("input_dim: 4 num_output: 3", WORDS),
    *(
        Case("Parameter", f"parameter_param {{ {shape} }}", learns=())
        for shape in ("", "shape { dim: 2 }", "shape { dim: 2 dim: 1 dim: 3 }")
    ),
]
REFUSED = [
    embed("num_output: 3", WORDS),
    embed("input_dim: 3", WORDS),
    embed("input_dim: 3 num_output: 3 weight_filler { type: 'none' }", WORDS),
    Case("Embed", "embed_param { input_dim: 3 num_output: 3 }", (WORDS, WORDS)),
    Case("Parameter", bottoms=(X,)),
    Case("Parameter", "param { lr_mult: 1 } param { lr_mult: 1 }"),
]
