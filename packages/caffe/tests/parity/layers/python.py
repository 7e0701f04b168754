"""Layers written in Python: the same file in both engines."""

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_python import named
from tests.parity.layers.inputs import MAPS, TARGETS, X

CASES = [
    Case("Python", named("Euclidean") + " loss_weight: 2", (X, TARGETS), learns=(0, 1)),
    Case("Python", named("Times", "-0.75"), (MAPS,)),
    Case("Python", named("Times", "-0.75"), (MAPS,), phase=1),
    Case("Python", named("Times", "0.5"), (X,), in_place=True),
    Case("Python", named("Slope"), (X,)),
    Case("Python", named("Slope") + " param { lr_mult: 0 }", (values(1, 3),)),
    Case("Python", named("Halves"), (MAPS,), tops=2),
    Case("Python", named("Source"), learns=()),
]
REFUSED = []
