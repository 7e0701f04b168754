"""Losses, Softmax and Accuracy."""

import numpy as np

from tests.caffe.layer_case import Case, labels, values
from tests.parity.layers.inputs import CLASSES, MAP_LABELS, MAPS, TARGETS, X

IGNORING = np.where(TARGETS < 0.4, 255, TARGETS)
MODES = [f"loss_param {{ normalization: {m}" for m in ("FULL", "VALID", "BATCH_SIZE", "NONE")]
CASES = [
    *(Case("Softmax", f"softmax_param {{ axis: {axis} }}", (MAPS,)) for axis in (0, 1, 2, -1)),
    Case("SoftmaxWithLoss", bottoms=(X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_weight: 3", (X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_param { normalize: false }", (MAPS, MAP_LABELS)),
    Case("SoftmaxWithLoss", "softmax_param { axis: -1 }", (X, CLASSES)),
    Case("SoftmaxWithLoss", "softmax_param { axis: 0 }", (values(6, 6), labels(0, 1, 2, 3, 4, 5))),
    Case("SoftmaxWithLoss", "loss_param { ignore_label: 2 }", (X, labels(2, 2, 2, 2))),
    *(
        # A second top cannot be compared: the wheel refuses it, whatever its loss_weight.
        Case("SoftmaxWithLoss", f"{mode} ignore_label: 1 }}", (MAPS, MAP_LABELS))
        for mode in MODES
    ),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, TARGETS)),
    Case("SigmoidCrossEntropyLoss", "loss_weight: 0.5", (MAPS, values(2, 3, 4, 5, low=0, high=1))),
    *(
        Case("SigmoidCrossEntropyLoss", f"{mode} ignore_label: 255 }}", (X, IGNORING))
        for mode in MODES
    ),
    Case("EuclideanLoss", bottoms=(X, TARGETS), learns=(0, 1)),
    Case("EuclideanLoss", bottoms=(values(4, 6, 1, 1), TARGETS), learns=(0, 1)),
    Case("Accuracy", bottoms=(X, CLASSES), learns=()),
    Case("Accuracy", bottoms=(np.round(X), CLASSES), tops=2, learns=()),  # equal scores
    Case("Accuracy", "accuracy_param { top_k: 3 }", (X, CLASSES), learns=()),
    Case("Accuracy", "accuracy_param { top_k: 2 ignore_label: 1 }", (MAPS, MAP_LABELS), 2, ()),
    Case("Accuracy", "accuracy_param { axis: 0 }", (values(6, 2), labels(5, 1)), learns=()),
]
REFUSED = [
    Case("SoftmaxWithLoss", bottoms=(X, labels(1, 2, 3))),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, values(4, 5))),
    Case("EuclideanLoss", bottoms=(X, values(4, 5))),
    Case("Accuracy", "accuracy_param { top_k: 7 }", (X, CLASSES)),
    Case("Accuracy", bottoms=(X, labels(1, 2, 3, 4, 5))),
]
