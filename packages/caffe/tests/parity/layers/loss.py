"""SoftmaxWithLoss, SigmoidCrossEntropyLoss."""

import numpy as np

from tests.caffe.layer_case import Case, labels, values
from tests.parity.layers.inputs import CLASSES, MAP_LABELS, MAPS, TARGETS, X

IGNORING = np.where(TARGETS < 0.4, 255, TARGETS)
MODES = [f"loss_param {{ normalization: {m}" for m in ("FULL", "VALID", "BATCH_SIZE", "NONE")]
CASES = [
    Case("SoftmaxWithLoss", bottoms=(X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_weight: 3", (X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_param { normalize: false }", (MAPS, MAP_LABELS)),
    Case("SoftmaxWithLoss", "softmax_param { axis: -1 }", (X, CLASSES)),
    Case("SoftmaxWithLoss", "softmax_param { axis: 0 }", (values(6, 6), labels(0, 1, 2, 3, 4, 5))),
    Case("SoftmaxWithLoss", "loss_param { ignore_label: 2 }", (X, labels(2, 2, 2, 2))),
    *(
        Case("SoftmaxWithLoss", f"loss_param {{ {given} ignore_label: 1 }}", (MAPS, MAP_LABELS))
        for given in ("normalize: true", "normalize: false", "normalize: true normalization: FULL")
    ),
    Case("SoftmaxWithLoss", bottoms=(200 * X, CLASSES)),  # probabilities of 0
    *(
        # A second top cannot be compared: the wheel refuses it, whatever its loss_weight.
        Case("SoftmaxWithLoss", f"{mode} ignore_label: 1 }}", (MAPS, MAP_LABELS))
        for mode in MODES
    ),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, TARGETS)),
    Case("SigmoidCrossEntropyLoss", bottoms=(200 * np.round(X), TARGETS)),
    Case("SigmoidCrossEntropyLoss", "loss_param { normalize: true }", (X, TARGETS)),
    Case("SigmoidCrossEntropyLoss", bottoms=(values(4, 6, 1, 1), TARGETS)),
    Case("SigmoidCrossEntropyLoss", "loss_weight: 0.5", (MAPS, values(2, 3, 4, 5, low=0, high=1))),
    *(
        Case("SigmoidCrossEntropyLoss", f"{mode} ignore_label: 255 }}", (X, IGNORING))
        for mode in MODES
    ),
]
REFUSED = [
    Case("SoftmaxWithLoss", bottoms=(X,)),
    Case("SoftmaxWithLoss", bottoms=(X, CLASSES, CLASSES)),
    Case("SoftmaxWithLoss", "softmax_param { axis: 2 }", (X, CLASSES)),
    Case("SoftmaxWithLoss", bottoms=(MAPS, MAP_LABELS[:, :3])),
    Case("SigmoidCrossEntropyLoss", bottoms=(X,)),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, TARGETS[:3])),
    Case("SoftmaxWithLoss", bottoms=(X, labels(1, 2, 3))),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, values(4, 5))),
]
