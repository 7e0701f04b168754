"""Accuracy."""

import numpy as np

from tests.caffe.layer_case import Case, labels, values
from tests.parity.layers.inputs import CLASSES, MAP_LABELS, MAPS, X

CASES = [
    Case("Accuracy", bottoms=(X, CLASSES), learns=()),
    Case("Accuracy", bottoms=(np.round(X), CLASSES), tops=2, learns=()),  # ties
    Case("Accuracy", "accuracy_param { top_k: 3 }", (X, CLASSES), learns=()),
    Case("Accuracy", "accuracy_param { top_k: 2 ignore_label: 1 }", (MAPS, MAP_LABELS), 2, ()),
    Case("Accuracy", "accuracy_param { axis: 0 }", (values(6, 2), labels(5, 1)), learns=()),
    Case("Accuracy", bottoms=(X, CLASSES), tops=2, learns=()),
    Case("Accuracy", "accuracy_param { axis: -1 top_k: 2 }", (X, CLASSES), 2, ()),
    *(
        # Ties, ignored labels, a class without a label.
        Case("Accuracy", f"accuracy_param {{ top_k: {k} {ignore} }}", (scores, truth), 2, ())
        for k in (1, 2, 3)
        for ignore in ("", "ignore_label: 0", "ignore_label: 255")
        for scores, truth in ((np.round(MAPS), MAP_LABELS), (np.round(X), CLASSES))
    ),
    Case("Accuracy", "accuracy_param { ignore_label: 2 }", (X, labels(2, 2, 2, 2)), 2, ()),
]
REFUSED = [
    Case("Accuracy", "accuracy_param { top_k: 7 }", (X, CLASSES)),
    Case("Accuracy", bottoms=(X, labels(1, 2, 3, 4, 5))),
    Case("Accuracy", "accuracy_param { axis: 2 }", (X, CLASSES)),
    Case("Accuracy", bottoms=(X,)),
    Case("Accuracy", bottoms=(X, CLASSES), tops=3),
    Case("Accuracy", bottoms=(MAPS, labels(0, 1))),
]
