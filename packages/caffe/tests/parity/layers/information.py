"""MultinomialLogisticLoss, InfogainLoss. The latter's gradients are compared in test_learnt.py."""

import numpy as np

from tests.caffe.layer_case import Case, labels, values
from tests.parity.layers.inputs import CLASSES, MAP_LABELS, MAPS, X

SHARES = np.where(X < -1.9, 0, np.abs(X) / 3)
GAINS, MAP_GAINS = values(6, 6, seed=2), values(3, 3, seed=2)
INFOGAIN: list[Case] = [
    Case("InfogainLoss", bottoms=(X, CLASSES, GAINS), learns=()),
    Case("InfogainLoss", "loss_weight: 3", (X, CLASSES, GAINS.reshape(1, 1, 6, 6)), learns=()),
    Case("InfogainLoss", bottoms=(100 * X, CLASSES, GAINS), learns=()),
    Case("InfogainLoss", "loss_weight: 1 loss_weight: 0", (X, CLASSES, GAINS), 2, ()),
    Case("InfogainLoss", "infogain_loss_param { axis: -1 }", (X, CLASSES, GAINS), learns=()),
    Case(
        "InfogainLoss",
        "infogain_loss_param { axis: 2 }",
        (values(2, 5, 3), MAP_LABELS[:, 0], MAP_GAINS),
        learns=(),
    ),
    *(
        Case(
            "InfogainLoss",
            f"loss_param {{ normalization: {mode} {ignore} }}",
            (MAPS, MAP_LABELS, MAP_GAINS),
            learns=(),
        )
        for mode in ("FULL", "VALID", "BATCH_SIZE", "NONE")
        for ignore in ("", "ignore_label: 1")
    ),
]
CASES = [
    *(
        Case("MultinomialLogisticLoss", weight, bottoms)
        for weight in ("", "loss_weight: 0.3")
        for bottoms in (
            (SHARES, CLASSES),
            (SHARES, labels(*SHARES.argmin(1))),
            (np.abs(MAPS) / 2, labels(59, 0)),
            (SHARES, CLASSES.reshape(4, 1, 1, 1)),
        )
    ),
    *INFOGAIN,
]
REFUSED = [
    Case("MultinomialLogisticLoss", bottoms=(SHARES, CLASSES[:3])),
    Case("MultinomialLogisticLoss", bottoms=(SHARES, values(4, 2))),
    Case("MultinomialLogisticLoss", bottoms=(SHARES,)),
    Case("InfogainLoss", bottoms=(X, CLASSES)),
    Case("InfogainLoss", 'infogain_loss_param { source: "/nowhere/gains" }', (X, CLASSES)),
    Case("InfogainLoss", bottoms=(X, CLASSES, GAINS[:5])),
    Case("InfogainLoss", bottoms=(X, CLASSES[:3], GAINS)),
    Case("InfogainLoss", bottoms=(MAPS, labels(0, 1), MAP_GAINS)),
    Case("InfogainLoss", "loss_param { normalize: true }", (X, CLASSES, GAINS)),
    Case("InfogainLoss", "infogain_loss_param { axis: 2 }", (X, CLASSES, GAINS)),
]
