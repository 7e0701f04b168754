"""Accuracy."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Case, labels, run
from tests.caffe.layers.test_loss import CLASSES, MAP, PLACES, SCORES

CASES = [
    Case("Accuracy", bottoms=(SCORES, CLASSES), learns=()),
    Case("Accuracy", "accuracy_param { top_k: 2 ignore_label: 1 }", (PLACES, MAP), 2, ()),
]

TOP = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.3, 0.1, 0.6], [0.2, 0.3, 0.5]])


@pytest.mark.parametrize(("top_k", "right"), [(1, 2), (2, 3), (3, 4)])
def test_accuracy_of_the_best_k(top_k, right):
    case = Case("Accuracy", f"accuracy_param {{ top_k: {top_k} }}", (TOP, labels(1, 2, 2, 0)))
    assert run(case)[0][0] == right / 4


def test_accuracy_of_each_class():
    case = Case("Accuracy", bottoms=(TOP, labels(1, 2, 2, 2)), tops=2)
    tops, _ = run(case)
    assert tops[0] == 3 / 4
    assert tops[1] == pytest.approx(np.array([0, 1, 2 / 3]))


def test_accuracy_ignores_the_ignore_label():
    case = Case("Accuracy", "accuracy_param { ignore_label: 2 }", (TOP, labels(1, 1, 2, 2)))
    assert run(case)[0][0] == 1 / 2


def test_top_k_above_the_number_of_classes_is_refused():
    with pytest.raises(LayerError, match="top_k is 4. Allowed: up to the 3 classes"):
        run(Case("Accuracy", "accuracy_param { top_k: 4 }", (TOP, labels(1, 1, 2, 2))))


def test_accuracy_has_no_gradient():
    with pytest.raises(LayerError, match="layer 'layer' .Accuracy.: has no gradient"):
        run(Case("Accuracy", bottoms=(TOP, labels(1, 2, 2, 2))), np.array(1.0))


def test_accuracy_without_valid_labels_is_0():
    case = Case("Accuracy", "accuracy_param { ignore_label: 1 }", (TOP, labels(1, 1, 1, 1)), 2)
    tops, _ = run(case)
    assert tops[0] == 0
    assert tops[1].tolist() == [0, 0, 0]
