"""EuclideanLoss, ContrastiveLoss, HingeLoss: some pairs are equal, some exactly at the margin."""

import numpy as np

from tests.caffe.layer_case import Case, labels, values
from tests.parity.layers.inputs import CLASSES, MAPS, TARGETS, X

ALIKE = labels(0, 1, 0, 1)
OTHER = values(4, 6, seed=1)
NEAR = X + np.array([[0.0], [0], [1], [1]]) * [3, 0, 0, 4, 0, 0]  # 0, 0, 5 and 5 apart
MARGINS = [
    f"contrastive_loss_param {{ margin: {margin} legacy_version: {legacy} }}"
    for margin in (1, 5, 25, -2)
    for legacy in ("false", "true")
]
CASES = [
    Case("EuclideanLoss", bottoms=(X, TARGETS), learns=(0, 1)),
    Case("EuclideanLoss", bottoms=(values(4, 6, 1, 1), TARGETS), learns=(0, 1)),
    Case("EuclideanLoss", "loss_weight: -2", (MAPS, values(2, 60)), learns=(0, 1)),
    *(
        Case("ContrastiveLoss", settings, (X, other, ALIKE), learns=(0, 1))
        for settings in MARGINS
        for other in (OTHER, NEAR)
    ),
    Case("ContrastiveLoss", "loss_weight: 3", (X, OTHER, labels(0.9, -1, 2, -0.5)), learns=(0, 1)),
    Case(
        "ContrastiveLoss",
        bottoms=(X.reshape(4, 6, 1, 1), OTHER, ALIKE.reshape(4, 1)),
        learns=(0, 1),
    ),
    *(
        Case("HingeLoss", f"hinge_loss_param {{ norm: {norm} }} {weight}", bottoms)
        for norm in ("L1", "L2")
        for weight in ("", "loss_weight: 0.3")
        for bottoms in (
            (X, CLASSES),
            (np.round(X), CLASSES),  # just at the margin
            (MAPS, labels(59, 0)),
            (X, CLASSES.reshape(4, 1, 1)),
            (X[:, 0], labels(0, 0, 0, 0)),
        )
    ),
]
REFUSED = [
    Case("EuclideanLoss", bottoms=(X, values(4, 5))),
    Case("EuclideanLoss", bottoms=(X, values(6, 4))),
    Case("EuclideanLoss", bottoms=(X,)),
    Case("ContrastiveLoss", bottoms=(X, OTHER)),
    Case("ContrastiveLoss", bottoms=(X, OTHER[:3], ALIKE)),
    Case("ContrastiveLoss", bottoms=(X, OTHER[:, :3], ALIKE)),
    Case("ContrastiveLoss", bottoms=(X, OTHER, values(4, 2))),
    Case("ContrastiveLoss", bottoms=(X.reshape(4, 3, 2), OTHER.reshape(4, 3, 2), ALIKE)),
    Case("ContrastiveLoss", bottoms=(X.reshape(4, 6, 1, 1, 1), OTHER, ALIKE)),
    Case("HingeLoss", bottoms=(X, CLASSES[:3])),
    Case("HingeLoss", bottoms=(X,)),
    Case("HingeLoss", bottoms=(X, CLASSES), tops=2),
]
