"""Inputs that the cases of several families share."""

import numpy as np

from tests.caffe.layer_case import labels, values

X = values(4, 6)
MAPS = values(2, 3, 4, 5)
MAP_LABELS = np.random.default_rng(0).integers(0, 3, (2, 4, 5)).astype(np.float64)
CLASSES = labels(2, 0, 5, 2)
TARGETS = np.random.default_rng(1).random((4, 6))
FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
